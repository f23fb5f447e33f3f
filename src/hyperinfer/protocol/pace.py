"""How fast a worker answers: what its answers have taken, made comparable, and how much that still says. Pure."""

TYPICAL_TOKENS = 64
"""Tokens of the answer by which workers are compared."""
LEARNING = 0.2
"""How much one answer changes what is known."""
AT_ONCE = 4.0
"""By how many times one answer may differ from what is known, at most: a reader who stalls makes an answer take minutes,
which says nothing of who gives it."""
HALF_LIFE_S = 30.0
"""After so long without an answer a difference counts half: who was slow, because of a cold start say, is tried again."""


class Pace:
    """Seconds to the first token without the wait for a slot, and for each token after it, both averaged."""

    __slots__ = ("_first_s", "_seen_at", "_token_s")

    def __init__(self) -> None:
        self._first_s = 0.0
        self._token_s = 0.0
        self._seen_at: float | None = None

    def answered(self, now: float, *, first_s: float, later_s: float, tokens: int) -> None:
        """An answer of so many tokens, its first one after `first_s` in its slot, the others in `later_s`. `now` is in
        seconds, on a scale that never goes back."""
        self._first_s = _averaged(self._first_s, first_s)
        if tokens > 1 and later_s > 0:
            self._token_s = _averaged(self._token_s, later_s / (tokens - 1))
        self._seen_at = now

    @property
    def typical_s(self) -> float:
        """What a typical answer takes; 0 while nothing is known."""
        return self._first_s + TYPICAL_TOKENS * self._token_s

    def over(self, other: "Pace", now: float) -> float:
        """How many times as long an answer takes here as there, as far as that is known: 1 says nothing."""
        if self._seen_at is None or other._seen_at is None:
            return 1.0
        here_s, there_s = self.typical_s, other.typical_s
        if here_s <= 0 or there_s <= 0:
            return 1.0
        age_s = now - min(self._seen_at, other._seen_at)
        return float((here_s / there_s) ** (0.5 ** (age_s / HALF_LIFE_S)))


def _averaged(before: float, value: float) -> float:
    if before <= 0:
        return max(value, 0.0)
    return before + LEARNING * (min(max(value, before / AT_ONCE), before * AT_ONCE) - before)
