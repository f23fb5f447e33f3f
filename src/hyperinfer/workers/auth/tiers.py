"""The tiers: what each limits, as configured. Pure."""

import re
from collections.abc import Iterator, Mapping

from hyperinfer.contracts.directory import DEFAULT_TIER
from hyperinfer.contracts.limits import Limits
from hyperinfer.errors import BadRequest, ConfigError
from hyperinfer.workers.auth.config import TierSettings

DEFAULT = DEFAULT_TIER
UNLIMITED = "unlimited"
NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,48}[a-z0-9])?")


class Tiers(Mapping[str, Limits]):
    """Limits by the name of a tier. Raises `ConfigError` for a name that no tier can have."""

    def __init__(self, settings: TierSettings) -> None:
        configured = {DEFAULT: settings.default, "premium": settings.premium, UNLIMITED: settings.unlimited}
        for name in settings.further:
            if name in configured:
                raise ConfigError(f"tiers.further.{name}: this tier has a section of its own, tiers.{name}.")
            if not NAME.fullmatch(name):
                raise ConfigError(
                    "tiers.further: a tier's name has 1 to 50 small letters, digits, dots, dashes and underscores, and "
                    "begins and ends with a letter or digit."
                )
        self._limits = {name: tier.limits for name, tier in {**configured, **settings.further}.items()}

    def __getitem__(self, name: str) -> Limits:
        return self._limits[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._limits)

    def __len__(self) -> int:
        return len(self._limits)

    def known(self, name: str) -> str:
        """The name of a tier that there is. Raises `BadRequest`."""
        if name not in self._limits:
            raise BadRequest(f"There is no such tier; there are {', '.join(self._limits)}.", param="tier")
        return name

    def of(self, name: str) -> Limits:
        """What a tier limits. One that is configured no more limits as the default one does."""
        return self._limits.get(name, self._limits[DEFAULT])
