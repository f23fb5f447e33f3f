"""HTTPS by certificate files, taken again when they are renewed, for as long as the server runs."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import structlog
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from hyperinfer.errors import StartError

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 10.0
"""How often files are looked at, at most: when a connection comes."""
EXPIRES_SOON = timedelta(days=14)
ANYBODY = 0o007
"""The rights of those who are neither a file's owner nor of its group."""

Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """A certificate with the chain that leads to it, and its key: two PEM files.

    `context` is for the server, `names` are those of the certificate, addresses among them and patterns left out; `expires_at` is
    when the newest that was taken expires.
    Raises `StartError` for files that are not there, not readable, no certificate or key, no pair, encrypted, or where
    anybody on this machine may read the key.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._stamp = self._look()
        self.expires_at = datetime.max.replace(tzinfo=UTC)
        self.context, self.names = self._load()
        self.context.sni_callback = self._choose
        self._latest = self.context
        self._looked_s = monotonic()

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Use the files as they are now, for a connection that begins; called for each, whatever name it asks for."""
        self.refresh()
        if self._latest is not context:
            connection.context = self._latest

    def refresh(self) -> None:
        """Take files that have changed, unless somebody has just looked."""
        if monotonic() - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = monotonic()
            self._renew()

    def _renew(self) -> None:
        """Take files that have changed. Those that are of no use, as between the writing of the two, change nothing."""
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._latest, _ = self._load()
        except StartError as error:
            log.warning("tls_files_not_taken", reason=error.message)
        else:
            log.info("tls_files_renewed", certificate=str(self._files[0]))

    def _look(self) -> Stamp:
        try:
            found = [file.stat() for file in self._files]
        except OSError as error:
            raise StartError(f"Cannot read {error.filename}: {error.strerror}. See http.tls_certificate.") from error
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in found)

    def _load(self) -> tuple[ssl.SSLContext, tuple[str, ...]]:
        certificate, key = self._files
        if key.stat().st_mode & ANYBODY:
            raise StartError(f"Anybody on this machine may read the key {key}: chmod o-rwx {key}.")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])

        def password() -> str:
            raise StartError(f"The key {key} is encrypted; a server needs it without a password, readable by it alone.")

        try:
            found = x509.load_pem_x509_certificate(certificate.read_bytes())
            names = _names(found, certificate)
            context.load_cert_chain(certificate, key, password)
        except ssl.SSLError as error:
            raise StartError(_why(error, certificate, key)) from error
        except ValueError as error:
            raise StartError(f"{certificate} holds no certificate in PEM.") from error
        except OSError as error:
            raise StartError(
                f"Cannot read the key {key} or the certificate {certificate}: {error.strerror}."
            ) from error
        self.expires_at = found.not_valid_after_utc
        return context, names


def _why(error: ssl.SSLError, certificate: Path, key: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The key {key} is not the one of the certificate {certificate}."
    return f"{key} holds no key in PEM that belongs to {certificate} ({error.reason or 'it cannot be read'})."


def _names(certificate: x509.Certificate, file: Path) -> tuple[str, ...]:
    """Whom a certificate is for. Says so if it has expired, or will soon."""
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    if left < EXPIRES_SOON:
        log.warning("tls_certificate_expires", certificate=str(file), at=certificate.not_valid_after_utc.isoformat())
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return ()
    assert isinstance(found, x509.SubjectAlternativeName)
    names = found.get_values_for_type(x509.DNSName)
    addresses = found.get_values_for_type(x509.IPAddress)
    return (*(name.lower() for name in names if "*" not in name), *map(str, addresses))
