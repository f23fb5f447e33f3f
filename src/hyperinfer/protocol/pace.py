"""How fast a worker answers: what its answers have taken, made comparable, and how much that still says. Pure."""

TYPICAL_TOKENS = 64
"""Tokens of the answer by which workers are compared."""
LEAST_TOKENS = 8
"""A shorter answer does not tell how fast tokens come."""
LEARNING = 0.2
"""How much one answer changes what is known."""
NOTICED_S = 0.05
"""Answers that are faster are all as fast: nobody notices, and what differs is chance."""
AT_ONCE = 4.0
"""By how many times one answer may differ from what is known, at most: a reader who stalls makes an answer take minutes,
which says nothing of who gives it."""
DOUBT = 4
"""After so many answers half of a difference is believed: a single one may have waited for the prompts of others."""
HALF_SURE = 0.5
HALF_LIFE_S = 30.0
"""After so long without an answer a difference counts half: who was slow, because of a cold start say, is tried again."""
CROWDS = 6
"""Sizes of crowd that are told apart: 1, 2, 3 or 4, up to 8, up to 16, more."""


def typical_s(*, first_s: float, later_s: float, tokens: int, way_s: float = 0.0) -> float:
    """What a typical answer would have taken (s), told from one of so many tokens, its first after `first_s`, the others in
    `later_s`, `way_s` on its way; 0 if it is too short to tell.

    The first token does not count: how long it takes is a matter of how long the prompt was, and of how much of it came
    from a cache. Of what says no tokens at all, as embeddings, it is all that there is.
    """
    if tokens == 0:
        return way_s + first_s
    return way_s + TYPICAL_TOKENS * later_s / (tokens - 1) if tokens >= LEAST_TOKENS else 0.0


class Pace:
    """Averages of what a typical answer takes (s), by how many requests ran together: an engine that is busy is slower for
    each, and would seem a slow one beside another that has nothing to do."""

    __slots__ = ("_averages", "_seen_at", "_told_s")

    def __init__(self) -> None:
        self._averages = [_Average() for _ in range(CROWDS)]
        self._told_s = 0.0
        self._seen_at: float | None = None

    def answered(self, now: float, typical_s: float, *, crowd: float) -> None:
        """An answer from here, while so many requests ran together, itself included. `now` is in seconds, on a scale that
        never goes back."""
        if typical_s > 0:
            self._averages[_size(crowd)].take(max(typical_s, NOTICED_S))
            self._seen_at = now

    def told(self, now: float, typical_s: float) -> None:
        """What the worker says of itself; it counts while nobody has been answered from here."""
        self._told_s = max(typical_s, NOTICED_S) if typical_s > 0 else 0.0
        self._seen_at = now

    def over(self, other: "Pace", now: float) -> float:
        """How many times as long an answer takes here as there, as far as that is known: 1 says nothing."""
        if self._seen_at is None or other._seen_at is None:
            return 1.0
        ratio, sure = self._beside(other)
        age_s = now - min(self._seen_at, other._seen_at)
        return float(ratio ** (sure * 0.5 ** (age_s / HALF_LIFE_S)))

    def _beside(self, other: "Pace") -> tuple[float, float]:
        """The same, whenever it was, and how sure that is, from 0 to 1."""
        here = there = -1
        ratio, sure = 1.0, 0.0
        for size, (ours, theirs) in enumerate(zip(self._averages, other._averages, strict=True)):
            if ours.answers:
                here = size
            if theirs.answers:
                there = size
            if here == there == size and ours.sure(theirs) > sure:
                ratio, sure = ours.seconds / theirs.seconds, ours.sure(theirs)
        if sure:
            return ratio, sure
        if here < 0 or there < 0:
            return (self._told_s / other._told_s, HALF_SURE) if self._told_s and other._told_s else (1.0, 0.0)
        # Never in a crowd of the same size. A crowd makes nobody faster: so much is certain.
        one, two = self._averages[here], other._averages[there]
        ratio = one.seconds / two.seconds
        return (max(ratio, 1.0) if here < there else min(ratio, 1.0)), one.sure(two)


class _Average:
    """An average that forgets, and of how many answers."""

    __slots__ = ("answers", "seconds")

    def __init__(self) -> None:
        self.answers = 0
        self.seconds = 0.0

    def take(self, seconds: float) -> None:
        before = self.seconds
        if self.answers:
            within = min(max(seconds, before / AT_ONCE), before * AT_ONCE)
            seconds = before + max(LEARNING, 1 / (self.answers + 1)) * (within - before)
        self.seconds = seconds
        self.answers += 1

    def sure(self, other: "_Average") -> float:
        """How sure a difference between the two is."""
        answers = min(self.answers, other.answers)
        return answers / (answers + DOUBT)


def _size(crowd: float) -> int:
    return min(max(round(crowd) - 1, 0).bit_length(), CROWDS - 1)
