"""The models of a worker: which backend runs each, its slots, and how fast it has been."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from hyperinfer.contracts.inference import ModelStatus
from hyperinfer.errors import BackendFailed, ModelNotFound, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.inference.backends import Backend, BackendModel
from hyperinfer.workers.inference.recent import FailureRate
from hyperinfer.workers.inference.slots import Slots

LEARNING = 0.2
"""How much one request changes what is reported of a model's speed."""
RETRY_AFTER_S = 2.0
READY, IDLE, AWAY = "ready", "idle", "away"

log = structlog.get_logger(__name__)


class Model:
    """One model and what has happened with it."""

    def __init__(self, backend: Backend, offered: BackendModel, slots: Slots, clock: Clock) -> None:
        self.backend = backend
        self.offered = offered
        self.slots = slots
        self._failure_rate = FailureRate(clock)
        self._tokens_per_s = 0.0
        self._first_token_s = 0.0
        self._served = 0
        self._errors = 0

    @property
    def name(self) -> str:
        """What it is called here."""
        return self.offered.name

    def served(self, tokens: int, *, first_token_s: float, later_s: float) -> float:
        """Take note of an answer; returns its tokens a second after the first one, 0 if it had no second one."""
        later_tokens = tokens - 1
        speed = later_tokens / later_s if later_tokens > 0 and later_s > 0 else 0.0
        self._served += 1
        self._failure_rate.succeeded()
        self._first_token_s = _averaged(self._first_token_s, first_token_s)
        if speed:
            self._tokens_per_s = _averaged(self._tokens_per_s, speed)
        return speed

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Take note of a failure of the backend in the block."""
        try:
            yield
        except BackendFailed:
            self._errors += 1
            self._failure_rate.failed()
            raise

    def refuse_waiting(self, why: str) -> None:
        """Have those who wait for a slot ask elsewhere."""
        self.slots.refuse_waiting(Unavailable(why, model=self.name, retry_after_s=RETRY_AFTER_S))

    def status(self) -> ModelStatus:
        """How it is now."""
        return ModelStatus(
            name=self.name,
            backend=self.backend.name,
            state=self.offered.state,
            slots=self.offered.slots,
            busy=self.slots.busy,
            queued=self.slots.queued,
            queue_limit=self.slots.queue_limit,
            context_tokens=self.offered.context_tokens,
            capabilities=self.offered.capabilities,
            tokens_per_s=round(self._tokens_per_s, 1),
            first_token_s=round(self._first_token_s, 3),
            error_rate=round(self._failure_rate.share, 3),
            errors=self._errors,
            served=self._served,
            memory_bytes=self.offered.memory_bytes,
        )


class Models:
    """Every model of the backends, by name. Of two of the same name the first backend's counts, unless that one is away."""

    def __init__(self, *, default: str, new_slots: Callable[[str, int], Slots], clock: Clock) -> None:
        self._default = default
        self._new_slots = new_slots
        self._clock = clock
        self._models: dict[str, Model] = {}
        self._hidden: set[tuple[str, str]] = set()

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def refresh(self, backends: Sequence[Backend]) -> None:
        """Take over what the backends have now. Who waits for a model that has gone is refused."""
        before, self._models = self._models, {}
        hidden: set[tuple[str, str]] = set()
        catalogue = [(backend, offered) for backend in backends for offered in backend.models()]
        catalogue.sort(key=lambda one: one[1].state == AWAY)  # the others keep their order
        for backend, offered in catalogue:
            if offered.name in self._models:
                hidden.add((offered.name, backend.name))
            else:
                self._models[offered.name] = self._refreshed(before.get(offered.name), backend, offered)
        for name, of in sorted(hidden - self._hidden):
            log.warning("model_hidden", name=name, of=of, by=self._models[name].backend.name)
        self._hidden = hidden
        for name, model in before.items():
            if self._models.get(name) is not model or model.offered.state == AWAY:
                model.refuse_waiting(_cannot_run(name))

    def _refreshed(self, model: Model | None, backend: Backend, offered: BackendModel) -> Model:
        if model is None or model.backend is not backend:
            model = Model(backend, offered, self._new_slots(offered.name, offered.slots), self._clock)
        if model.offered.state != offered.state:
            log.info("model", name=offered.name, state=offered.state, reason=offered.reason or None)
        if model.offered.slots != offered.slots:
            model.slots.resize(offered.slots)
        model.offered = offered
        return model

    def find(self, name: str) -> Model:
        """The model of this name, or the default one if it is empty. Raises `ModelNotFound`, `Unavailable`."""
        wanted = name or self._default or next(iter(self._models), "")
        model = self.named(wanted)
        if model.offered.state == AWAY:
            # Why is for the operator, in health and log: it may name files of this machine.
            raise Unavailable(_cannot_run(wanted), model=wanted, retry_after_s=RETRY_AFTER_S)
        return model

    def named(self, name: str) -> Model:
        """The model of exactly this name. Raises `ModelNotFound`."""
        model = self._models.get(name)
        if model is None:
            raise ModelNotFound(f"This worker has no model {name[:200]!r}.", model=name[:200])
        return model

    def not_ready(self) -> Sequence[str]:
        """Why no request could be answered now; nothing if one could."""
        if any(model.offered.state in (READY, IDLE) for model in self):
            return ()
        return [model.offered.reason for model in self] or ["This worker has no model."]


def _cannot_run(name: str) -> str:
    return f"This worker cannot run {name} now."


def _averaged(before: float, value: float) -> float:
    return before + LEARNING * (value - before) if before else value
