"""What a rule is: what it looks at, from when on that is bad and for how long, and what to say of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from operator import gt, lt

from hyperinfer.contracts.metrics import Severity
from hyperinfer.protocol.alerts import Key, Terms, key_of
from hyperinfer.workers.metrics.alerts.shown import number, span
from hyperinfer.workers.metrics.view import View

Found = Iterable[tuple[Mapping[str, str], float]]
"""Labels, and the value that they have."""

above, below = gt, lt
MAX_LABEL_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule. `looks_at` gives values with the labels that say whose they are, of the last `window_s` where it looks back at all, and
    those beyond the `threshold` are bad: `is_bad` is `above` or `below`. They are bad for `hold_s` before it fires, and not for `resolve_s` before that is over.

    `summary` is a sentence with `{labels}`, `{window}`, and `{value}`, which is `shown` in its unit; `do` says what helps. `expr` is the
    same in PromQL, with THRESHOLD and WINDOW in place of these.
    """

    name: str
    severity: Severity
    looks_at: Callable[[View, float], Found]
    is_bad: Callable[[float, float], bool] = above
    threshold: float
    hold_s: float
    resolve_s: float
    summary: str
    do: str
    expr: str
    shown: Callable[[float], str] = number
    window_s: float = 0.0

    def bad(self, view: View) -> dict[Key, float]:
        """What is bad now, with its value; what is beyond all numbers is nothing to say anything of."""
        found = self.looks_at(view, self.window_s)
        bad = ((labels, value) for labels, value in found if isfinite(value) and self.is_bad(value, self.threshold))
        return {key_of(self.name, {name: _text(text) for name, text in labels.items()}): value for labels, value in bad}

    @property
    def terms(self) -> Terms:
        """Its times."""
        return Terms(self.hold_s, self.resolve_s)

    def says(self, labels: Mapping[str, str], value: float) -> str:
        """Its sentence on a case; what a label would say that is not there is a question mark."""
        return self.summary.format_map(_Said(labels, value=self.shown(value), window=span(self.window_s)))


def _text(text: str) -> str:
    """A label's value as people are told of it: workers may show what they like."""
    return "".join(char if char.isprintable() else "·" for char in text[:MAX_LABEL_CHARS])


class _Said(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "?"
