"""The names that stand for models, as configured: each for a line of models, of which the first that can answers. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from hyperinfer.errors import ConfigError

MAX_ALIASES = 256
MAX_MODELS = 16
MAX_ALIAS_CHARS = 64
"""As many as the directory's table has room for."""
MAX_MODEL_CHARS = 200


class Aliases(Mapping[str, tuple[str, ...]]):
    """Models by alias. What an alias stands for are always models, never aliases: there is no chain of them, hence no cycle,
    and an alias may have the name of a model and that model first in its line. Raises `ConfigError`."""

    def __init__(self, settings: Mapping[str, Sequence[str]]) -> None:
        if len(settings) > MAX_ALIASES:
            raise ConfigError(f"aliases: there may be {MAX_ALIASES} at most.")
        same: dict[str, str] = {}
        for alias, models in settings.items():
            _check_name(alias, "an alias", MAX_ALIAS_CHARS)
            other = same.setdefault(alias.casefold(), alias)
            if other != alias:
                raise ConfigError(f"aliases: {other} and {alias} differ in case only, and requests may use either.")
            if not 1 <= len(models) <= MAX_MODELS:
                raise ConfigError(f"aliases.{alias}: it stands for 1 to {MAX_MODELS} models.")
            if len(set(models)) < len(models):
                raise ConfigError(f"aliases.{alias}: a model is in it twice.")
            for model in models:
                _check_name(model, f"a model of aliases.{alias}", MAX_MODEL_CHARS)
        self._aliases = {alias: tuple(models) for alias, models in settings.items()}

    def __getitem__(self, alias: str) -> tuple[str, ...]:
        return self._aliases[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self._aliases)

    def __len__(self) -> int:
        return len(self._aliases)


def _check_name(name: str, what: str, most: int) -> None:
    if not 1 <= len(name) <= most or not name.isprintable() or name != name.strip() or "*" in name:
        raise ConfigError(
            f"aliases: the name of {what} has 1 to {most} printable characters, none of them a *, and no blank at its ends."
        )
