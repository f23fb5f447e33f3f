"""What is tried again and after which pause: a decision, without doing it."""

import random
from enum import Enum

from hyperinfer.errors import HyperinferError, Overloaded, PeerLost, RateLimited, Unavailable

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
"""The longest pause that is made. A gateway that wants a longer one is obeyed by giving up; the error says for how long."""


class Effect(Enum):
    """What it would do to send a request twice."""

    NONE = "none"
    """It only looks something up."""
    WORK = "work"
    """A model would work twice, and both would be counted."""
    CHANGE = "change"
    """Something would be changed twice."""


def pause_s(error: HyperinferError, effect: Effect, *, tried: int) -> float | None:
    """How long to wait before the next try, `tried` having failed before this one; `None` to give up.

    Pauses are random up to a bound that doubles ("full jitter"), so that those who were refused together do not come
    back together. Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    if not _is_worth_it(error, effect):
        return None
    jitter_s = random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**tried))
    asked_s = error.details.get("retry_after_s")
    if asked_s is None:
        return jitter_s
    return asked_s + min(jitter_s, FIRST_PAUSE_S) if asked_s <= LONGEST_PAUSE_S else None


def _is_worth_it(error: HyperinferError, effect: Effect) -> bool:
    """Whether trying again may help, and cannot do harm."""
    if isinstance(error, PeerLost):  # it broke off, here or behind the gateway: it may have been done
        return effect is Effect.NONE
    if "status" not in error.details:  # no refusal: nobody is there at all
        return False
    if error.details.get("should_retry") is False:
        return False
    if isinstance(error, RateLimited | Overloaded):  # refused before anything was begun
        return True
    return isinstance(error, Unavailable) and effect is not Effect.CHANGE
