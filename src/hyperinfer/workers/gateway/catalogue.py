"""Which models there are, under which names, and who may use them."""

from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec.structs import replace

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.directory import AliasRecord
from hyperinfer.contracts.gateway import PublicModel, PublicModels
from hyperinfer.contracts.inference import Kind, ModelStatus
from hyperinfer.errors import ModelNotFound
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol.model_names import find, listed, near
from hyperinfer.workers.gateway.offers import IDLE, LOADING, READY, Offers
from hyperinfer.workers.gateway.permissions import check_name, may_use, refused

MAX_SINCE = 4096
"""Models whose first sight is remembered at most."""
STATES = (READY, IDLE, LOADING)
"""From the best on."""
FOR: Mapping[Kind, str] = {"chat": "conversations", "completion": "completions", "embedding": "embeddings"}


class Catalogue:
    """Models by every name that a request may use: their own, aliases of auth's directory, and none for the default one."""

    def __init__(
        self, fleet: Offers, aliases: Callable[[], Mapping[str, AliasRecord]], *, clock: Clock, default_model: str
    ) -> None:
        self._fleet = fleet
        self._aliases = aliases
        self._clock = clock
        self._default_model = default_model
        self._since: dict[str, int] = {}

    def default_model(self, kind: Kind) -> str:
        """The name that answers requests of a kind that give none: the configured one, or the model with the most slots of
        those that are for it; empty if there is none."""
        if self._default_model:
            return self._default_model
        slots = {
            name: sum(offer.status.slots for offer in offers if offer.usable)
            for name, offers in self._fleet.offers.items()
            if any(kind in offer.status.capabilities for offer in offers)
        }
        return min(slots, key=lambda name: (-slots[name], name)) if slots else ""

    def wanted(self, name: str, who: Principal, kind: Kind = "chat") -> "Wanted":
        """What somebody asks for. Raises `BadRequest` for what cannot be a name, `Forbidden`."""
        check_name(name)
        return Wanted(
            lambda: self._line(name or self.default_model(kind), who),
            lambda: self._not_found(name or self.default_model(kind), who, kind),
        )

    def known(self, name: str) -> str:
        """The model of this name, so written; nothing if there is none, and of an alias."""
        return name if name in self._fleet.offers else ""

    def resolve(self, name: str) -> tuple[str, ...]:
        """The models that a name stands for, the best first, as their workers call them; those that no worker has as they
        are named."""
        models = self._fleet.offers
        alias = self._alias(name)
        if alias is None:
            return (find(name, models) or name,)
        return tuple(dict.fromkeys(find(model, models) or model for model in self._aliases()[alias].models))

    def models(self, who: Principal) -> PublicModels:
        """The models that somebody can ask for now, aliases among them, by name."""
        shown = {name: self._summed(name, status) for name in self._fleet.offers if (status := self._statuses(name))}
        rows = {name: row for name, row in shown.items() if may_use(who.models, name)}
        for alias in self._aliases():
            line = [name for name in self._allowed(alias, who) if name in shown]
            if line:
                answering = min(line, key=lambda name: STATES.index(shown[name].state))
                rows[alias] = replace(shown[answering], id=alias, answered_by=tuple(line))
        return PublicModels(models=tuple(rows[name] for name in sorted(rows)))

    def _line(self, name: str, who: Principal) -> Sequence[str]:
        """The models that may answer somebody, the best first. Raises `Forbidden` if there would be others only."""
        if not name:
            return ()
        allowed = self._allowed(name, who)
        if not allowed:
            raise refused(who, name)
        return allowed

    def _allowed(self, name: str, who: Principal) -> Sequence[str]:
        """Of what a name stands for, what a key is for. Who named an alias in a key meant what it stands for; under a
        pattern there are models alone, so that an alias made later adds nothing to what a key may use."""
        line = self.resolve(name)
        if not who.models:
            return line
        if self._alias(name) in who.models:
            return line
        return [model for model in line if may_use(who.models, model)]

    def _alias(self, name: str) -> str | None:
        """The alias that is meant, if it is one; what is exactly a model's name is no alias in other case."""
        aliases = self._aliases()
        if name in aliases:
            return name
        return None if name in self._fleet.offers else find(name, aliases)

    def _not_found(self, name: str, who: Principal, kind: Kind) -> ModelNotFound:
        name = name[:200]
        there = [row.id for row in self.models(who).models]
        if not name:
            return ModelNotFound(
                f"No worker of this swarm has a model for {FOR[kind]}. There is: {listed(there) or 'nothing'}.",
                model="",
            )
        close = near(name, there)
        meant = f" Did you mean {' or '.join(close)}?" if close else ""
        return ModelNotFound(
            f"No worker of this swarm has the model {name!r}.{meant} There is: {listed(there) or 'nothing'}.",
            model=name,
        )

    def _statuses(self, name: str) -> Sequence[ModelStatus]:
        """How a model stands at the workers that have it and take requests."""
        offers = self._fleet.offers[name]
        return [one.status for one in offers if one.worker.takes_requests and one.status.state in STATES]

    def _summed(self, name: str, statuses: Sequence[ModelStatus]) -> PublicModel:
        if len(self._since) > MAX_SINCE:
            self._since.clear()
        return PublicModel(
            id=name,
            created=self._since.setdefault(name, int(self._clock.now().timestamp())),
            workers=len(statuses),
            slots=sum(status.slots for status in statuses),
            busy=sum(status.busy for status in statuses),
            context_tokens=min(status.context_tokens for status in statuses),
            queued=sum(status.queued for status in statuses),
            state=min((status.state for status in statuses), key=STATES.index),
            capabilities=tuple(dict.fromkeys(one for status in statuses for one in status.capabilities)),
            tokens_per_s=_mean([status.tokens_per_s for status in statuses], digits=1),
            first_token_s=_mean([status.first_token_s for status in statuses], digits=3),
            error_rate=round(sum(status.error_rate for status in statuses) / len(statuses), 3),
        )


class Wanted:
    """The models that may answer a request, the best first, as things stand whenever somebody looks."""

    def __init__(self, line: Callable[[], Sequence[str]], not_found: Callable[[], ModelNotFound]) -> None:
        self._line = line
        self.not_found = not_found
        self.names  # noqa: B018 - whoever may use none is refused now

    @property
    def names(self) -> Sequence[str]:
        """Their names. Raises `Forbidden` if whoever asks may use none of them any more."""
        return self._line()

    def only(self, name: str) -> "Wanted":
        """This model alone."""
        return Wanted(lambda: (name,), self.not_found)

    def without(self, names: Collection[str]) -> "Wanted":
        """The others."""
        return Wanted(lambda: [name for name in self._line() if name not in names], self.not_found)


def _mean(values: Sequence[float], *, digits: int) -> float:
    """The mean of those that are known."""
    known = [value for value in values if value > 0]
    return round(sum(known) / len(known), digits) if known else 0.0
