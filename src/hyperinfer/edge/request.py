"""What every route needs of a request: its head read once, and whether the client is there."""

from collections.abc import Mapping

import msgspec
from starlette.types import Receive, Scope

from hyperinfer.contracts.method import Meta
from hyperinfer.errors import BadRequest, Unauthenticated
from hyperinfer.facilities import labels, tracing

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
MAX_KEY_CHARS = 8192
HEAD = "hyperinfer.head"
CACHE = "x-hyperinfer-cache"
"""The header that says whether an answer may come from, and go to, a response cache."""
CACHE_WORDS = {None: None, b"on": True, b"off": False}


class ClientGone(Exception):
    """The client hung up; nobody is left to answer."""


class RequestHead(msgspec.Struct, frozen=True):
    """The headers that matter here. `key` is a session token or an API key, `request_id` the client's label or ours;
    `two_keys` says that two headers hold different ones; `cache` is what the `x-hyperinfer-cache` header holds; `headers`
    are all of them, the last one of each name. `traceparent` is the trace that it belongs to."""

    host: str
    origin: str | None
    content_length: int | None
    key: str | None
    request_id: str
    remote: str | None
    two_keys: bool = False
    cache: bytes | None = None
    headers: Mapping[bytes, bytes] = {}
    traceparent: str | None = None

    def __repr__(self) -> str:
        """Without what is secret of it."""
        return f"RequestHead({self.request_id!r})"

    @property
    def wants_cache(self) -> bool | None:
        """Whether an answer may come from a cache; `None` leaves it to the workers' settings. Raises `BadRequest`."""
        try:
            return CACHE_WORDS[self.cache]
        except KeyError as error:
            raise BadRequest(f"The {CACHE} header must be on or off.", param=CACHE) from error

    @property
    def meta(self) -> Meta:
        """What goes with each call that this request leads to."""
        return Meta(key=self.key, request_id=self.request_id, traceparent=self.traceparent, remote=self.remote)

    @property
    def authenticated_meta(self) -> Meta:
        """The same, where a credential must be there. Raises `Unauthenticated`."""
        if not self.key:
            raise Unauthenticated(
                "This needs a key: send `Authorization: Bearer KEY` or `X-API-Key: KEY` with an API key or session token."
            )
        return self.meta


def read_head(scope: Scope) -> RequestHead:
    """Read the headers once. Raises `BadRequest` for a content length that is no number."""
    found: dict[bytes, bytes] = dict(scope["headers"])
    length = found.get(b"content-length")
    if length is not None and not length.isdigit():
        raise BadRequest("The Content-Length header must be a whole number of bytes.")
    client = scope.get("client")
    origin = found.get(b"origin")
    bearer, other = _bearer(found), _text(found.get(b"x-api-key"))
    return RequestHead(
        host=found.get(b"host", b"").decode("latin-1"),
        origin=origin.decode("latin-1") if origin is not None else None,
        content_length=int(length) if length is not None else None,
        key=bearer or other,
        request_id=_request_id(found.get(b"x-request-id")),
        remote=client[0] if client else None,
        two_keys=bearer is not None and other is not None and bearer != other,
        cache=found.get(CACHE.encode()),
        headers=found,
        traceparent=_traceparent(found.get(b"traceparent")),
    )


def head_of(scope: Scope) -> RequestHead:
    """The head that the guard has read."""
    head: RequestHead = scope[HEAD]
    return head


async def watch(receive: Receive) -> None:
    """Wait for the client to hang up, then raise `ClientGone`. The body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientGone


def _traceparent(given: bytes | None) -> str | None:
    """A trace that the client has begun; what makes no sense is as nothing."""
    if given is None:
        return None
    text = given.decode("latin-1")
    return text if tracing.parse(text) else None


def _bearer(found: dict[bytes, bytes]) -> str | None:
    value = found.get(b"authorization", b"")
    return _text(value[7:]) if value[:7].lower() == b"bearer " else None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.strip().decode("latin-1")[:MAX_KEY_CHARS] or None


def _request_id(given: bytes | None) -> str:
    if given and labels.is_request_id(named := given.decode("latin-1")):
        return named
    return labels.new_request_id()
