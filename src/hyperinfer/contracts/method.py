"""What a method is: its name on the wire, its types, and who may call it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

Request = TypeVar("Request")
Reply = TypeVar("Reply")


class Wire(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of everything that crosses the wire: camelCase JSON, unknown fields ignored, defaults left out."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a method: `public` any peer, `user` and `admin` a credential, `invited` the holder of an open invite,
    else one of the member roles.

    `scope` is what an API key must be allowed to do; a session may do all that its holder may. A method that says
    nothing cannot be declared: refusing is the default.
    """

    kind: str
    roles: frozenset[str] = frozenset()
    scope: str = ""


PUBLIC = Access("public")
INVITED = Access("invited")
ADMIN = Access("admin", scope="admin")


def user(scope: str) -> Access:
    """Whoever has a session, or an API key with this scope."""
    return Access("user", scope=scope)


USER = user("inference")


def members(*roles: str) -> Access:
    """Members of the swarm that have one of these roles."""
    return Access("members", frozenset(roles))


ANY_MEMBER = members("auth", "gateway", "inference", "client", "web", "metrics")


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Reply]):
    """One method of a contract. `aliases` are further names of the same thing; `streams` says that it may push
    chunks before its reply. A `quiet` one is called again and again by machines: it is counted, and neither timed nor told in the
    log while all is well."""

    name: str
    request: type[Request]
    reply: type[Reply]
    access: Access
    aliases: tuple[str, ...] = ()
    streams: bool = False
    quiet: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that it answers to."""
        return (self.name, *self.aliases)


class Meta(Wire, frozen=True, rename="camel", omit_defaults=True):
    """What every request may carry beside its own fields.

    `key` is a session token or an API key; `deadline_ms` the time remaining; `request_id` a label of the caller's;
    `traceparent` as W3C Trace Context has it; `remote` the caller's address where an edge saw one.
    """

    key: str | None = None
    request_id: str | None = None
    traceparent: str | None = None
    deadline_ms: int | None = None
    remote: str | None = None


NO_META = Meta()


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request on the wire: `{data, meta}`, and for a streamed call `stream`, `id` and `window` (in chunks).

    The bare form, the request's own fields with `meta` among them, is accepted too: `data` is then unset.
    """

    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    meta: Meta = NO_META
    stream: bool = False
    id: int | str | None = None
    window: int | None = None


class Nothing(Wire, frozen=True):
    """A request or reply without fields."""
