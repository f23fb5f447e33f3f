"""On whose behalf a gateway asks auth: every request of a person goes on with who that is."""

from typing import Any, Generic

from hyperinfer.contracts.method import Method, Reply, Request, Wire, members

GATEWAYS = members("gateway")


class Actor(Wire, frozen=True):
    """A person whom a gateway has authenticated, by which API key or session. Auth looks up what they may do."""

    user_id: str
    key_id: str | None = None
    session_id: str | None = None


class As(Wire, Generic[Request], frozen=True):
    """A person's request, and who that person is."""

    actor: Actor
    wanted: Request


def at_auth(method: Method[Request, Reply]) -> Method[As[Request], Reply]:
    """The method of auth behind a person's method of the gateway: the same name, asked by gateways on their behalf."""
    request: Any = As[method.request]  # type: ignore[name-defined]  # a type made at run time
    return Method(method.name, request, method.reply, GATEWAYS)
