"""What a journal says: which requests were never settled, what is still to be delivered, what token windows held. Pure."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable

import msgspec

from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import StartError
from hyperinfer.workers.gateway.journal import lines
from hyperinfer.workers.gateway.journal.lines import Note, TokenWindow
from hyperinfer.workers.gateway.journal.segments import Found


class Replay:
    """Reads lines in their order. `damaged` counts those that could not be read."""

    def __init__(self) -> None:
        self.unsettled: dict[str, UsageRecord] = {}
        self.windows: dict[tuple[str, str], TokenWindow] = {}
        self.delivered = 0
        self.damaged = 0
        self._settled = array("Q")

    @property
    def waiting(self) -> int:
        """How many records have been settled and not delivered."""
        return len(self._settled) - bisect_right(self._settled, self.delivered)

    def take(self, found: Iterable[Found]) -> None:
        """Read on. Raises `StartError` if a newer version of the product has written this."""
        for position, kind, text in found:
            try:
                self._take(position, kind, text)
            except msgspec.DecodeError:
                self.damaged += 1

    def _take(self, position: int, kind: bytes, text: bytes) -> None:
        if kind == lines.BEGUN:
            record = lines.records.decode(text)
            self.unsettled[record.id] = record
        elif kind == lines.NOTED:
            for note in lines.notes.decode(text):
                if begun := self.unsettled.get(note.id):
                    self.unsettled[note.id] = noted(begun, note)
        elif kind == lines.SETTLED:
            self.unsettled.pop(lines.records.decode(text).id, None)
            self._settled.append(position)
        elif kind == lines.KEPT:
            for window in lines.windows.decode(text):
                self.windows[(window.subject, window.kind)] = window
        elif kind == lines.DELIVERED:
            self.delivered = max(self.delivered, msgspec.json.decode(text, type=int))
        elif kind == lines.FORMAT:
            if msgspec.json.decode(text, type=int) > lines.VERSION:
                raise StartError("The journal of usage was written by a newer version of hyperinfer.")
        else:
            self.damaged += 1


def noted(record: UsageRecord, note: Note) -> UsageRecord:
    """A record of a request under way with what it has used since."""
    return msgspec.structs.replace(
        record,
        prompt_tokens=note.prompt_tokens,
        completion_tokens=note.completion_tokens,
        duration_ms=note.duration_ms,
        first_token_ms=note.first_token_ms,
        model=record.model if note.model is None else note.model,
        worker=record.worker if note.worker is None else note.worker,
    )
