"""Limits as people type and read them: `requests-per-minute=10`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click
from msgspec.structs import asdict

from hyperinfer.cli.examples import examples
from hyperinfer.errors import BadRequest

if TYPE_CHECKING:
    from hyperinfer.sdk import Limits

F = TypeVar("F", bound=Callable[..., object])

NONE = "none"
NAMES = (
    "requests-per-minute",
    "requests-per-hour",
    "tokens-per-minute",
    "tokens-per-day",
    "tokens-per-month",
    "concurrent-requests",
    "requests-per-interval",
    "interval-minutes",
)
"""As `sdk.Limits` has them, said here so that a help is shown without the client library."""

HELP = """\b
Limits: NAME=NUMBER, NAME=none to take one away, or none for all. The names:
  requests-per-minute  requests-per-hour  concurrent-requests
  tokens-per-minute  tokens-per-day  tokens-per-month
  requests-per-interval together with interval-minutes"""


def help_with(*lines: str) -> str:
    """What limits there are, and examples, at the end of a command's help."""
    return f"{HELP}\n\n{examples(*lines)}"


option: Callable[[F], F] = click.option(
    "--limit", "limits", metavar="NAME=NUMBER", multiple=True, help="A limit, as said below; may be repeated."
)


def read(texts: Sequence[str], *, before: "Limits | None" = None) -> "Limits | None":
    """The limits that are wished, laid over those of before; nothing where nothing is said. Raises `BadRequest`."""
    from hyperinfer.sdk import Limits

    if not texts:
        return None
    wished = asdict(before or Limits())
    for text in texts:
        if text.strip() == NONE:
            wished = asdict(Limits())
            continue
        name, _, value = (part.strip() for part in text.partition("="))
        field = name.replace("-", "_")
        if field not in wished:
            raise BadRequest(f"There is no limit {name[:40]!r}; there are {', '.join(NAMES)}.", param="limits")
        if value != NONE and not (value.isascii() and value.isdigit()):
            raise BadRequest(f"--limit takes a whole number, such as {NAMES[0]}=10.", param="limits")
        wished[field] = None if value == NONE else int(value)
    return Limits(**wished)


def words(limits: "Limits | None") -> str:
    """Limits as they are typed; nothing for none."""
    given = asdict(limits) if limits else {}
    return " ".join(f"{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None)
