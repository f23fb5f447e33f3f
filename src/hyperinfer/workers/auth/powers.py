"""What an API key may do: as somebody wishes it, and whether who wishes may give so much. Pure.

Nobody gives a key more than they may do themselves. A session may give all that its holder may; a key no scope that it
lacks, no model that it may not use, no later end, and no higher limit than its own.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.people import FIRST_SCOPES, GenerateApiKey, UpdateApiKey
from hyperinfer.errors import BadRequest, Forbidden
from hyperinfer.workers.auth.actors import Acting
from hyperinfer.workers.auth.models import ApiKeyRow
from hyperinfer.workers.auth.records import limits_of, stored

ANY = "*"
NEVER = ""
"""What takes an expiry away."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a key may do, with which models (none meaning all), until when, and how much."""

    scopes: tuple[str, ...]
    models: tuple[str, ...] = ()
    expires_at: datetime | None = None
    limits: Limits | None = None

    def put_into(self, row: ApiKeyRow) -> None:
        """Give a key these."""
        row.scopes = list(self.scopes)
        row.models = list(self.models)
        row.expires_at = self.expires_at
        row.limits = stored(self.limits)


FIRST = Settings(scopes=FIRST_SCOPES)
"""What a key may do of which nothing is said."""


def of(row: ApiKeyRow) -> Settings:
    """What a key has."""
    return Settings(tuple(row.scopes), tuple(row.models), row.expires_at, limits_of(row))


def wanted(request: GenerateApiKey, *, now: datetime) -> Settings:
    """What is asked for a new key. Raises `BadRequest`."""
    return Settings(
        scopes=_scopes(request.scopes),
        models=_models(request.models),
        expires_at=_end(request.expires_at, now) if request.expires_at is not None else None,
        limits=request.limits,
    )


def changed(settings: Settings, request: UpdateApiKey, *, now: datetime) -> Settings:
    """Settings after a change; what is left out stays. Raises `BadRequest`."""
    if request.scopes is not None:
        settings = replace(settings, scopes=_scopes(request.scopes))
    if request.models is not None:
        settings = replace(settings, models=_models(request.models))
    if request.limits is not None:
        settings = replace(settings, limits=request.limits)
    if request.expires_at is not None:
        end = None if request.expires_at == NEVER else _end(request.expires_at, now)
        settings = replace(settings, expires_at=end)
    return settings


def check(settings: Settings, who: Acting) -> None:
    """Raise `Forbidden` for what is more than who asks may give."""
    if "admin" in settings.scopes and who.user.role != "admin":
        raise Forbidden("The scope 'admin' is for administrators.", param="scopes")
    if who.key is None:
        return
    own = of(who.key)
    if beyond := [scope for scope in settings.scopes if scope not in own.scopes]:
        raise Forbidden(f"This API key lacks the scope {beyond[0]!r}, and can give it to no other.", param="scopes")
    if own.models and not (settings.models and all(_is_covered(model, own.models) for model in settings.models)):
        raise Forbidden("This API key is for certain models, and can give no others.", param="models")
    if own.expires_at is not None and (settings.expires_at is None or settings.expires_at > own.expires_at):
        raise Forbidden("This API key expires, and can give no later end than its own.", param="expires_at")
    if own.limits is not None and not _is_within(settings.limits, own.limits):
        raise Forbidden("This API key has limits, and can give no higher ones.", param="limits")


def _scopes(asked: tuple[str, ...]) -> tuple[str, ...]:
    if not asked:
        raise BadRequest("A key needs at least one scope.", param="scopes")
    return tuple(dict.fromkeys(asked))


def _models(asked: tuple[str, ...]) -> tuple[str, ...]:
    for model in asked:
        if not model or not model.isprintable():
            raise BadRequest("The name of a model is printable, and not empty.", param="models")
    return tuple(dict.fromkeys(asked))


def _end(text: str, now: datetime) -> datetime:
    try:
        end = datetime.fromisoformat(text)
        if end.tzinfo is None:
            raise ValueError("no zone")
        end = end.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            "expires_at is a time as RFC 3339 writes it, such as 2027-01-31T12:00:00Z.", param="expires_at"
        ) from error
    if end <= now:
        raise BadRequest("expires_at has passed already.", param="expires_at")
    return end


def _is_covered(model: str, patterns: tuple[str, ...]) -> bool:
    """Whether everything that a name or pattern stands for is among those named."""
    start = model.removesuffix(ANY)
    for pattern in patterns:
        if pattern == model:
            return True
        if pattern.endswith(ANY) and start.startswith(pattern.removesuffix(ANY)):
            return True
    return False


def _is_within(limits: Limits | None, most: Limits) -> bool:
    given = msgspec.structs.asdict(limits) if limits is not None else {}
    for name, highest in msgspec.structs.asdict(most).items():
        if highest is None or name == "interval_minutes":
            continue
        if given.get(name) is None or given[name] > highest:
            return False
    return most.requests_per_interval is None or given.get("interval_minutes") == most.interval_minutes
