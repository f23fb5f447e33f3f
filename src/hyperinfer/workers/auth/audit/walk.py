"""Following the chain of the audit log row by row, in constant memory. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from hyperinfer.contracts.audit import AuditHead
from hyperinfer.workers.auth.audit.chain import START, Entry, is_linked

SHOWN = 100
"""Problems that are told one by one."""

Kind = Literal["altered", "removed", "cut_off", "added", "replaced", "head", "key"]
"""What is wrong: rows that do not fit their link; missing between others; missing at the end; more than were written;
others than a published head names; the row `heads` altered; no row fits the key."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with rows `first` to `last`."""

    kind: Kind
    first: int
    last: int
    said: str


@dataclass(frozen=True, slots=True)
class Begin:
    """Where following begins: after row `seq`, whose link is `link`. `at` is set where the log was begun anew there."""

    seq: int = 0
    link: str = START
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class End:
    """What the database says of the log's end: number and link of the newest row by the row `heads`, and the greatest
    number among the rows themselves."""

    seq: int
    link: str
    last: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What following the chain has shown: `rows` were looked at, `heads` published ones compared.

    `problems` are the first `SHOWN` of `found`. The log is intact where none was found.
    """

    rows: int
    last: int
    heads: int
    found: int
    problems: tuple[Problem, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether everything fits."""
        return not self.found


@dataclass(slots=True)
class Walk:
    """Takes rows in the order of their numbers, then tells what is wrong with them."""

    key: bytes
    begin: Begin = field(default_factory=Begin)
    heads: Iterable[AuditHead] = ()
    last: int = field(init=False)
    _before: str | None = field(init=False)  # unknown after a gap
    _published: dict[int, list[AuditHead]] = field(init=False, default_factory=dict)
    _compared: int = field(init=False, default=0)
    _rows: int = field(init=False, default=0)
    _fitting: int = field(init=False, default=0)
    _checked: int = field(init=False, default=0)
    _found: int = field(init=False, default=0)
    _problems: list[Problem] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.last, self._before = self.begin.seq, self.begin.link
        for head in self.heads:
            same = self._published.setdefault(head.seq, []) if head.seq > self.begin.seq else None
            if same is not None and all(head.link != other.link for other in same):
                same.append(head)
                self._compared += 1

    def take(self, entry: Entry, link: str) -> None:
        """Take the next row, whose number is greater than the last one's."""
        if entry.seq > self.last + 1:
            self._tell("removed", self.last + 1, entry.seq - 1, f"Missing; row {entry.seq} cannot be checked either.")
            self._before = None
        if self._before is not None:
            self._checked += 1
            if is_linked(entry, link, before=self._before, key=self.key):
                self._fitting += 1
            else:
                self._tell("altered", entry.seq, entry.seq, "Does not fit its link: altered, or moved here.")
        for head in self._published.pop(entry.seq, ()):
            if head.link != link:
                self._tell("replaced", entry.seq, entry.seq, f"Not the row of the head published at {_text(head)}.")
        self.last, self._before = entry.seq, link
        self._rows += 1

    def end(self, end: End) -> Verdict:
        """The verdict, once every row up to `end.last` has been taken."""
        if self._checked and not self._fitting:
            # One reason for all of them is likelier, and more useful to hear, than so many alterations.
            self._problems = [one for one in self._problems if one.kind != "altered"]
            self._found -= self._checked
            said = "No row fits the key: it is not the one that they were written with, or every row was altered."
            self._tell("key", self.begin.seq + 1, self.last, said)
        self._compare_end(end)
        return Verdict(self._rows, self.last, self._compared, self._found, tuple(self._problems))

    def _compare_end(self, end: End) -> None:
        beyond = [head for heads in self._published.values() for head in heads]
        gone = max((end.seq, *(head.seq for head in beyond)))
        if gone > self.last:
            witness = max(beyond, key=lambda head: head.seq, default=None)
            said = f"as the head published at {_text(witness)} shows" if witness else "by the row heads"
            self._tell("cut_off", self.last + 1, gone, f"Missing at the end, {said}.")
        if end.last < self.begin.seq:
            self._tell("cut_off", end.last + 1, self.begin.seq, "Missing, with the row that the log goes on from.")
        elif end.seq < self.last:
            self._tell("added", end.seq + 1, self.last, f"The row heads says that {end.seq} is the last.")
        elif end.seq == self.last and self._before is not None and end.link != self._before:
            self._tell("head", self.last, self.last, "The row heads names another link than the last row has.")

    def _tell(self, kind: Kind, first: int, last: int, said: str) -> None:
        self._found += 1
        if len(self._problems) < SHOWN:
            self._problems.append(Problem(kind, first, last, said))


def _text(head: AuditHead) -> str:
    return head.at.isoformat(timespec="seconds")
