"""The moments of one request, from which everything that is said about its speed is worked out."""

from hyperinfer.facilities.clock import Clock


class Times:
    """When one request arrived, got its slot, said its first token and ended, on the clock's monotonic scale."""

    __slots__ = ("_arrived", "_began", "_clock", "_ended", "_first")

    def __init__(self, clock: Clock, arrived: float) -> None:
        self._clock = clock
        self._arrived = self._began = self._ended = arrived
        self._first: float | None = None

    def begin(self) -> None:
        """It has its slot."""
        self._began = self._clock.monotonic()

    def token(self) -> None:
        """Tokens have come."""
        if self._first is None:
            self._first = self._clock.monotonic()

    def end(self) -> None:
        """Its last token has come."""
        self._ended = self._clock.monotonic()

    @property
    def waited_s(self) -> float:
        """From arrival to the slot."""
        return self._began - self._arrived

    @property
    def first_token_s(self) -> float:
        """From arrival to the first token, or to the end of an answer without any."""
        return (self._ended if self._first is None else self._first) - self._arrived

    @property
    def later_s(self) -> float:
        """From the first token to the end."""
        return self.duration_s - self.first_token_s

    @property
    def duration_s(self) -> float:
        """From arrival to the end."""
        return self._ended - self._arrived
