"""API keys: `hi_` + public id + `_` + secret + checksum. Pure.

The public id (8 characters) finds the key and may be shown; the secret (43 characters of base62, 256 bits) is known to
its holder alone; the checksum (6 characters, CRC-32 of all before it in base62) lets a secret scanner tell a key from
other text without asking anybody. Only the SHA-256 of the whole is stored.
"""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

PREFIX = "hi_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PUBLIC_ID_LENGTH = 8
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6

_FORM = re.compile(
    rf"{PREFIX}([0-9A-Za-z]{{{PUBLIC_ID_LENGTH}}})_([0-9A-Za-z]{{{SECRET_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class ApiKeyText:
    """A key in full; `text` is what its holder sends and must not be shown twice."""

    public_id: str
    text: str = field(repr=False)

    @property
    def prefix(self) -> str:
        """What of it may be shown."""
        return PREFIX + self.public_id

    @property
    def digest(self) -> str:
        """What of it is stored: SHA-256 in hexadecimal."""
        return digest(self.text)


def mint() -> ApiKeyText:
    """A new key from the system's randomness."""
    public_id = random_text(PUBLIC_ID_LENGTH)
    body = f"{PREFIX}{public_id}_{random_text(SECRET_LENGTH)}"
    return ApiKeyText(public_id, body + checksum(body))


def parse(text: str) -> ApiKeyText | None:
    """The key that a text is, or nothing if its form or checksum is wrong."""
    found = _FORM.fullmatch(text)
    if found is None or checksum(text[:-CHECKSUM_LENGTH]) != found[3]:
        return None
    return ApiKeyText(found[1], text)


def digest(text: str) -> str:
    """SHA-256 of a key in hexadecimal. A secret of 256 bits needs no slow hash: there is nothing to guess."""
    return hashlib.sha256(text.encode()).hexdigest()


def random_text(length: int) -> str:
    """So many characters of base62 from the system's randomness."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def checksum(body: str) -> str:
    """CRC-32 of what stands before it, in base62."""
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
