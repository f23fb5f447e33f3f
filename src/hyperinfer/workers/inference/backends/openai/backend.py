"""A server of OpenAI's kind as a backend: its models as they come and go, and requests to them."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog

from hyperinfer.contracts.openai import ChatRequest, CompletionRequest, CompletionUsage, EmbeddingRequest
from hyperinfer.errors import (
    BackendFailed,
    HyperinferError,
    ModelNotFound,
    Overloaded,
    Unavailable,
    Unsupported,
)
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.inference.backends import BackendModel, Embedded, Emit, End, Job
from hyperinfer.workers.inference.backends.lookout import Lookout
from hyperinfer.workers.inference.backends.openai.answers import AnswerReader, embedded
from hyperinfer.workers.inference.backends.openai.bodies import Bodies
from hyperinfer.workers.inference.backends.openai.catalogue import Catalogue
from hyperinfer.workers.inference.backends.openai.client import ServerClient, Slow
from hyperinfer.workers.inference.backends.openai.refusals import Asked, KeyRefused
from hyperinfer.workers.inference.backends.openai.settings import ServerSettings
from hyperinfer.workers.inference.requests import text_of
from hyperinfer.workers.inference.requests.texts import texts_of

CHARS_PER_TOKEN = 4
"""For estimates of what a server does not count."""
LOCKED_OUT_S = 60.0
"""How long a server is left alone after it refused our key to a request, even if it lists its models to anybody."""

log = structlog.get_logger(__name__)


class OpenAIServer:
    """The models of one server."""

    def __init__(
        self, settings: ServerSettings, client: ServerClient, *, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self.name = settings.name if settings.name == "openai" else f"openai:{settings.name}"
        self._settings = settings
        self._client = client
        self._clock = clock
        self._changed = changed
        self._bodies = Bodies(settings)
        self._lookout = Lookout(self.name, self._look, clock=clock, every_s=settings.look_every_s, changed=changed)
        self._known = Catalogue()
        self._models: tuple[BackendModel, ...] = ()
        self._reached_at = float("-inf")
        self._locked_out_until = float("-inf")
        self._said_why = ""
        self._estimated: set[str] = set()

    @property
    def away(self) -> str:
        """Why it cannot be reached."""
        return self._lookout.away

    def models(self) -> Sequence[BackendModel]:
        """What it had when it was looked at last."""
        return self._models

    async def run(self) -> None:
        """Keep looking at it, until cancelled."""
        await self._lookout.run()

    async def chat(self, job: Job[ChatRequest], emit: Emit) -> End:
        """Answer a chat."""
        body = self._bodies.chat(job, self._own(job.model), self._known.flavor)
        prompt_chars = sum(len(text_of(message)) for message in job.request.messages) + len(job.so_far)
        asked = Asked(job.model, "messages")
        return await self._generate("/chat/completions", body, job.request.n or 1, emit, asked, prompt_chars)

    async def complete(self, job: Job[CompletionRequest], emit: Emit) -> End:
        """Go on with a text."""
        body = self._bodies.text(job, self._own(job.model), self._known.flavor)
        prompt_chars = _chars(job.request.prompt) + len(job.so_far)
        return await self._generate(
            "/completions", body, job.request.n or 1, emit, Asked(job.model, "prompt"), prompt_chars
        )

    async def count(self, job: Job[ChatRequest]) -> int | None:
        """OpenAI's API has no way to ask."""
        return None

    async def embed(self, job: Job[EmbeddingRequest]) -> Embedded:
        """Embed texts."""
        body = self._bodies.vectors(job, self._own(job.model), self._known.flavor)
        texts = texts_of(job.request.input, "input")
        estimate = None if self._settings.require_usage else sum(_tokens(_chars(text)) for text in texts)
        with self._noticing():
            reply = await self._client.whole("/embeddings", body, Asked(job.model, "input"))
            return embedded(reply, len(texts), estimate=estimate)

    async def load(self, model: str) -> None:
        """Raises `Unsupported`."""
        raise Unsupported("What this model's server has loaded is its own affair.", param="model")

    async def unload(self, model: str) -> None:
        """Raises `Unsupported`."""
        await self.load(model)

    async def _generate(self, path: str, body: bytes, answers: int, emit: Emit, asked: Asked, prompt_chars: int) -> End:
        reader = AnswerReader(asked, answers=answers)
        with self._noticing():
            await self._client.stream(path, body, reader, emit, asked)
            if reader.usage is None and not self._settings.require_usage:
                self._say_estimated(asked.model)
                return reader.end(estimate=CompletionUsage.of(_tokens(prompt_chars), reader.pieces))
            return reader.end()

    async def _look(self) -> None:
        """Take over what it has. Raises `Unavailable` with the reason why that cannot be told."""
        now = self._clock.monotonic()
        try:
            if now < self._locked_out_until:
                raise Unavailable(f"{self._settings.url} refuses our key.")
            self._known = await self._client.catalogue()
        except Slow:
            if self.away or now - self._client.heard_at > self._settings.look_timeout_s:
                self._lost(now)
                raise
            return  # it is answering requests: busy, not away
        except HyperinferError as error:
            self._lost(now, error.message)
            raise
        self._reached_at, self._said_why = self._clock.monotonic(), ""
        self._publish(self._known)

    def _lost(self, now: float, reason: str = "It does not answer in time.") -> None:
        """Show its models as away, and after a while not at all."""
        gone = now - self._reached_at >= self._settings.grace_s
        self._publish(Catalogue(self._known.flavor) if gone else self._known.away(reason))
        if self.away and reason != self._said_why:  # otherwise the lookout says it
            log.warning("backend", name=self.name, available=False, reason=reason)
        self._said_why = reason

    def _publish(self, now: Catalogue) -> None:
        """Offer this, if it is otherwise than before."""
        models = tuple(now.models.values())
        if models != self._models:
            self._models = models
            self._changed()

    def _own(self, model: str) -> str:
        """The server's name of a model. Raises `ModelNotFound`."""
        own = self._known.theirs.get(model)
        if own is None:
            raise ModelNotFound(f"The model's server has no model {model[:200]!r}.", model=model[:200])
        return own

    def _say_estimated(self, model: str) -> None:
        if model not in self._estimated and len(self._estimated) < len(self._known.models):
            self._estimated.add(model)
            log.warning("usage_estimated", backend=self.name, model=model)

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Look at the server soon if something fails there that says more than of one request."""
        try:
            yield
        except Overloaded:
            raise
        except KeyRefused:
            self._locked_out_until = self._clock.monotonic() + LOCKED_OUT_S
            self._lookout.soon()
            raise
        except (ModelNotFound, Unavailable, BackendFailed):
            self._lookout.soon()
            raise


@asynccontextmanager
async def open_openai(
    settings: ServerSettings, *, clock: Clock, changed: Callable[[], None]
) -> AsyncIterator[OpenAIServer]:
    """A server for the length of the block, whether it is there or not. Raises `ConfigError`."""
    async with ServerClient(settings, clock) as client:
        backend = OpenAIServer(settings, client, clock=clock, changed=changed)
        async with background(backend.run(), name=backend.name):
            yield backend


def _chars(text: object) -> int:
    """How long a text is; of token numbers, as long as if it were written out."""
    return len(text) if isinstance(text, str) else CHARS_PER_TOKEN * len(text) if isinstance(text, tuple) else 0


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)
