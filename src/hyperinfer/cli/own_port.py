"""What a worker of this machine shows on its own port: to who can read its settings: the token that it asks for."""


def token_of(wtype: str) -> str:
    """The token of a worker type's own ports, as this machine's settings have it; empty where it cannot be told."""
    from hyperinfer.cli.places import SETTINGS, load
    from hyperinfer.errors import ConfigError

    if wtype not in SETTINGS:
        return ""
    try:
        return str(load(wtype).settings.observe.token or "")
    except ConfigError:
        return ""


def headers_of(token: str) -> dict[str, str]:
    """What goes with a question."""
    return {"Authorization": f"Bearer {token}"} if token else {}
