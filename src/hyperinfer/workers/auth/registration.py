"""New accounts: by who registers, with an invitation or without, and by administrators."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.contracts.auth import Register, Registered
from hyperinfer.contracts.directory import USER
from hyperinfer.contracts.people import FIRST_SCOPES, Scope
from hyperinfer.errors import Conflict, Forbidden
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol import one_time
from hyperinfer.workers.auth import names
from hyperinfer.workers.auth.change import AuthDatabase, Change
from hyperinfer.workers.auth.guesses import Guesses
from hyperinfer.workers.auth.keys import add_key, minted
from hyperinfer.workers.auth.models import PersonInviteRow, User
from hyperinfer.workers.auth.noting import Notes
from hyperinfer.workers.auth.origin import LOCAL, Origin
from hyperinfer.workers.auth.passwords import UNSET, Passwords, check_policy
from hyperinfer.workers.auth.powers import Settings
from hyperinfer.workers.auth.records import user_record
from hyperinfer.workers.auth.shown import account_of, new_key_of
from hyperinfer.workers.auth.store import is_taken, user_named
from hyperinfer.workers.auth.tiers import DEFAULT, Tiers

FIRST_KEY = "default"
NO_DETAILS: Mapping[str, str] = MappingProxyType({})
TAKEN = "An account with this e-mail or username exists already."
NO_INVITATION = "This invitation is not valid: it may be used, revoked or expired, or be for another e-mail."


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who is to have an account. Without a username one is made from the e-mail, without a password none is right."""

    email: str
    username: str | None = None
    password: str | None = None
    role: str = "user"
    tier: str = DEFAULT


def _nobody_counts(_: str) -> None:
    """Nobody wants to know."""


class Registration:
    """Makes accounts. `mode` says for whom: `open`, `invite` or `closed`."""

    def __init__(
        self,
        database: AuthDatabase,
        *,
        passwords: Passwords,
        guesses: Guesses,
        notes: Notes,
        tiers: Tiers,
        clock: Clock,
        mode: str,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._guesses = guesses
        self._notes = notes
        self._tiers = tiers
        self._clock = clock
        self._mode = mode
        self._tell_registered: Callable[[str], None] = _nobody_counts

    def on_registered(self, listener: Callable[[str], None]) -> None:
        """Have somebody told of each account that people make for themselves, and whether by an `invitation` or as it was `open`."""
        self._tell_registered = listener

    async def register(self, request: Register, origin: Origin = LOCAL) -> Registered:
        """Make an account for who asks, and its first key.

        Raises `Forbidden` where registration is not for them, `BadRequest`, `Conflict`, `RateLimited`, `Overloaded`.
        """
        self._check_open(request)
        newcomer = newcomer_of(request)
        try:
            with self._guesses.telling(origin.remote):
                made = await self._register(newcomer, request.code, origin)
        except (Conflict, Forbidden) as error:
            self._notes.refused(origin, "account.registered", details={"reason": error.code})
            raise
        self._tell_registered("invitation" if request.code else "open")
        return made

    async def add(
        self, newcomer: Newcomer, origin: Origin = LOCAL, *, scopes: tuple[Scope, ...] = FIRST_SCOPES
    ) -> Registered:
        """Make an account and its first key, without asking whether registration is open."""
        password_hash = await self.hashed(newcomer)
        async with self._database.change(origin) as change:
            return await self._added(change, newcomer, password_hash, scopes=scopes)

    async def hashed(self, newcomer: Newcomer) -> str:
        """The hash of a newcomer's password. Raises `BadRequest` for one that the policy refuses, `Overloaded`."""
        if newcomer.password is None:
            return UNSET
        username = newcomer.username or next(names.usernames_from(newcomer.email))
        check_policy(newcomer.password, names=(newcomer.email, username))
        return await self._passwords.hash(newcomer.password)

    def _check_open(self, request: Register) -> None:
        if self._mode == "closed":
            raise Forbidden("Registration is closed; ask an administrator for an account.")
        if self._mode == "invite" and not request.code:
            raise Forbidden("Registering here takes an invitation; ask an administrator for one.", param="code")

    async def _register(self, newcomer: Newcomer, code: str | None, origin: Origin) -> Registered:
        password_hash = await self.hashed(newcomer)
        async with self._database.change(origin) as change:
            details = {}
            if code:
                invite = await self._spent(change.session, code, newcomer.email)
                tier = invite.tier if invite.tier in self._tiers else DEFAULT  # it may be configured no more
                newcomer = replace(newcomer, role=invite.role, tier=tier)
                details = {"invite": invite.id}
            return await self._added(change, newcomer, password_hash, details=details)

    async def _spent(self, rows: AsyncSession, code: str, email: str) -> PersonInviteRow:
        """The invitation of a code, used from now on. Raises `Forbidden`."""
        digest = one_time.digest_of(code, one_time.REGISTRATION)
        wanted = select(PersonInviteRow).where(PersonInviteRow.code_hash == digest)
        invite = await rows.scalar(wanted) if digest else None
        now = self._clock.now()
        is_open = invite is not None and not (invite.used_at or invite.revoked_at) and invite.expires_at > now
        if invite is None or not is_open or invite.email not in (None, email):
            raise Forbidden(NO_INVITATION, param="code")
        invite.used_at = now
        return invite

    async def _added(
        self,
        change: Change,
        newcomer: Newcomer,
        password_hash: str,
        *,
        scopes: tuple[Scope, ...] = FIRST_SCOPES,
        details: Mapping[str, str] = NO_DETAILS,
    ) -> Registered:
        user = await new_user(change, newcomer, password_hash, now=self._clock.now())
        row, key = minted(user.id, FIRST_KEY, now=self._clock.now(), settings=Settings(scopes=scopes))
        await add_key(change, row)
        await change.audit("account.registered", target=user.id, details={**details, "key": row.id})
        return Registered(account=account_of(user), key=new_key_of(row, key))


def newcomer_of(request: Register) -> Newcomer:
    """Who a stranger says to be. Raises `BadRequest`, for names that are kept for the machine's own too."""
    email = names.email_of(request.email)
    username = names.username_of(request.username) if request.username else None
    names.check_not_reserved(email, username)
    return Newcomer(email, username, request.password)


async def new_user(change: Change, newcomer: Newcomer, password_hash: str, *, now: datetime) -> User:
    """A new account, told to gateways. Raises `Conflict` if the e-mail or the chosen username is taken.

    A change is the only one of its moment, so that what is free here is free when it ends.
    """
    rows = change.session
    if await is_taken(rows, email=newcomer.email, username=newcomer.username):
        raise Conflict(TAKEN)
    username = newcomer.username
    for made_up in names.usernames_from(newcomer.email):
        if username is not None:
            break
        # A made-up name that is taken is nobody's business.
        if await user_named(rows, made_up) is None:
            username = made_up
    if username is None:
        raise Conflict("No free username could be made from this e-mail; choose one.", param="username")
    user = User(
        id=str(uuid.uuid4()),
        username=username,
        email=newcomer.email,
        password_hash=password_hash,
        role=newcomer.role,
        tier=newcomer.tier,
        created_at=now,
        is_active=True,
        limits=None,
        last_login_at=None,
    )
    rows.add(user)
    await rows.flush()
    await change.publish(USER, user.id, user_record(user))
    return user
