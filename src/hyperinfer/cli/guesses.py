"""What a shell may complete beside commands and options: models, gateways, profiles. Quick, and silent where it knows nothing.

Models are asked of the gateway in use, for half a second at most, and remembered for a minute; of a gateway over the swarm
those are known that were listed last.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from hyperinfer.sdk.profile import Account

FILE = "models.json"
FRESH_S = 60.0
ASK_S = 0.5
MAX_REPLY_BYTES = 1024 * 1024
MAX_GATEWAYS = 16
MAX_MODELS = 500


def profiles(context: click.Context, option: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Names of profiles."""
    return _items([(one.profile, one.gateway) for one in _accounts() if one.profile], incomplete)


def gateways(context: click.Context, option: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Gateways of the profiles."""
    return _items([(one.gateway, one.username) for one in _accounts()], incomplete)


def models(context: click.Context, option: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Models that the gateway serves."""
    return _items([(name, "") for name in _models(context.params.get("gateway"))], incomplete)


def remember(gateway: str, names: Sequence[str]) -> None:
    """Keep what a gateway serves, for the next completion; where that fails, nothing is lost."""
    import msgspec

    from hyperinfer.facilities.clock import SystemClock
    from hyperinfer.kernel.files import write_atomic

    known = {gateway: (SystemClock().now().timestamp(), list(names)[:MAX_MODELS])}
    known |= {other: kept for other, kept in _remembered().items() if other != gateway}
    try:
        _file().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(_file(), msgspec.json.encode(dict(list(known.items())[:MAX_GATEWAYS])), mode=0o600)
    except OSError:
        return


def _models(gateway: str | None) -> Sequence[str]:
    from hyperinfer.errors import HyperinferError
    from hyperinfer.facilities.clock import SystemClock
    from hyperinfer.sdk.profile import account_for
    from hyperinfer.sdk.requests import base_url

    now = SystemClock().now()
    try:
        account = account_for(base_url(gateway) if gateway else None)
        kept_at, names = _remembered().get(account.gateway, (0.0, []))
        if now.timestamp() - kept_at < FRESH_S:
            return names
        found = _asked(account.gateway, account.to_models(now))
    except HyperinferError:
        return ()
    if found is None:
        return names
    remember(account.gateway, found)
    return found


def _asked(gateway: str, key: str) -> list[str] | None:
    """The models, by the client of the standard library: it is there at once, and a shell is waiting."""
    import http.client
    from urllib.parse import urlsplit

    import msgspec

    where = urlsplit(gateway)
    if where.scheme not in ("http", "https") or where.hostname is None:
        return None
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.hostname, where.port, timeout=ASK_S)
    try:
        connection.request("GET", f"{where.path}/v1/models", headers={"authorization": f"Bearer {key}"})
        reply = connection.getresponse()
        content = msgspec.json.decode(reply.read(MAX_REPLY_BYTES), type=dict[str, object])
        rows = content.get("data")
        if reply.status != 200 or not isinstance(rows, list):
            return None
        return [row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]
    except (OSError, http.client.HTTPException, msgspec.DecodeError, UnicodeError):
        return None
    finally:
        connection.close()


def _remembered() -> dict[str, tuple[float, list[str]]]:
    import msgspec

    try:
        return msgspec.json.decode(_file().read_bytes(), type=dict[str, tuple[float, list[str]]])
    except (OSError, msgspec.DecodeError):
        return {}


def _file() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("hyperinfer", appauthor=False) / FILE


def _accounts() -> "Sequence[Account]":
    from hyperinfer.errors import HyperinferError
    from hyperinfer.sdk import profile

    try:
        return profile.load().accounts
    except HyperinferError:
        return ()


def _items(found: Sequence[tuple[str, str]], incomplete: str) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    once = dict(reversed(found))
    return [
        CompletionItem(name, help=more or None) for name, more in reversed(once.items()) if name.startswith(incomplete)
    ]
