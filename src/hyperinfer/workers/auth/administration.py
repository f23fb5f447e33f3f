"""What administrators do with the accounts of others."""

from datetime import UTC, datetime

from sqlalchemy import Select, and_, or_, select

from hyperinfer.contracts import people
from hyperinfer.contracts.directory import USER
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import (
    Account,
    Accounts,
    ChangeAccount,
    CreateAccount,
    CreatedAccount,
    FindAccounts,
    OfAccount,
    Tier,
    Tiers,
)
from hyperinfer.errors import BadRequest, NotFound
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.auth import names, tiers
from hyperinfer.workers.auth.actors import Actors
from hyperinfer.workers.auth.change import AuthDatabase, Change
from hyperinfer.workers.auth.models import User
from hyperinfer.workers.auth.origin import Origin
from hyperinfer.workers.auth.records import stored, user_record
from hyperinfer.workers.auth.registration import Newcomer, Registration, new_user
from hyperinfer.workers.auth.removal import check_not_last_admin, forget_requests, remove
from hyperinfer.workers.auth.resets import new_reset
from hyperinfer.workers.auth.sessions import end_all
from hyperinfer.workers.auth.shown import account_of
from hyperinfer.workers.auth.store import user_by_id, uuid_of

NO_ACCOUNT = "There is no such account."


class Administration:
    """Accounts, as administrators find, make, change and remove them."""

    def __init__(
        self,
        database: AuthDatabase,
        actors: Actors,
        *,
        registration: Registration,
        known: tiers.Tiers,
        clock: Clock,
    ) -> None:
        self._database = database
        self._actors = actors
        self._registration = registration
        self._tiers = known
        self._clock = clock

    async def find(self, request: FindAccounts, origin: Origin) -> Accounts:
        """A page of accounts, oldest first. Raises `BadRequest` for a cursor that makes no sense."""
        wanted = select(User).order_by(User.created_at, User.id)
        part = names.name_of(request.query)
        if part and not part.isprintable():
            return Accounts()
        if part:
            wanted = wanted.where(
                or_(User.username.contains(part, autoescape=True), User.email.contains(part, autoescape=True))
            )
        if request.cursor is not None:
            wanted = _after(wanted, request.cursor)
        async with self._actors.read(origin, people.LIST_ACCOUNTS) as (rows, _who):
            found = (await rows.scalars(wanted.limit(request.limit + 1))).all()
        page = found[: request.limit]
        return Accounts(
            accounts=tuple(map(account_of, page)), next=_cursor(page[-1]) if len(found) > request.limit else None
        )

    async def show(self, request: OfAccount, origin: Origin) -> Account:
        """One account. Raises `NotFound`."""
        async with self._actors.read(origin, people.SHOW_ACCOUNT) as (rows, _who):
            return account_of(_there(await user_by_id(rows, request.id)))

    async def create(self, request: CreateAccount, origin: Origin) -> CreatedAccount:
        """A new account; without a password, with a token to set one. Raises `BadRequest`, `Conflict`."""
        email = names.email_of(request.email)
        username = names.username_of(request.username) if request.username else None
        names.check_not_reserved(email, username)
        tier = self._tiers.known(request.tier)
        newcomer = Newcomer(email, username, request.password, role=request.role, tier=tier)
        async with self._actors.read(origin, people.CREATE_ACCOUNT):
            pass  # before a password is hashed for who may not ask
        password_hash = await self._registration.hashed(newcomer)
        async with self._actors.change(origin, people.CREATE_ACCOUNT) as (change, _who):
            user = await new_user(change, newcomer, password_hash, now=self._clock.now())
            reset = None if request.password else await new_reset(change, user, now=self._clock.now())
            details = {"role": user.role, "tier": user.tier}
            await change.audit("admin.account_created", target=user.id, details=details)
            return CreatedAccount(account=account_of(user), reset=reset)

    async def change(self, request: ChangeAccount, origin: Origin) -> Account:
        """Change role, tier, limits, or whether somebody may come in.

        Raises `NotFound`, `BadRequest`, and `Conflict` for what would leave nobody to administer.
        """
        if request.tier is not None:
            self._tiers.known(request.tier)
        async with self._actors.change(origin, people.CHANGE_ACCOUNT) as (change, _who):
            user = _there(await user_by_id(change.session, request.id))
            changed = await self._apply(change, user, request)
            if changed:
                await change.publish(USER, user.id, user_record(user))
                await change.audit("admin.account_changed", target=user.id, details=changed)
            return account_of(user)

    async def remove(self, request: OfAccount, origin: Origin) -> Nothing:
        """Remove an account. Raises `NotFound`, and `Conflict` for the last administrator."""
        async with self._actors.change(origin, people.REMOVE_ACCOUNT) as (change, _who):
            user = _there(await user_by_id(change.session, request.id))
            await check_not_last_admin(change, user)
        await forget_requests(self._database, user.id)
        async with self._actors.change(origin, people.REMOVE_ACCOUNT) as (change, _who):
            await remove(change, _there(await user_by_id(change.session, request.id)), "admin.account_removed")
        return Nothing()

    async def list_tiers(self, request: Nothing, origin: Origin) -> Tiers:
        """Every tier and what it limits."""
        async with self._actors.read(origin, people.LIST_TIERS):
            return Tiers(tiers=tuple(Tier(name=name, limits=limits) for name, limits in self._tiers.items()))

    async def _apply(self, change: Change, user: User, request: ChangeAccount) -> dict[str, str]:
        """Do it; what has changed, as the audit log has it."""
        changed: dict[str, str] = {}
        is_demoted = request.role is not None and request.role != "admin"
        if is_demoted or request.is_active is False:
            await check_not_last_admin(change, user)
        if request.role is not None and request.role != user.role:
            user.role = changed["role"] = request.role
        if request.tier is not None and request.tier != user.tier:
            user.tier = changed["tier"] = request.tier
        if request.limits is not None and stored(request.limits) != user.limits:
            user.limits = stored(request.limits)
            changed["limits"] = " ".join(f"{name}={value}" for name, value in (user.limits or {}).items()) or "none"
        if request.is_active is not None and request.is_active != user.is_active:
            user.is_active = request.is_active
            changed["active"] = "yes" if user.is_active else "no"
            if not user.is_active:
                await end_all(change, user.id, self._clock.now())
        await change.session.flush()
        return changed


def _there(user: User | None) -> User:
    if user is None:
        raise NotFound(NO_ACCOUNT)
    return user


def _cursor(user: User) -> str:
    return f"{user.created_at.isoformat()}~{user.id}"


def _after(wanted: Select[User], cursor: str) -> Select[User]:
    """What comes after the account that a cursor names."""
    moment, _, account = cursor.partition("~")
    try:
        created_at, id_ = datetime.fromisoformat(moment), uuid_of(account)
        if id_ is None or created_at.tzinfo is None:
            raise ValueError(cursor)
        created_at = created_at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRequest("This cursor is not one that a page of accounts gave.", param="cursor") from error
    later = User.created_at > created_at
    return wanted.where(or_(later, and_(User.created_at == created_at, User.id > id_)))
