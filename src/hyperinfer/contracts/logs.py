"""Log lines of the swarm's workers, gathered from where they were written."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hyperinfer.contracts.method import ADMIN, Method, Wire, members

Level = Literal["debug", "info", "warning", "error"]
MAX_LINES = 1000


class LogQuery(Wire, frozen=True):
    """Lines, oldest first: of one request, of one trace, of one worker (its name), from a level on, within a time (RFC 3339).

    `limit` is for the newest ones that match. With `follow` the call is a stream which goes on with lines as they are written, until
    it is cancelled or its deadline comes.
    """

    request_id: Annotated[str, Meta(max_length=128)] | None = None
    trace_id: Annotated[str, Meta(max_length=32)] | None = None
    worker: Annotated[str, Meta(max_length=100)] | None = None
    level: Level | None = None
    since: Annotated[str, Meta(max_length=40)] | None = None
    until: Annotated[str, Meta(max_length=40)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_LINES)] = 200
    follow: bool = False


class LogPage(Wire, frozen=True, omit_defaults=False):
    """Lines as they were written, each a JSON object with `timestamp`, `level`, `event`, `worker` and more; chunks of a stream are
    pages too. `missing` are workers that could not be asked, by name, with why in a sentence."""

    lines: tuple[msgspec.Raw, ...] = ()
    missing: dict[str, str] = {}


READ_LOGS = Method("readLogs", LogQuery, LogPage, members("metrics"), streams=True, quiet=True)
"""A worker's own lines."""
GATHER_LOGS = Method("gatherLogs", LogQuery, LogPage, ADMIN, streams=True)
"""Those of every worker, merged by time."""
