"""Writing lines in their order, whatever the disk does: what cannot be written now waits in memory, and comes first."""

import errno
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.gateway.journal.segments import Segments

SEGMENT_BYTES = 8 * 1024 * 1024
"""A segment is ended once it is this long, or four times as long as what it began with if that is more."""
SAY_AGAIN_S = 60.0
"""How long a fault is said once only."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

log = structlog.get_logger(__name__)


class Writer:
    """Writes to segments, each of which begins with the lines of `head`. `on_written` is told of every other line.

    `fault` says why nothing can be written now; it is empty while all is well.
    """

    def __init__(
        self,
        segments: Segments,
        *,
        head: Callable[[], Sequence[bytes]],
        on_written: Callable[[bytes], None],
        clock: Clock,
    ) -> None:
        self._segments = segments
        self._head = head
        self._on_written = on_written
        self._clock = clock
        self._waiting: deque[bytes] = deque()
        self._head_bytes = 0
        self._said_at = -SAY_AGAIN_S
        self.fault = ""

    def write(self, line: bytes) -> None:
        """Write a line after those that wait. Raises `OSError`; it is not written then, and does not wait."""
        try:
            if self._segments.is_torn:
                self._begin_segment()
            while self._waiting:
                self._append(self._waiting[0])
                self._waiting.popleft()
            self._append(line)
        except OSError as error:
            self._failed(error)
            raise
        if self.fault:
            log.info("journal_written_again")
            self.fault = ""

    def write_sometime(self, line: bytes) -> None:
        """Write a line now or, if that fails, before the next. As no request begins meanwhile, few ever wait."""
        try:
            self.write(line)
        except OSError:
            self._waiting.append(line)

    def begin_segment(self) -> None:
        """Go on in a new segment. Raises `OSError`."""
        try:
            self._begin_segment()
        except OSError as error:
            self._failed(error)
            raise

    @property
    def is_long(self) -> bool:
        """Whether the segment has come to its length."""
        return self._segments.current_bytes > max(SEGMENT_BYTES, 4 * self._head_bytes)

    def _begin_segment(self) -> None:
        head = self._head()
        self._segments.begin(head)
        self._head_bytes = sum(map(len, head))

    def _append(self, line: bytes) -> None:
        self._segments.append(line)
        self._on_written(line)

    def _failed(self, error: OSError) -> None:
        reason, now = error.strerror or str(error), self._clock.monotonic()
        if reason != self.fault and now - self._said_at >= SAY_AGAIN_S:
            todo = "make room on the disk" if error.errno in FULL else "check the disk"
            log.error("journal_not_written", reason=reason, consequence="no request is taken", do=todo)
            self._said_at = now
        self.fault = reason
