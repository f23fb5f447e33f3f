"""The end of an account: it and all that is its own goes; what it has used stays in the sums, nameless."""

from sqlalchemy import select, update

from hyperinfer.contracts.directory import KEY, USER
from hyperinfer.errors import Conflict
from hyperinfer.workers.auth.change import AuthDatabase, Change
from hyperinfer.workers.auth.models import ApiKeyRow, RequestLog, User
from hyperinfer.workers.auth.store import has_another_admin

BATCH = 1000
LAST_ADMIN = "This is the last administrator who may log in; make another one first."


async def forget_requests(database: AuthDatabase, user_id: str) -> None:
    """Take the name off a person's single requests, a few at a time: there may be a million, and the change that removes
    the account, which does the same with what is left, holds up all others. Raises `Unavailable`."""
    named = select(RequestLog.id).where(RequestLog.user_id == user_id).limit(BATCH)
    while True:
        async with database.write() as rows:
            ids = (await rows.scalars(named)).all()
            nameless = update(RequestLog).where(RequestLog.id.in_(ids)).values(user_id=None, api_key_id=None)
            await rows.execute(nameless.execution_options(synchronize_session=False))
        if len(ids) < BATCH:
            return


async def check_not_last_admin(change: Change, user: User) -> None:
    """Raise `Conflict` if nobody could administer without this person."""
    if user.role == "admin" and user.is_active and not await has_another_admin(change.session, user.id):
        raise Conflict(LAST_ADMIN)


async def remove(change: Change, user: User, action: str) -> None:
    """Remove an account, which is audited as `action`. Raises `Conflict` for the last administrator."""
    await check_not_last_admin(change, user)
    # While it is still told apart: the random name that the log has for it goes with it.
    await change.audit(action, target=user.id)
    for key_id in (await change.session.scalars(select(ApiKeyRow.id).where(ApiKeyRow.user_id == user.id))).all():
        await change.publish(KEY, key_id, None)
    await change.publish(USER, user.id, None)
    await change.session.delete(user)
