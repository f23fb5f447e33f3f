"""`hyperinfer whoami`: who this person is to the gateway in use, and by which credentials."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import complain, sentence, show_json
from hyperinfer.errors import Forbidden, HyperinferError

if TYPE_CHECKING:
    from hyperinfer.sdk import User
    from hyperinfer.sdk.profile import Account

KEY_CHARS = len("hi_") + 8
"""How much of a key may be shown."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the gateway says: the account if the credential may see it, the tier, or why it says nothing."""

    user: "User | None" = None
    tier: str = ""
    trouble: HyperinferError | None = None


@click.command(
    "whoami", epilog=examples("hyperinfer whoami", "hyperinfer whoami --json", "hyperinfer whoami --profile work")
)
@options.as_json
@options.gateway
@click.pass_context
def command(context: click.Context, as_json: bool, gateway: str | None) -> None:
    """Show who you are, at which gateway, and by which credentials.

    Exit code 1 if the gateway cannot be asked, or takes none of them.
    """
    from hyperinfer.cli.gateway import account_at, renewed
    from hyperinfer.cli.table import show_facts
    from hyperinfer.facilities.clock import SystemClock

    account = asyncio.run(renewed(account_at(gateway)))
    now = SystemClock().now()
    seen = asyncio.run(_look(account, now))
    if as_json:
        show_json(_row(account, seen, now))
    else:
        show_facts(_facts(account, seen, now))
    if seen.trouble is not None:
        if not as_json:
            complain(sentence(seen.trouble))
        context.exit(1)


async def _look(account: "Account", now: datetime) -> Seen:
    from hyperinfer.cli.gateway import opened

    try:
        async with opened(account.gateway, account.to_account(now)) as client:
            try:
                user = await client.account.get()
            except Forbidden:  # an API key that may not look after the account
                return Seen(tier=(await client.usage.quota()).tier)
            return Seen(user, user.tier)
    except HyperinferError as error:
        return Seen(trouble=error)


def _facts(account: "Account", seen: Seen, now: datetime) -> list[tuple[str, object]]:
    from hyperinfer.cli.times import minute

    user = seen.user
    ends = account.token_ends
    has_ended = ends is not None and ends <= now
    return [
        ("gateway", account.gateway),
        ("profile", account.profile),
        ("user", user.username if user else account.username),
        ("e-mail", user.email if user else ""),
        ("role", user.role if user else ""),
        ("tier", seen.tier),
        ("session", (f"ended {minute(ends)}" if has_ended else f"until {minute(ends)}") if account.token else "none"),
        ("API key", f"{account.api_key[:KEY_CHARS]}_…" if account.api_key else "none"),
    ]


def _row(account: "Account", seen: Seen, now: datetime) -> dict[str, object]:
    user = seen.user
    return {
        "gateway": account.gateway,
        "profile": account.profile or None,
        "username": user.username if user else account.username or None,
        "email": user.email if user else None,
        "role": user.role if user else None,
        "tier": seen.tier or None,
        "session_ends": account.token_ends,
        "key_prefix": account.api_key[:KEY_CHARS] or None,
        "error": seen.trouble.code if seen.trouble else None,
    }
