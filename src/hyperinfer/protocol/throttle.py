"""How often something secret may be guessed: waits that grow with the tries that failed. Pure: the time is an argument.

Every try is judged by several subjects, such as the account that it aims at and the address that it comes from; each has a
policy of its own. A try counts as failed from the moment that it is admitted until it is said to have succeeded, so that
many at once gain nothing.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """`free` tries fail without a wait; after that the wait is `first_s`, and twice as long each time up to
    `longest_s`. What failed is forgotten `forget_s` after the last try."""

    free: int
    first_s: float = 5.0
    longest_s: float = 15 * 60.0
    forget_s: float = 60 * 60.0

    def wait_s(self, failures: int) -> float:
        """How long to wait after so many failures."""
        if failures < self.free:
            return 0.0
        # Beyond this many doublings every wait is the longest.
        return min(self.first_s * 2.0 ** min(failures - self.free, 64), self.longest_s)


class _Tries:
    __slots__ = ("failures", "forgotten_at", "free_at")

    def __init__(self) -> None:
        self.failures = 0
        self.free_at = 0.0
        self.forgotten_at = 0.0


class Throttle:
    """Failed tries by subject, at most `max_subjects`: beyond that those are forgotten that were seen longest ago."""

    def __init__(self, *, max_subjects: int = 100_000) -> None:
        self._max_subjects = max_subjects
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tries)

    def admit(self, subjects: Mapping[str, Policy], now: float) -> float:
        """Count one try against all subjects if none has to wait: 0.0. Otherwise for how long, and nothing is counted."""
        waits = [
            tries.free_at - now for name in subjects if (tries := self._tries.get(name)) and tries.forgotten_at > now
        ]
        longest_s = max(waits, default=0.0)
        if longest_s > 0:
            return longest_s
        for name, policy in subjects.items():
            self._count(name, policy, now)
        return 0.0

    def succeeded(self, subjects: Mapping[str, Policy], *, proven: str) -> None:
        """Take back a try that did not fail. `proven` is the subject of which it has shown that all is well: whatever
        failed there before is forgotten."""
        self._tries.pop(proven, None)
        self.undo({name: policy for name, policy in subjects.items() if name != proven})

    def undo(self, subjects: Mapping[str, Policy]) -> None:
        """Take back a try that came to nothing, neither right nor wrong."""
        for name in subjects:
            tries = self._tries.get(name)
            if tries is None:
                continue
            tries.failures -= 1
            tries.free_at = 0.0
            if tries.failures <= 0:
                del self._tries[name]

    def _count(self, name: str, policy: Policy, now: float) -> None:
        tries = self._tries.get(name)
        if tries is None or tries.forgotten_at <= now:
            tries = self._tries[name] = _Tries()
        tries.failures += 1
        tries.free_at = now + policy.wait_s(tries.failures)
        tries.forgotten_at = max(now + policy.forget_s, tries.free_at)
        self._tries.move_to_end(name)
        while len(self._tries) > self._max_subjects:
            self._tries.popitem(last=False)
