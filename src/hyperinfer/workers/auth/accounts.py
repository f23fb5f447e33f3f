"""What people do with their own account: look at it, change it, take it along, and end it."""

from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.contracts import people
from hyperinfer.contracts.directory import USER
from hyperinfer.contracts.method import Method, Nothing
from hyperinfer.contracts.people import Account, ChangePassword, Export, UpdateAccount, WithPassword
from hyperinfer.errors import BadRequest, Conflict, Forbidden, RateLimited
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.auth import names
from hyperinfer.workers.auth.actors import Acting, Actors
from hyperinfer.workers.auth.change import AuthDatabase, Change
from hyperinfer.workers.auth.export import everything_on
from hyperinfer.workers.auth.guesses import Guesses
from hyperinfer.workers.auth.models import User
from hyperinfer.workers.auth.noting import Notes
from hyperinfer.workers.auth.origin import Origin
from hyperinfer.workers.auth.passwords import Passwords, check_policy
from hyperinfer.workers.auth.records import user_record
from hyperinfer.workers.auth.registration import TAKEN
from hyperinfer.workers.auth.removal import check_not_last_admin, forget_requests, remove
from hyperinfer.workers.auth.sessions import end_all
from hyperinfer.workers.auth.shown import account_of
from hyperinfer.workers.auth.store import user_named

WRONG_PASSWORD = "This is not your current password."


class Accounts:
    """A person's own account."""

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

    async def get(self, request: Nothing, origin: Origin) -> Account:
        """The account of who asks."""
        async with self._actors.read(origin, people.GET_ACCOUNT) as (_rows, who):
            return account_of(who.user)

    async def update(self, request: UpdateAccount, origin: Origin) -> Account:
        """Another name or e-mail. Raises `BadRequest`, `Conflict` for a taken one, `Forbidden` for a wrong password."""
        email = names.email_of(request.email) if request.email is not None else None
        username = names.username_of(request.username) if request.username is not None else None
        names.check_not_reserved(email or "", username)
        checked = None
        if email is not None:
            if not request.password:
                raise BadRequest("A new e-mail takes the password.", param="password")
            checked = await self._checked(people.UPDATE_ACCOUNT, request.password, origin)
        async with self._actors.change(origin, people.UPDATE_ACCOUNT) as (change, who):
            if checked is not None:
                _check_same(who.user, checked)
            changed = [await self._renamed(change, who.user, "username", username)] if username else []
            changed += [await self._renamed(change, who.user, "email", email)] if email else []
            if any(changed):
                await change.publish(USER, who.user.id, user_record(who.user))
                details = {"changed": " ".join(filter(None, changed))}
                await change.audit("account.changed", target=who.user.id, details=details)
            return account_of(who.user)

    async def change_password(self, request: ChangePassword, origin: Origin) -> Nothing:
        """A new password, by who knows the current one; every other session ends.

        Raises `Forbidden` for a wrong one, `BadRequest` for one that the policy refuses, `RateLimited`, `Overloaded`.
        """
        checked = await self._checked(people.CHANGE_PASSWORD, request.current, origin)
        check_policy(request.new, names=(checked.username, checked.email))
        password_hash = await self._passwords.hash(request.new)
        async with self._actors.change(origin, people.CHANGE_PASSWORD) as (change, who):
            _check_same(who.user, checked)
            who.user.password_hash = password_hash
            await end_all(change, who.user.id, self._clock.now(), but=_session_of(who))
            await change.audit("password.changed", target=who.user.id)
        return Nothing()

    async def delete(self, request: WithPassword, origin: Origin) -> Nothing:
        """End the account, and forget whose it was. Raises `Forbidden`, `Conflict` for the last administrator."""
        checked = await self._checked(people.DELETE_ACCOUNT, request.password, origin)
        async with self._actors.change(origin, people.DELETE_ACCOUNT) as (change, who):
            await check_not_last_admin(change, who.user)
        await forget_requests(self._database, checked.id)
        async with self._actors.change(origin, people.DELETE_ACCOUNT) as (change, who):
            _check_same(who.user, checked)
            await remove(change, who.user, "account.deleted")
        return Nothing()

    async def export(self, request: Nothing, origin: Origin) -> Export:
        """All that is kept of who asks."""
        async with self._actors.change(origin, people.EXPORT_ACCOUNT) as (change, who):
            await change.audit("account.exported", target=who.user.id)
        async with self._actors.read(origin, people.EXPORT_ACCOUNT) as (rows, who):
            document = await everything_on(rows, who.user, now=self._clock.now())
        return Export(document=msgspec.Raw(msgspec.json.encode(document)))

    async def _checked(self, method: Method[Any, Any], password: str, origin: Origin) -> User:
        """Who asks, having said the password. Raises `Forbidden`, `RateLimited`, `Overloaded`."""
        async with self._actors.read(origin, method) as (_rows, who):
            user = who.user
        try:
            with self._guesses.password(user.id):
                if not await self._passwords.verify(user.password_hash, password):
                    raise Forbidden(WRONG_PASSWORD, param="password")
        except (Forbidden, RateLimited) as error:
            self._notes.refused(origin, "password.asked", target=user.id, details={"reason": error.code})
            raise
        return user

    async def _renamed(self, change: Change, user: User, field: str, name: str) -> str:
        """Give the account a name that nobody else has; which of its fields has changed."""
        if getattr(user, field) == name:
            return ""
        await _check_free(change.session, name)
        setattr(user, field, name)
        await change.session.flush()
        return field


async def _check_free(rows: AsyncSession, name: str) -> None:
    if await user_named(rows, name) is not None:
        raise Conflict(TAKEN)


def _check_same(user: User, checked: User) -> None:
    """Raise `Conflict` if the password has been changed since it was checked."""
    if user.password_hash != checked.password_hash:
        raise Conflict("The password has just been changed elsewhere; try again with the new one.")


def _session_of(who: Acting) -> str | None:
    return who.session.id if who.session else None
