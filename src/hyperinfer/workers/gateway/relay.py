"""An answer on its way to its caller, from one worker or, one after the other, from several."""

from collections.abc import Sequence

import msgspec

from hyperinfer.contracts.gateway import Head, Inferred, RateLimitInfo
from hyperinfer.contracts.inference import Began, Cache, Processed
from hyperinfer.errors import RemoteError
from hyperinfer.kernel.calls import Call, Send
from hyperinfer.workers.gateway.offers import Offer
from hyperinfer.workers.gateway.progress import Progress
from hyperinfer.workers.gateway.said import Said

_encoder = msgspec.json.Encoder()
_began = msgspec.json.Decoder(Began)


class Relay:
    """Passes chunks on, before the first of them the head. `started` once the caller has been told anything; `said` is
    what it has been told, where the answer is of a kind that can be gone on with; `attempts` are the workers that were asked."""

    def __init__(self, call: Call, progress: Progress, limits: RateLimitInfo | None, *, resumable: bool) -> None:
        self._send = call.send
        self._progress = progress
        self._limits = limits
        self.attempts = 0
        self.said = Said() if resumable and call.send else None
        self.started = False

    def sink(self, offer: Offer) -> Send | None:
        """Where a worker's chunks go, for a caller who wants a stream. The first one says how the answer began."""
        self.attempts += 1
        send, said = self._send, self.said
        if send is None:
            return None
        began: Began | None = None

        async def take(chunks: Sequence[bytes]) -> None:
            nonlocal began
            if began is None:
                began = _read(chunks[0])
                chunks = chunks[1:]
            if not chunks:
                return
            if said is not None:
                said.take(chunks)
            self._progress.relayed(chunks)
            if not self.started:
                self.started = True
                chunks = [_encoder.encode(self._head(offer, began.queued_s, began.cache)), *chunks]
            await send(chunks)

        return take

    def inferred(self, offer: Offer, processed: Processed) -> Inferred:
        """The reply to the caller, at the end of the answer."""
        return Inferred(processed=processed, head=self._head(offer, processed.queued_s, processed.cache))

    def _head(self, offer: Offer, queued_s: float, cache: Cache) -> Head:
        first_token_s = self._progress.first_token_s
        return Head(
            worker=offer.worker.hex,
            model=offer.status.name,
            attempts=self.attempts,
            queued_s=queued_s,
            first_token_s=round(self._progress.duration_s if first_token_s is None else first_token_s, 6),
            cache=cache,
            rate_limit_info=self._limits,
        )


def _read(chunk: bytes) -> Began:
    try:
        return _began.decode(chunk)
    except msgspec.DecodeError as error:
        raise RemoteError(f"The worker's answer makes no sense: {error}") from error
