"""Writes docs/reference/settings.md from the settings' own classes and docstrings; a test holds the two together."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from hyperinfer.kernel.config import COMMON, NAMES
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.settings_tree import is_secret
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.client.config import ClientSettings
from hyperinfer.workers.gateway.config import GatewaySettings
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.metrics.config import MetricsSettings

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"

HEAD = """# Settings

<!-- Written by scripts/settings_reference.py from the settings' classes; change those, then run it again. -->

Defaults < `config/WORKER.json` < environment < `--set`; `hyperinfer config show WORKER` prints what is in force and where each value came from.

| to set `http.port` of a gateway to 3002 | |
|---|---|
| in `config/gateway.json` | `{"http": {"port": 3002}}` |
| in the environment | `HYPERINFER_GATEWAY__HTTP__PORT=3002` |
| with `hyperinfer worker` | `--set http.port=3002` |
| with `hyperinfer up` | `--set gateway.http.port=3002` |

What holds for every worker of a machine stands in `config/common.json`, or in `HYPERINFER_COMMON__…`. Lists and tables are JSON, or words between commas. A name that is
no setting is an error that names the nearest one. Settings marked *secret* are masked wherever they are shown, and may be given as a file: `NAME_file` holds its path.
Times end in `_s` and are in seconds, sizes in `_bytes`; null is *none*.
"""
WORKERS: tuple[tuple[str, str, type[msgspec.Struct]], ...] = (
    (COMMON, "Every worker", WorkerSettings),
    ("auth", "Auth", AuthSettings),
    ("gateway", "Gateway", GatewaySettings),
    ("inference", "Inference", InferenceSettings),
    ("client", "Client (the bridge)", ClientSettings),
    ("metrics", "Metrics", MetricsSettings),
)


def page() -> str:
    """The page."""
    return "".join((HEAD, *(_worker(*one) for one in WORKERS), *_environment()))


def _worker(name: str, title: str, kind: type[msgspec.Struct]) -> str:
    where = f"`config/{name}.json`, `HYPERINFER_{name.upper()}__…`"
    skipped = set() if name == COMMON else {field.name for field in msgspec.structs.fields(WorkerSettings)}
    return f"\n## {title}\n\n{where}\n" + "".join(_section(kind, kind(), "", skipped))


def _section(kind: type[msgspec.Struct], value: Any, prefix: str, skipped: set[str]) -> Iterator[str]:
    """The table of one section, then those of the sections in it."""
    title = f"\n### `{prefix.removesuffix('.')}`\n" if prefix else ""
    yield f"{title}\n{inspect.getdoc(kind)}\n\n| setting | kind | default |\n|---|---|---|\n"
    fields = [field for field in msgspec.structs.fields(kind) if field.name not in skipped]
    inner = []
    for field in fields:
        held = getattr(value, field.name)
        if isinstance(held, msgspec.Struct):
            inner.append((type(held), held, f"{prefix}{field.name}."))
        else:
            yield f"| `{prefix}{field.name}` | {_kind(field.type)} | {_default(held, field.type)} |\n"
    for one in inner:
        yield from _section(*one, set())


def _kind(kind: Any) -> str:
    if is_secret(kind):
        return "secret"
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return f"{_kind(parts[0])}{_bounds(parts[1:])}"
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in parts)
    if origin is tuple:
        return f"list of {_kind(parts[0])}"
    if origin is dict:
        return f"table of {_kind(parts[1])}"
    if origin is Union or type(kind).__name__ == "UnionType":
        return " or ".join(_kind(one) for one in parts)
    names = {str: "text", bool: "yes or no", int: "number", float: "number", type(None): "none", Any: "anything"}
    return names.get(kind) or f"`{kind.__name__}`"


def _bounds(marks: tuple[Any, ...]) -> str:
    said = []
    for mark in marks:
        if isinstance(mark, msgspec.Meta):
            bounds = (("≥", mark.ge), (">", mark.gt), ("≤", mark.le), ("<", mark.lt))
            said += [f" {sign} {bound:g}" for sign, bound in bounds if bound is not None]
    return ",".join(said)


def _default(value: Any, kind: Any) -> str:
    if value is None or value == "" or is_secret(kind):
        return ""
    text = msgspec.json.encode(value).decode()
    return f"`{text}`".replace("|", "\\|")


def _environment() -> Iterator[str]:
    yield "\n## Names of the environment's own\n\n| variable | sets |\n|---|---|\n"
    for name, places in NAMES.items():
        yield f"| `{name}` | {', '.join(f'`{path}` of {worker}' for worker, path in places)} |\n"
    yield "| `HYPERINFER_HOME` | the folder with `data/`, `status/`, `logs/`, `config/` and `models/`; else the working directory |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
