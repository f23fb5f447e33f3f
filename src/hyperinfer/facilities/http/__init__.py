"""The HTTP facility: an ASGI app served inside our own event loop, on a port that is free or refused aloud."""

from hyperinfer.facilities.http.listen import Listen
from hyperinfer.facilities.http.server import serving

__all__ = ["Listen", "serving"]
