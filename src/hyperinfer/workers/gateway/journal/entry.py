"""One request in the journal: reserved before it is forwarded, followed while it runs, settled once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import msgspec
import uuid_utils

from hyperinfer.contracts.inference import Usage
from hyperinfer.contracts.usage import Status, UsageRecord
from hyperinfer.workers.gateway.journal.lines import Note

KILLED = "GATEWAY_KILLED"
"""Error code of a request that its gateway did not live to settle."""
MAX_LABEL_CHARS = 128
MAX_MODEL_CHARS = 200
MAX_TOKENS = 2**31


class Course(Protocol):
    """How far a request has come, as `progress.Progress` knows it at every moment."""

    @property
    def model(self) -> str:
        """The model that answers; empty while none has been chosen."""

    @property
    def worker(self) -> str:
        """The worker that has it, as a hex key; empty while none has."""

    @property
    def usage(self) -> Usage:
        """What has been used so far."""

    @property
    def estimated(self) -> bool:
        """Whether `usage` is not the engine's own count."""

    @property
    def duration_s(self) -> float:
        """How long it has taken so far."""

    @property
    def first_token_s(self) -> float | None:
        """When the first chunk came, if one has."""


class Reserved(msgspec.Struct, frozen=True):
    """What is known of a request before it is forwarded. `model` is the one that was asked for, `request_id` the
    caller's own label of it."""

    user_id: str
    key_id: str | None
    model: str
    kind: str
    prompt_hash: str
    request_id: str | None


class Entry:
    """A request that has begun. To be settled whatever ends it; `record` is what the journal's files say of it."""

    __slots__ = ("_course", "_is_settled", "_on_settled", "record")

    def __init__(
        self, reserved: Reserved, course: Course, *, now: datetime, on_settled: Callable[[Entry], None]
    ) -> None:
        self.record = UsageRecord(
            id=str(uuid_utils.uuid7()),
            user_id=reserved.user_id,
            started_at=now,
            status="error",
            model=_model(reserved.model),
            api_key_id=reserved.key_id,
            kind=reserved.kind,
            prompt_hash=reserved.prompt_hash,
            request_id=_label(reserved.request_id) if reserved.request_id else None,
            error_code=KILLED,
            estimated=True,
        )
        self._course = course
        self._on_settled = on_settled
        self._is_settled = False

    @property
    def id(self) -> str:
        """The usage id."""
        return self.record.id

    def settle(self, status: Status, *, error_code: str | None = None) -> UsageRecord:
        """Say how the request has ended; what it has used is what its course says now. Once settled it stays so.

        Never fails: what cannot be written now is kept in memory until it can.
        """
        if not self._is_settled:
            self._is_settled = True
            self.record = self._ended(status, error_code)
            self._on_settled(self)
        return self.record

    def note(self) -> Note | None:
        """What the request has used by now; nothing if the journal's files say the same."""
        course, written = self._course, self.record
        usage = course.usage
        if (usage.prompt_tokens, usage.completion_tokens) == (written.prompt_tokens, written.completion_tokens):
            return None
        model = _model(course.model) or written.model
        return Note(
            id=written.id,
            prompt_tokens=_tokens(usage.prompt_tokens),
            completion_tokens=_tokens(usage.completion_tokens),
            duration_ms=_ms(course.duration_s),
            first_token_ms=None if course.first_token_s is None else _ms(course.first_token_s),
            model=None if model == written.model else model,
            worker=None if course.worker == written.worker else course.worker,
        )

    def _ended(self, status: Status, error_code: str | None) -> UsageRecord:
        begun, course = self.record, self._course
        usage = course.usage
        return UsageRecord(
            id=begun.id,
            user_id=begun.user_id,
            started_at=begun.started_at,
            status=status,
            model=_model(course.model) or begun.model,
            api_key_id=begun.api_key_id,
            kind=begun.kind,
            worker=course.worker,
            prompt_hash=begun.prompt_hash,
            request_id=begun.request_id,
            error_code=error_code,
            prompt_tokens=_tokens(usage.prompt_tokens),
            completion_tokens=_tokens(usage.completion_tokens),
            first_token_ms=None if course.first_token_s is None else _ms(course.first_token_s),
            duration_ms=_ms(course.duration_s),
            estimated=course.estimated and usage.total_tokens > 0,
        )


def _model(name: str) -> str:
    return name[:MAX_MODEL_CHARS]


def _tokens(count: int) -> int:
    """A count within what a record can hold: workers tell it, and may tell anything."""
    return min(max(count, 0), MAX_TOKENS)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _label(text: str) -> str:
    """A caller's label as a record can hold it: bounded, and text that every store takes."""
    kept = text[:MAX_LABEL_CHARS]
    return kept if kept.isascii() and kept.isprintable() else "".join(c if c.isprintable() else "?" for c in kept)
