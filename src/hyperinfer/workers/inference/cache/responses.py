"""The response cache as the service sees it: keys, and answers under them."""

from hyperinfer.contracts.inference import ProcessRequest
from hyperinfer.workers.inference.backends import BackendModel, Emit
from hyperinfer.workers.inference.cache.config import CacheSettings
from hyperinfer.workers.inference.cache.kept import Kept, decoded, encoded
from hyperinfer.workers.inference.cache.keys import CacheKey, Keys
from hyperinfer.workers.inference.cache.meters import CacheMeters
from hyperinfer.workers.inference.cache.recording import Recording
from hyperinfer.workers.inference.cache.store import Store
from hyperinfer.workers.inference.requests import Request


class ResponseCache:
    """Answers to requests that have only one. Nothing here fails a request: what goes wrong is a miss."""

    def __init__(self, settings: CacheSettings, *, secret: bytes, store: Store, meters: CacheMeters) -> None:
        self._keys = Keys(settings, secret)
        self._max_entry_bytes = settings.max_entry_bytes
        self._store = store
        self._meters = meters

    def key(self, request: ProcessRequest, read: Request, backend: str, model: BackendModel) -> CacheKey | None:
        """What the answer is kept under; nothing if it must not come from the cache, nor go there."""
        return self._keys.key(request, read, backend, model)

    async def get(self, key: CacheKey) -> Kept | None:
        """The answer, if it is kept."""
        data = await self._store.get(key)
        kept = None if data is None else decoded(data)
        (self._meters.miss if kept is None else self._meters.hit).inc()
        return kept

    async def put(self, key: CacheKey, kept: Kept | None) -> None:
        """Keep a whole answer without faults; of one that is too long nothing is kept. Takes next to no time."""
        data = None if kept is None else encoded(kept)
        if data is None or len(data) > self._max_entry_bytes:
            self._meters.skipped("too_long")
            return
        await self._store.put(key, data)

    def recording(self, emit: Emit) -> Recording:
        """Gather an answer on its way to `emit`."""
        return Recording(emit, max_bytes=self._max_entry_bytes)
