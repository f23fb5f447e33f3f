"""How a request is refused that asks for what a model cannot do."""

from collections.abc import Collection

from hyperinfer.errors import Unsupported


def unsupported(param: str, why: str) -> Unsupported:
    """The refusal of a field."""
    return Unsupported(f"{param}: {why}", param=param)


def need(capability: str, capabilities: Collection[str], param: str, why: str) -> None:
    """Raise `Unsupported` if a model has not this capability."""
    if capability not in capabilities:
        raise unsupported(param, why)
