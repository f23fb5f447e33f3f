"""Reading an answer that a server of OpenAI's kind streams: bytes in, pieces of the answer out, and in the end how it ended."""

from collections.abc import Sequence

import msgspec

from hyperinfer.contracts.openai import Chunk, ChunkChoice, CompletionUsage
from hyperinfer.errors import BackendFailed, TooLarge
from hyperinfer.protocol.sse import EventReader
from hyperinfer.workers.inference.backends import End

DONE = b"[DONE]"
MAX_CHOICES = 128

_chunk = msgspec.json.Decoder(Chunk)


class ChunkReader:
    """One answer as it comes. No I/O; `who` is the server's name in errors."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._events = EventReader()
        self._reasons: dict[int, str] = {}
        self._usage: CompletionUsage | None = None
        self.done = False

    def take(self, piece: bytes) -> Sequence[ChunkChoice]:
        """What these bytes add. Raises `BackendFailed` for what is no chunk, and for a failure that the server reports."""
        added: list[ChunkChoice] = []
        try:
            for data in self._events.feed(piece):
                if data == DONE:
                    self.done = True
                    break
                self._take_chunk(_chunk.decode(data), added)
        except (msgspec.DecodeError, UnicodeDecodeError, TooLarge) as error:
            raise BackendFailed(f"{self._who}'s answer makes no sense.") from error
        return added

    def end(self) -> End:
        """How it ended. Raises `BackendFailed` if it did not say of every choice, or told no usage."""
        reasons = tuple(reason for _, reason in sorted(self._reasons.items()))
        if not reasons or self._usage is None or max(self._reasons) != len(reasons) - 1:
            raise BackendFailed(f"{self._who}'s answer ended without a reason or its usage.")
        return End(finish_reasons=reasons, usage=self._usage)

    def _take_chunk(self, chunk: Chunk, added: list[ChunkChoice]) -> None:
        if chunk.error is not None:
            raise BackendFailed(f"{self._who} failed in mid-answer.")
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices:
            if not 0 <= choice.index < MAX_CHOICES:
                raise BackendFailed(f"{self._who}'s answer makes no sense.")
            delta = choice.delta
            if delta.content or delta.reasoning_content or delta.refusal or delta.tool_calls is not msgspec.UNSET:
                added.append(choice)
            if choice.finish_reason is not None:
                self._reasons[choice.index] = choice.finish_reason
