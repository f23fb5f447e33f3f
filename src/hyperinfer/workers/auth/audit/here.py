"""The audit log on the machine where auth lives: opened beside a running auth, and verified."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.contracts.audit import AuditHead
from hyperinfer.errors import StartError
from hyperinfer.facilities.store import Database, opened, url_of
from hyperinfer.workers.auth.audit import heads, marks
from hyperinfer.workers.auth.audit.given import sent_along
from hyperinfer.workers.auth.audit.key import read_key
from hyperinfer.workers.auth.audit.verify import Progress, unseen, verify
from hyperinfer.workers.auth.audit.walk import Begin, Verdict
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import AuditLogRow
from hyperinfer.workers.auth.parts import DATABASE


@dataclass(frozen=True, slots=True)
class Report:
    """What verifying has shown, from where it began, and how many lines of the published heads are damaged."""

    verdict: Verdict
    begin: Begin
    damaged: int

    @property
    def intact(self) -> bool:
        """Whether everything fits."""
        return self.verdict.intact and not self.damaged


@asynccontextmanager
async def audit_here(data: Path, settings: AuthSettings) -> AsyncIterator[AsyncEngine]:
    """The database of the log, as it is: nothing is made or upgraded. Raises `StartError` where there is no log."""
    url = url_of(settings.database_url, default=data / DATABASE)
    if url.get_backend_name() == "sqlite" and not _is_file(str(url.database)):
        raise StartError(f"There is no audit log here: the database {url.database} does not exist.")
    async with opened(url) as engine:
        try:
            async with engine.connect() as connection:
                there = await connection.run_sync(lambda sync: inspect(sync).has_table(AuditLogRow.__tablename__))
        except (SQLAlchemyError, OSError) as error:
            raise StartError(f"The database cannot be opened: {getattr(error, 'orig', None) or error}.") from error
        if not there:
            raise StartError("The database is older than the audit log; `hyperinfer db upgrade` brings it up to date.")
        yield engine


async def verify_here(
    engine: AsyncEngine,
    data: Path,
    swarm: Path,
    *,
    given: Sequence[AuditHead] = (),
    progress: Progress = unseen,
) -> Report:
    """Verify the log against every head that this machine knows to be published, and those given.

    Raises `IdentityError` for a key that is gone or damaged, `StartError`, `Unavailable`.
    """
    known = marks.read(data)
    begin = marks.begin(known)
    published = heads.read(data)
    sent = sent_along(swarm)
    standing = heads.standing((*published.heads, *([sent] if sent else [])), known)
    verdict = await verify(Database(engine), read_key(data), heads=(*standing, *given), begin=begin, progress=progress)
    return Report(verdict, begin, published.damaged)


def _is_file(path: str) -> bool:
    return Path(path).is_file()
