"""Reading an answer that a server of OpenAI's kind streams: bytes in, pieces of the answer out, and in the end how it ended."""

from collections.abc import Callable, Sequence

import msgspec

from hyperinfer.contracts.openai import Chunk, ChunkChoice, CompletionUsage
from hyperinfer.errors import BackendFailed, TooLarge
from hyperinfer.protocol.sse import EventReader
from hyperinfer.workers.inference.backends import End

DONE = b"[DONE]"
MAX_CHOICES = 128

_chunk = msgspec.json.Decoder(Chunk)


class ChunkReader:
    """One answer as it comes. No I/O; `who` is the server's name in errors, `decode` makes a chunk of an event."""

    def __init__(self, who: str, *, decode: Callable[[bytes], Chunk] = _chunk.decode) -> None:
        self._who = who
        self._decode = decode
        self._events = EventReader()
        self._reasons: dict[int, str] = {}
        self._stopped_by = ""
        self.usage: CompletionUsage | None = None
        self.done = False

    def take(self, piece: bytes) -> Sequence[ChunkChoice]:
        """What these bytes add. Raises `BackendFailed` for what is no chunk, and for a failure that the server reports."""
        added: list[ChunkChoice] = []
        try:
            for data in self._events.feed(piece):
                if data == DONE:
                    self.done = True
                    break
                self._take_chunk(self._decode(data), added)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TooLarge) as error:
            raise BackendFailed(f"{self._who}'s answer makes no sense.") from error
        return added

    def end(self, *, estimate: CompletionUsage | None = None) -> End:
        """How it ended; `estimate` stands in for a usage that was not told.

        Raises `BackendFailed` if it did not say of every choice, or of the usage.
        """
        reasons = tuple(reason for _, reason in sorted(self._reasons.items()))
        usage = self.usage or estimate
        if not reasons or usage is None or max(self._reasons) != len(reasons) - 1:
            raise BackendFailed(f"{self._who}'s answer ended without a reason or its usage.")
        return End(finish_reasons=reasons, usage=usage, stopped_by=self._stopped_by if len(reasons) == 1 else "")

    def _take_chunk(self, chunk: Chunk, added: list[ChunkChoice]) -> None:
        if chunk.error is not None:
            raise BackendFailed(f"{self._who} failed in mid-answer.")
        if chunk.usage is not None:
            self.usage = chunk.usage
        self._stopped_by = chunk.stopped_by or self._stopped_by
        for choice in chunk.choices:
            if not 0 <= choice.index < MAX_CHOICES:
                raise BackendFailed(f"{self._who}'s answer makes no sense.")
            delta = choice.delta
            said = delta.content or delta.reasoning_content or delta.refusal or delta.tool_calls is not msgspec.UNSET
            if said or _is_told(choice.logprobs):
                added.append(choice)
            if choice.finish_reason is not None:
                self._reasons[choice.index] = choice.finish_reason


def _is_told(logprobs: msgspec.Raw | msgspec.UnsetType) -> bool:
    """Whether there are logprobs; a token that ends in the middle of a letter has some, and no text yet."""
    return logprobs is not msgspec.UNSET and bytes(logprobs) != b"null"
