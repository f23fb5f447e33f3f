"""How a response is written: as one object, or as events."""

import secrets
import string
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw

from hyperinfer.contracts.gateway import Inferred
from hyperinfer.contracts.openai import CompletionUsage
from hyperinfer.edge.dialects.openai_responses.answers import Response
from hyperinfer.edge.dialects.openai_responses.composer import Composer
from hyperinfer.edge.dialects.openai_responses.events import Event, encoded
from hyperinfer.edge.dialects.openai_responses.said import SaidCompletion, numbered
from hyperinfer.errors import BackendFailed, HyperinferError
from hyperinfer.facilities.clock import Clock, SystemClock

NOISE = string.ascii_letters + string.digits
EVEN_CHARS = 16
"""With noise, what an event adds has a length that is a multiple of this."""

_clock = SystemClock()
_completion = msgspec.json.Decoder(SaidCompletion)
_encode = msgspec.json.Encoder().encode


class ResponseForm:
    """Writes the answer to one request."""

    stream_type = b"text/event-stream; charset=utf-8"

    def __init__(self, asked_for: Response, *, noisy: bool = False, clock: Clock = _clock) -> None:
        self._composer = Composer(asked_for, noise=noise if noisy else None)
        self._clock = clock
        self._reason: str | None = None
        self._usage: CompletionUsage | None = None

    def whole(self, inferred: Inferred) -> bytes:
        """The response."""
        for _ in (*self._take(inferred.processed.completion), *self._end()):
            pass  # what is said of its making is for streams
        return _encode(self._composer.response)

    def chunks(self, chunks: Sequence[bytes]) -> bytes:
        """The events of what these add."""
        return b"".join(encoded(event) for chunk in chunks for event in self._take(chunk))

    def end(self) -> bytes:
        """The events that end it."""
        return b"".join(map(encoded, self._end()))

    def failed(self, error: HyperinferError) -> bytes:
        """The events that say why it broke off."""
        return b"".join(map(encoded, self._composer.fail(error)))

    def _take(self, data: bytes | Raw) -> Iterator[Event]:
        try:
            completion = _completion.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BackendFailed("The model's answer makes no sense.") from error
        if not self._composer.begun:
            yield from self._composer.begin(completion.id, completion.created, completion.model)
        self._usage = completion.usage or self._usage
        for choice in completion.choices:
            if choice.index == 0:
                said = choice.delta if choice.message is None else numbered(choice.message)
                yield from self._composer.take(said, choice.tokens)
                self._reason = choice.finish_reason or self._reason

    def _end(self) -> Iterator[Event]:
        if self._reason is None:
            raise BackendFailed("The model's answer ended without a reason.")
        now = int(self._clock.now().timestamp())
        yield from self._composer.end(self._reason, self._usage, at=now)


def noise(added: str) -> str:
    """Random letters and digits that fill a text up to an even length."""
    return "".join(secrets.choice(NOISE) for _ in range(-len(added) % EVEN_CHARS))
