"""The gateway that this person uses: whether it is reached, knows the credential, and goes by the same time."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec

from hyperinfer.cli.checks import Finding, Here, counted, fail, ok, warn
from hyperinfer.errors import HyperinferError, Unauthenticated
from hyperinfer.kernel import swarm
from hyperinfer.kernel.membership import file
from hyperinfer.protocol import link_words
from hyperinfer.protocol.membership import CLOCKS_APART, INTRODUCTION_MAX_AGE_S

if TYPE_CHECKING:
    from hyperinfer.sdk.profile import Account

CONNECT_S = 5.0
REACH_S = 12.0
ANSWER_S = 10.0
MAX_REPLY_BYTES = 4 * 1024 * 1024
GATEWAY, CREDENTIAL, CLOCK = "gateway", "credential", "clock"
SHOWN = 60
"""How much of a link is shown."""
MOMENT = timedelta(seconds=30)
"""Clocks this close are the same to every rule that there is."""
UNAUTHENTICATED, TOO_MANY = 401, 429

MENDS = {
    link_words.OFFLINE: "Is it running, and online (`hyperinfer status` there)? Is the link right (`hyperinfer link` there)?",
    link_words.REFUSED: "Try again in a moment. A worker must be a member: `hyperinfer members list` on auth's machine.",
    link_words.NOT_PUNCHED: "Put one of the two behind another router, or where it has a public address.",
    link_words.NO_ANSWER: "Try again, and look at the network between.",
}
"""What to do, by the reason for which a peer was not reached (docs/concepts/connections.md)."""


class Reply(msgspec.Struct, frozen=True):
    """What a gateway answers when asked for its models."""

    status: int
    date: datetime | None
    models: int


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: tuple[_Model, ...] = ()


async def check(here: Here) -> Sequence[Finding]:
    """Everything of this file."""
    from hyperinfer.cli.gateway import is_readable
    from hyperinfer.cli.table import clipped

    account = _account(here.gateway)
    if account is None:
        return [
            ok(GATEWAY, "none is in use yet: `hyperinfer up` makes one, `hyperinfer login --gateway URL` uses another")
        ]
    try:
        reply = await _ask(account)
    except HyperinferError as error:
        return [away(account, error, here)]
    findings = [ok(GATEWAY, f"{clipped(account.gateway, SHOWN)} answers"), credential(account, reply)]
    if is_readable(account.gateway):
        mend = "Give it a certificate: docs/guides/https.md; or go over the swarm, by its hyper:// link."
        findings.append(warn(GATEWAY, f"Others on the way to {account.gateway} can read keys and answers.", mend))
    if reply.date is not None:
        findings.append(clock(datetime.now(UTC) - reply.date, f"{account.gateway}"))
    return findings


async def check_members(here: Here) -> Sequence[Finding]:
    """Time as auth has it, by what it signed last, where auth is elsewhere."""
    paths = here.paths("auth")
    if paths is None or not swarm.exists(paths.swarm) or not swarm.follows(paths.swarm):
        return []
    signed = file.read(paths.swarm).signed
    return [] if signed is None else [list_age(datetime.now(UTC) - signed.issued_at)]


def away(account: "Account", error: HyperinferError, here: Here) -> Finding:
    """Judge a gateway that was not reached; one that is this machine's own and does not run is no fault."""
    if account.data_dir and not here.runs("gateway"):
        return warn(GATEWAY, f"this machine's own ({account.gateway}) does not run", "hyperinfer up")
    reason = str(error.details.get("reason", ""))
    if reason == "certificate":
        mend = "SSL_CERT_FILE=ca.pem hyperinfer doctor"
    elif account.gateway.startswith("hyper:"):
        mend = MENDS.get(reason, "Is it running, and are both machines online?")
    else:
        mend = "Is it running, and is the address right? `hyperinfer profile list` shows the others that you have."
    return fail(GATEWAY, error.message, mend)


def credential(account: "Account", reply: Reply) -> Finding:
    """Judge what it said to the credential."""
    kind = f"the API key {account.api_key[:11]}…" if account.api_key else "the session"
    login = f"hyperinfer login --gateway {account.gateway}"
    if not (account.api_key or account.token):
        return ok(CREDENTIAL, f"you have none there: {login}")
    if reply.status == UNAUTHENTICATED:
        return fail(CREDENTIAL, f"{kind} is not valid there (any more)", login)
    if reply.status == TOO_MANY:
        return warn(CREDENTIAL, f"{kind}: too many requests just now", "hyperinfer quota")
    if reply.status >= 400:
        return warn(CREDENTIAL, f"{kind}: the gateway answers {reply.status}", "hyperinfer status --gateway")
    who = f" of {account.username}" if account.username else ""
    if not reply.models:
        mend = "Start an inference worker: `hyperinfer up` here, or `hyperinfer invite --role inference` for another machine."
        return warn(CREDENTIAL, f"{kind}{who} is valid, and there is no model for it", mend)
    return ok(CREDENTIAL, f"{kind}{who} is valid; {counted(reply.models, 'model')}")


def clock(ahead: timedelta, whose: str) -> Finding:
    """Judge how far this machine's clock is ahead of a gateway's."""
    apart = abs(ahead)
    if apart < MOMENT:
        return ok(CLOCK, f"as {whose} has it")
    found = f"{apart.total_seconds():,.0f} s {'ahead of' if ahead > timedelta() else 'behind'} {whose}"
    mend = "Set it by the network, here or there: timedatectl set-ntp true"
    return fail(CLOCK, found, mend) if apart > CLOCKS_APART else warn(CLOCK, found, mend)


def list_age(age: timedelta) -> Finding:
    """Judge the time since auth has signed the member list that is here."""
    what = "member list"
    if age < -CLOCKS_APART:
        found = f"signed {-age.total_seconds():,.0f} s from now: this clock is behind auth's"
        return fail(what, found, "Set it by the network: timedatectl set-ntp true")
    if age.total_seconds() > INTRODUCTION_MAX_AGE_S:
        found = f"{age.days or 1} day{'s' if age.days > 1 else ''} old: auth has not been heard of since"
        return warn(what, found, "See that auth runs and is online: `hyperinfer status` on its machine.")
    return ok(what, f"signed {max(0.0, age.total_seconds()) / 60:.0f} minutes ago")


def _account(named: str | None) -> "Account | None":
    """Who the person is at the gateway that is named, or in use; without a credential where that is nobody."""
    from hyperinfer.cli.gateway import account_at
    from hyperinfer.sdk.profile import Account
    from hyperinfer.sdk.requests import base_url

    try:
        return account_at(named)
    except Unauthenticated:
        return Account(gateway=base_url(named)) if named else None


async def _ask(account: "Account") -> Reply:
    """Ask for the models. Raises what hinders that."""
    from hyperinfer.errors import DeadlineExceeded
    from hyperinfer.sdk.carriers.choice import carrier_to
    from hyperinfer.sdk.requests import is_link

    wait_s = REACH_S if is_link(account.gateway) else CONNECT_S
    carrier = carrier_to(account.gateway, connect_timeout_s=wait_s, net=None, say=lambda _: None)
    await carrier.open()
    try:
        async with asyncio.timeout(wait_s + ANSWER_S):
            await carrier.reach()
            credential = account.api_key or account.token
            headers = {"authorization": f"Bearer {credential}"} if credential else {}
            reply = await carrier.exchange("GET", "/v1/models", headers, b"")
            body = b""
            while len(body) < MAX_REPLY_BYTES and (piece := await reply.piece()):
                body += piece
    except TimeoutError as error:
        raise DeadlineExceeded(f"{account.gateway} does not answer in time.") from error
    finally:
        await carrier.close()
    return Reply(reply.status, _date(reply.headers.get("date", "")), _count(body))


def _date(said: str) -> datetime | None:
    try:
        return parsedate_to_datetime(said).astimezone(UTC)
    except ValueError:
        return None


def _count(body: bytes) -> int:
    try:
        return len(msgspec.json.decode(body, type=_Models).data)
    except msgspec.DecodeError:
        return 0
