"""An Ollama server as a backend: its models as they come and go, and requests to them."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import msgspec
import structlog

from hyperinfer.contracts.openai import ChatRequest, ChunkChoice, CompletionRequest, EmbeddingRequest
from hyperinfer.errors import BackendFailed, BadRequest, HyperinferError, ModelNotFound, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.inference.backends import CHAT, BackendModel, Embedded, Emit, End, Job
from hyperinfer.workers.inference.backends.lookout import Lookout
from hyperinfer.workers.inference.backends.ollama.answer import AnswerReader
from hyperinfer.workers.inference.backends.ollama.catalogue import Catalogue, offered
from hyperinfer.workers.inference.backends.ollama.client import OllamaClient
from hyperinfer.workers.inference.backends.ollama.settings import OllamaSettings
from hyperinfer.workers.inference.backends.ollama.wire import Wire
from hyperinfer.workers.inference.requests.texts import texts_of

EMBEDDED_AT_ONCE = 64
"""Texts in one request: so much of an answer is in memory, and has to be waited for when the caller has gone."""
UNLOADED_WITHIN_S = 30.0
ASK_AGAIN_S = 0.1

log = structlog.get_logger(__name__)


class Vectors(msgspec.Struct, frozen=True):
    """The answer of `/api/embed`."""

    embeddings: tuple[tuple[float, ...], ...] = ()
    prompt_eval_count: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """The answer to loading and unloading, of which nothing is needed."""


_vectors = msgspec.json.Decoder(Vectors)
_outcome = msgspec.json.Decoder(Outcome)


class Ollama:
    """The models of one Ollama."""

    name = "ollama"

    def __init__(
        self,
        settings: OllamaSettings,
        client: OllamaClient,
        *,
        clock: Clock,
        changed: Callable[[], None],
        found: Callable[["Ollama"], None],
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._changed = changed
        self._found = found
        self._wire = Wire(settings)
        self._lookout = Lookout(self.name, self._look, clock=clock, every_s=settings.look_every_s, changed=changed)
        self._catalogue = Catalogue()
        self._reached_at: float | None = None
        self._away = ""
        self._is_found = False
        self._loading: set[str] = set()
        self._models: tuple[BackendModel, ...] = ()

    @property
    def away(self) -> str:
        """Why it cannot be reached."""
        return self._lookout.away

    def models(self) -> Sequence[BackendModel]:
        """What it had when it was looked at last."""
        return self._models

    async def run(self) -> None:
        """Keep looking at it, until cancelled."""
        if self._settings.enabled != "auto":
            self._tell_found()
        await self._lookout.run()

    async def chat(self, job: Job[ChatRequest], emit: Emit) -> End:
        """Answer a chat."""
        body = self._wire.chat(job)
        reader = AnswerReader(job.model, param="messages", one_call=job.request.parallel_tool_calls is False)
        with self._noticing():
            emit = self._telling(job.model, emit)
            return await self._client.stream("/api/chat", body, reader, emit, model=job.model, param="messages")

    async def complete(self, job: Job[CompletionRequest], emit: Emit) -> End:
        """Go on with a text."""
        body = self._wire.text(job)
        reader = AnswerReader(job.model, param="prompt")
        with self._noticing():
            emit = self._telling(job.model, emit)
            return await self._client.stream("/api/generate", body, reader, emit, model=job.model, param="prompt")

    async def count(self, job: Job[ChatRequest]) -> int | None:
        """Ollama has no way to ask."""
        return None

    async def embed(self, job: Job[EmbeddingRequest]) -> Embedded:
        """Embed texts, some at a time."""
        texts = [str(text) for text in texts_of(job.request.input, "input")]
        vectors: list[bytes] = []
        tokens = 0
        with self._noticing():
            for start in range(0, len(texts), EMBEDDED_AT_ONCE):
                some = texts[start : start + EMBEDDED_AT_ONCE]
                body = self._wire.vectors(job.model, some, job.request)
                answer = await self._client.whole("/api/embed", body, _vectors, model=job.model, param="input")
                if len(answer.embeddings) != len(some):
                    raise BackendFailed("Ollama's embeddings are not as many as the texts.")
                vectors += (_packed(vector, job.request.dimensions) for vector in answer.embeddings)
                tokens += answer.prompt_eval_count
        if not self._is_ready(job.model):
            self._lookout.soon()
        return Embedded(tuple(vectors), tokens)

    async def load(self, model: str) -> None:
        """Have the model loaded, for as long as Ollama keeps it. Raises `ModelNotFound`, `Unavailable`, `BackendFailed`."""
        path, body = "/api/generate", self._wire.load(model)
        if any(model == known.name and CHAT not in known.capabilities for known in self._models):
            path, body = "/api/embed", self._wire.load_embedder(model)
        self._loading.add(model)
        self._publish()
        try:
            with self._noticing():
                await self._client.whole(path, body, _outcome, model=model, param="model")
                await self._look()
        finally:
            self._loading.discard(model)
            self._publish()

    async def unload(self, model: str) -> None:
        """Have the model taken out of memory, and wait until it is. Raises as `load` does."""
        body = self._wire.unload(model)
        try:
            with self._noticing():
                await self._client.whole("/api/generate", body, _outcome, model=model, param="model")
                async with asyncio.timeout(UNLOADED_WITHIN_S):
                    while model in await self._client.loaded():
                        await self._clock.sleep(ASK_AGAIN_S)
                await self._look()
        except TimeoutError as error:
            raise Unavailable(f"Ollama still holds {model}: somebody else uses it.", model=model) from error

    async def _look(self) -> None:
        """Take over what it has. Raises `Unavailable` with the reason why that cannot be told."""
        now = self._clock.monotonic()
        try:
            self._catalogue = await self._client.catalogue()
            self._reached_at, self._away = self._clock.monotonic(), ""
            self._tell_found()
        except HyperinferError as error:
            if self._is_found and not self._away and self._reached_at is None:
                log.warning("backend", name=self.name, available=False, reason=error.message)
            self._away = error.message
            if self._reached_at is None or now - self._reached_at >= self._settings.grace_s:
                self._catalogue = Catalogue()
            raise
        finally:
            self._publish()

    def _tell_found(self) -> None:
        if not self._is_found:
            self._is_found = True
            self._found(self)

    def _publish(self) -> None:
        """Offer what is known now, if that is otherwise than before."""
        models = offered(self._catalogue, self._settings, loading=self._loading, away=self._away)
        if models != self._models:
            self._models = models
            self._changed()

    def _is_ready(self, model: str) -> bool:
        return any(known.name == model and known.state == "ready" for known in self._models)

    def _telling(self, model: str, emit: Emit) -> Emit:
        """Look at Ollama once a model speaks that was not loaded before."""
        if self._is_ready(model):
            return emit
        seen = False

        async def take(pieces: Sequence[ChunkChoice]) -> None:
            nonlocal seen
            if not seen:
                seen = True
                self._lookout.soon()
            await emit(pieces)

        return take

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Look at Ollama soon if something fails there that says more than of one request."""
        try:
            yield
        except (ModelNotFound, Unavailable, BackendFailed):
            self._lookout.soon()
            raise


@asynccontextmanager
async def open_ollama(
    settings: OllamaSettings, *, clock: Clock, changed: Callable[[], None], found: Callable[[Ollama], None]
) -> AsyncIterator[Ollama]:
    """The Ollama server for the length of the block, whether it is there or not.

    `found` is told of it once: at the beginning where there has to be one, otherwise when it answers for the first time,
    so that nobody misses an Ollama where none was ever installed. Raises `ConfigError`.
    """
    async with OllamaClient(settings) as client:
        backend = Ollama(settings, client, clock=clock, changed=changed, found=found)
        async with background(backend.run(), name="ollama"):
            yield backend


def _packed(vector: Sequence[float], dimensions: int | None) -> bytes:
    """A vector in bytes. Raises `BadRequest` if it is not as long as was asked: Ollama only ever shortens them."""
    if dimensions is not None and len(vector) != dimensions:
        raise BadRequest(f"dimensions: This model's embeddings have {len(vector)}.", param="dimensions")
    try:
        return struct.pack(f"<{len(vector)}f", *vector)
    except OverflowError as error:
        raise BackendFailed("Ollama's embeddings make no sense.") from error
