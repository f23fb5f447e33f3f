"""What is said of a path that nothing serves: also which one was meant, where a base URL is a word too long or too short."""

from collections.abc import Iterable, Iterator

from starlette.types import Receive, Scope, Send

from hyperinfer.errors import NotFound

MAX_PATH_CHARS = 200
VERSION = "/v1"
BEGINNINGS = ("", VERSION, "/api", "/openai")
"""What clients put before a path by themselves, and people beside that into a base URL."""


class NoRoute:
    """The end of all routes; `paths` are those that there are."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise `NotFound`."""
        path: str = scope["path"][:MAX_PATH_CHARS]
        meant = next((one for one in _near(path) if one in self._paths), None)
        hint = (
            f"Did you mean {meant}? The base URL of a client should make it so."
            if meant
            else "The OpenAI API is under /v1, accounts and keys are under /api."
        )
        raise NotFound(f"There is no {path!r} here. {hint}")


def _near(path: str) -> Iterator[str]:
    """The same path with less or more before it."""
    path = path.rstrip("/")
    for beginning in BEGINNINGS:
        if path.startswith(beginning):
            rest = path.removeprefix(beginning)
            yield rest
            yield VERSION + rest
