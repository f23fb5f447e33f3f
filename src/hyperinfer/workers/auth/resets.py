"""Passwords set anew by a one-time token that an administrator has issued."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.contracts import people
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import NewReset, OfAccount, ResetPassword
from hyperinfer.errors import Forbidden, NotFound
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol import api_keys, one_time
from hyperinfer.workers.auth.actors import Actors
from hyperinfer.workers.auth.change import AuthDatabase, Change
from hyperinfer.workers.auth.guesses import Guesses
from hyperinfer.workers.auth.models import PasswordReset, User
from hyperinfer.workers.auth.noting import Notes
from hyperinfer.workers.auth.origin import LOCAL, Origin
from hyperinfer.workers.auth.passwords import Passwords, check_policy
from hyperinfer.workers.auth.sessions import end_all
from hyperinfer.workers.auth.shown import text_of
from hyperinfer.workers.auth.store import user_by_id

VALID = timedelta(hours=1)
NO_TOKEN = (
    "This token is not valid: it may be used, replaced by a newer one, or expired. Ask an administrator for another."
)


class Resets:
    """Issues tokens, and takes them once."""

    def __init__(
        self,
        database: AuthDatabase,
        actors: Actors,
        *,
        passwords: Passwords,
        guesses: Guesses,
        notes: Notes,
        clock: Clock,
    ) -> None:
        self._database = database
        self._actors = actors
        self._passwords = passwords
        self._guesses = guesses
        self._notes = notes
        self._clock = clock

    async def issue(self, request: OfAccount, origin: Origin) -> NewReset:
        """A token for a person, by an administrator; older ones end. Raises `NotFound`."""
        async with self._actors.change(origin, people.ISSUE_RESET) as (change, _who):
            user = await user_by_id(change.session, request.id)
            if user is None:
                raise NotFound("There is no such account.")
            made = await new_reset(change, user, now=self._clock.now())
            await change.audit("password.reset_issued", target=user.id)
            return made

    async def use(self, request: ResetPassword, origin: Origin = LOCAL) -> Nothing:
        """Set a password, and end every session of the account.

        Raises `Forbidden` for a token that is not valid, `BadRequest` for a password that the policy refuses,
        `RateLimited`, `Overloaded`.
        """
        digest = one_time.digest_of(request.token, one_time.RESET)
        try:
            with self._guesses.telling(origin.remote):
                async with self._database.read() as rows:
                    _, user = await self._found(rows, digest)
                check_policy(request.password, names=(user.username, user.email))
                password_hash = await self._passwords.hash(request.password)
                async with self._database.change(origin) as change:
                    token, user = await self._found(change.session, digest)
                    token.used_at = self._clock.now()
                    user.password_hash = password_hash
                    await _end_older(change.session, user)
                    await end_all(change, user.id, self._clock.now())
                    await change.audit("password.reset", target=user.id, details={"by": "token"})
        except Forbidden as error:
            self._notes.refused(origin, "password.reset", details={"reason": error.code})
            raise
        return Nothing()

    async def _found(self, rows: AsyncSession, digest: str | None) -> tuple[PasswordReset, User]:
        wanted = select(PasswordReset).where(PasswordReset.token_hash == digest)
        token = await rows.scalar(wanted) if digest else None
        if token is None or token.used_at is not None or token.expires_at <= self._clock.now():
            raise Forbidden(NO_TOKEN, param="token")
        return token, await rows.get_one(User, token.user_id)


async def new_reset(change: Change, user: User, *, now: datetime) -> NewReset:
    """A token for an account; older ones end."""
    await _end_older(change.session, user)
    token = one_time.mint(one_time.RESET)
    row = PasswordReset(
        id=str(uuid.uuid4()),
        user_id=user.id,
        token_hash=api_keys.digest(token),
        created_at=now,
        expires_at=now + VALID,
        used_at=None,
    )
    change.session.add(row)
    return NewReset(token=token, expires_at=text_of(row.expires_at), account_id=user.id)


async def _end_older(rows: AsyncSession, user: User) -> None:
    """Forget the tokens of an account that have not been used."""
    unused = PasswordReset.used_at.is_(None)
    await rows.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id, unused))
