"""Alerts as a post of the format of Prometheus' Alertmanager (version 4), which many programs understand, signed on request.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. The signature is HMAC-SHA256 over the time and the
body, so that neither can be changed, and what is old can be told: `X-Hyperinfer-Signature: t=SECONDS,v1=HEX`.
"""

import hashlib
import hmac
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from hyperinfer import __version__
from hyperinfer.contracts.metrics import Alert
from hyperinfer.errors import ConfigError, RemoteError, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.metrics.alerts.config import WebhookSettings
from hyperinfer.workers.metrics.alerts.names import alert_name
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice

MAX_ALERTS = 100
SIGNATURE = "X-Hyperinfer-Signature"
NOT_OVER = "0001-01-01T00:00:00Z"
"""What Alertmanager says of an end that has not come."""
AGAIN = frozenset({408, 425, 429})
"""Statuses below 500 after which it may be tried again."""


class Webhook:
    """A receiver that is posted to. Raises `ConfigError` for settings that cannot be meant."""

    def __init__(
        self, settings: WebhookSettings, *, session: aiohttp.ClientSession, clock: Clock, timeout_s: float
    ) -> None:
        self.name = settings.name
        self._url = _checked(settings)
        self._secret = _secret(settings)
        self._context = _context(settings)
        self._session = session
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def tell(self, notice: Notice) -> None:
        """Post a notice. Raises `Unavailable` if it may be tried again, `RemoteError` if that is in vain."""
        body = body_of(notice, self.name)
        headers = {"content-type": "application/json"}
        if self._secret:
            headers[SIGNATURE] = signature(self._secret, body, int(self._clock.now().timestamp()))
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=headers,
                timeout=self._timeout,
                ssl=self._context,
                allow_redirects=False,
            ) as response:
                _check(response.status, response.headers.get("retry-after"))
        except aiohttp.ClientConnectorCertificateError as error:
            raise RemoteError("It shows a certificate that is not to be trusted.") from error
        except TimeoutError as error:
            raise Unavailable(f"It did not answer within {self._timeout.total:g} s.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable("It cannot be reached, or broke off.") from error


def body_of(notice: Notice, receiver: str) -> bytes:
    """A notice as Alertmanager posts it."""
    told = notice.alerts[:MAX_ALERTS]
    alerts = [_alert(alert) for alert in told]
    return msgspec.json.encode(
        {
            "version": "4",
            "groupKey": notice.id,
            "truncatedAlerts": len(notice.alerts) - len(told),
            "status": "firing" if notice.firing else "resolved",
            "receiver": receiver,
            "groupLabels": {},
            "commonLabels": _common([one["labels"] for one in alerts]),
            "commonAnnotations": _common([one["annotations"] for one in alerts]),
            "externalURL": "",
            "alerts": alerts,
        }
    )


def signature(secret: str, body: bytes, at_s: int) -> str:
    """The header's value for a body that is posted at a time, in seconds since the epoch."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def user_agent() -> dict[str, str]:
    """The header of every post."""
    return {"user-agent": f"hyperinfer/{__version__}"}


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "status": "resolved" if alert.state == "resolved" else "firing",
        "labels": {**alert.labels, "alertname": alert_name(alert.rule), "severity": alert.severity},
        "annotations": {"summary": alert.summary, "description": alert.do},
        "startsAt": alert.since,
        "endsAt": alert.resolved_at or NOT_OVER,
        "generatorURL": "",
        "fingerprint": alert.id,
    }


def _common(tables: list[dict[str, str]]) -> dict[str, str]:
    """What all of them say."""
    first = tables[0] if tables else {}
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in tables)}


def _check(status: int, retry_after: str | None) -> None:
    if status < 300:
        return
    if status >= 500 or status in AGAIN:
        wait_s = float(retry_after) if retry_after and retry_after.isdecimal() and len(retry_after) < 5 else 0.0
        raise Unavailable(f"It answers with status {status}.", retry_after_s=wait_s)
    raise RemoteError(f"It answers with status {status}.")


def _checked(settings: WebhookSettings) -> str:
    try:
        parts = urlsplit(settings.url)
        is_meant = parts.scheme in {"http", "https"} and bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:  # an address that no resolver can look up is one too
        is_meant = False
    if not is_meant:
        raise ConfigError(f"The url of the webhook {settings.name} is no address of http or https.")
    return settings.url


def _secret(settings: WebhookSettings) -> str:
    if not settings.secret_file:
        return settings.secret
    try:
        return Path(settings.secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The secret_file of the webhook {settings.name} cannot be read.") from error


def _context(settings: WebhookSettings) -> ssl.SSLContext | bool:
    if not settings.authority:
        return True
    try:
        return ssl.create_default_context(cafile=settings.authority)
    except OSError as error:
        raise ConfigError(f"The authority of the webhook {settings.name} is no file of certificates in PEM.") from error
