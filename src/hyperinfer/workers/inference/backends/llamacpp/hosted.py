"""One model of the engine: whether it is loaded, who uses it, and why it cannot be."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from hyperinfer.errors import Unavailable
from hyperinfer.workers.inference.backends import EMBEDDING, BackendModel
from hyperinfer.workers.inference.backends.llamacpp import traits
from hyperinfer.workers.inference.backends.llamacpp.client import EngineClient
from hyperinfer.workers.inference.backends.llamacpp.engine import Engine, EngineState
from hyperinfer.workers.inference.backends.llamacpp.settings import LlamaCppSettings
from hyperinfer.workers.inference.backends.llamacpp.shelf import Entry

RETRY_AFTER_S = 60.0
"""How long a model that could not be loaded counts as away, unless its files change."""


class Hosted:
    """A model and its engine, if it has one. What is done with it is decided elsewhere; this is what is so."""

    def __init__(self, entry: Entry, settings: LlamaCppSettings, *, stays: bool) -> None:
        self.entry = entry
        self.stays = stays
        """It is loaded without being asked for, and never leaves to make room or for want of use."""
        self.engine: Engine | None = None
        self.work: asyncio.Task[None] | None = None
        """What keeps the engine running."""
        self.loading: asyncio.Future[None] | None = None
        """Done when the load that is under way is at its end, with the error that ended it."""
        self.is_leaving = False
        self.is_outdated = False
        """Its engine runs files that are there no more."""
        self.used_at_s = 0.0
        self.memory_bytes = 0
        self._settings = settings
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self._failure = ""
        self._retry_at_s = 0.0

    @property
    def name(self) -> str:
        """What it is called."""
        return self.entry.name

    @property
    def is_used(self) -> bool:
        """Whether a request is under way."""
        return self._users > 0

    @property
    def problem(self) -> str:
        """Why it cannot be run now, or ever; empty if it can."""
        return self.entry.problem or self._failure

    @property
    def needed_bytes(self) -> int:
        """About what memory it takes once it is loaded; 0 while its file is not there."""
        found = self.entry.found
        if found is None:
            return 0
        settings = self._settings
        return self.entry.traits.memory_bytes(
            found.size_bytes, slots=settings.slots, context_tokens=settings.context_tokens
        )

    def offered(self) -> BackendModel:
        """How it stands now."""
        known, engine = self.entry.traits, self.engine
        model = BackendModel(
            name=self.name,
            state="idle",
            slots=self._settings.slots,
            context_tokens=known.context_tokens(self._settings.context_tokens),
            capabilities=known.capabilities,
            memory_bytes=self.memory_bytes if engine else 0,
            revision=self.entry.revision,
        )
        if self.is_leaving:
            return replace(model, state="away", reason="It is being unloaded.")
        if engine is not None:
            return replace(_as_loaded(model, engine.state), state=engine.state.state, reason=engine.state.reason)
        if self.loading is not None:
            return replace(model, state="loading", reason=f"The model {self.name} is being loaded.")
        return replace(model, state="away", reason=self.problem) if self.problem else model

    @contextmanager
    def used(self, now_s: Callable[[], float]) -> Iterator[None]:
        """A request is under way for the length of the block."""
        self._users += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._users -= 1
            self.used_at_s = now_s()
            if not self._users:
                self._unused.set()

    async def unused(self) -> None:
        """Wait until no request is under way."""
        await self._unused.wait()

    async def client(self) -> EngineClient:
        """Who to talk to. Raises `Unavailable` where there is no engine, or none within a few seconds."""
        if self.engine is None:
            raise Unavailable(f"The model {self.name} is not loaded.", retry_after_s=1)
        return await self.engine.client()

    def fail(self, reason: str, now_s: float) -> None:
        """It could not be loaded: it counts as away for a while."""
        self._failure, self._retry_at_s = reason, now_s + RETRY_AFTER_S

    def forgive(self, now_s: float) -> bool:
        """Let it be tried again, if it is time; says whether that is news."""
        if self._failure and now_s >= self._retry_at_s:
            self._failure = ""
            return True
        return False

    def take(self, entry: Entry) -> None:
        """Its files are others now."""
        self.entry = entry
        self._failure = ""
        self.is_outdated = self.engine is not None


def _as_loaded(model: BackendModel, state: EngineState) -> BackendModel:
    """The same with what its engine says of it."""
    props = state.props
    if props is None:
        return model
    capabilities = model.capabilities
    if EMBEDDING not in capabilities:
        tools = props.chat_template_caps.supports_tools
        capabilities = traits.with_template(capabilities, tools=tools, fills_in=state.fills_in)
    return replace(model, context_tokens=props.context_tokens, capabilities=capabilities)
