"""How many sockets there may be: in all, of one person, and of those who have not said who they are."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hyperinfer.errors import Overloaded, RateLimited

MAX_OF_PERSON = 256
MAX_WAITING = 256
"""How many may be without a key at a time. When one more comes, whoever has waited longest is given up: a key comes with
the first message, so that those who have only just come are the ones that mean it."""


class Places:
    """Counts sockets; `most` is how many there may be in all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._of: Counter[str] = Counter()
        self._waiting: OrderedDict[object, Callable[[], None]] = OrderedDict()

    @contextmanager
    def taken(self) -> Iterator["Place"]:
        """A place for the length of the block. Raises `Overloaded` if there is none."""
        if self._taken >= self._most:
            raise Overloaded("Too many sockets are open here; try again shortly.", retry_after_s=5)
        self._taken += 1
        place = Place(self)
        try:
            yield place
        finally:
            self._taken -= 1
            place.give_to("")

    def count(self, person: str, change: int) -> None:
        """One more or less of somebody's. Raises `RateLimited` for one too many."""
        if change > 0 and self._of[person] >= MAX_OF_PERSON:
            raise RateLimited(f"You have {MAX_OF_PERSON} sockets open here, the most for one person.", retry_after_s=5)
        self._of[person] += change
        if not self._of[person]:
            del self._of[person]

    def wait(self, place: object, give_up: Callable[[], None]) -> None:
        """Somebody's key is waited for."""
        self._waiting[place] = give_up
        if len(self._waiting) > MAX_WAITING:
            _, oldest = self._waiting.popitem(last=False)
            oldest()

    def wait_no_more(self, place: object) -> None:
        """It has come, or is waited for no more."""
        self._waiting.pop(place, None)


class Place:
    """The place of one socket."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._person = ""

    def give_to(self, person: str) -> None:
        """It is this person's from now on; nobody's, if empty. Raises `RateLimited`."""
        self._places.wait_no_more(self)
        if person != self._person:
            if person:
                self._places.count(person, 1)
            if self._person:
                self._places.count(self._person, -1)
            self._person = person

    def wait(self, give_up: Callable[[], None]) -> None:
        """Its owner's key is waited for; `give_up` is called when others need the place more."""
        self._places.wait(self, give_up)
