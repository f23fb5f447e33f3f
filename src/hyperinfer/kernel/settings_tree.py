"""Settings as a tree of dotted paths: which there are, what type each has, and how text becomes one of them."""

import difflib
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from hyperinfer.errors import ConfigError
from hyperinfer.facilities import secret

MASK = "********"
SECRET = secret.SECRET
Secret = secret.Secret
"""A setting that is masked wherever settings are shown, and that may be given as a file by `<name>_file`."""


def leaves(kind: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a struct as its dotted path and its type."""
    for field in msgspec.structs.fields(kind):
        path = f"{prefix}{field.name}"
        if section := _section(field.type):
            yield from leaves(section, f"{path}.")
        else:
            yield path, field.type


def flatten(tree: Mapping[str, Any], kind: type[msgspec.Struct], origin: str, prefix: str = "") -> dict[str, Any]:
    """A tree as read from a file, as values by dotted path. Raises `ConfigError` for a name that is no setting."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    found: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        section = _section(fields[name]) if name in fields else None
        if section and isinstance(value, Mapping):
            found |= flatten(value, section, origin, f"{path}.")
        elif section:
            raise ConfigError(f"{path} is a section and holds settings, not a value (from {origin}).")
        else:
            found[path] = value
    return found


def check_known(path: str, known: Mapping[str, Any], origin: str) -> None:
    """Raise `ConfigError` for a path that is no setting, naming the nearest that is."""
    if path in known:
        return
    near = difflib.get_close_matches(path, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ConfigError(f"{path} is not a setting (from {origin}).{hint}", path=path)


def parse_text(text: str, kind: Any, path: str, origin: str) -> Any:
    """A setting's value from text: JSON for lists and tables (or words between commas), else the text itself."""
    try:
        if _is_container(kind):
            if text.lstrip().startswith(("[", "{")):
                return msgspec.json.decode(text.encode(), type=kind)
            return msgspec.convert([word.strip() for word in text.split(",") if word.strip()], kind, strict=False)
        return msgspec.convert(text, kind, strict=False)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: {error} (from {origin}).", path=path) from error


def parse_value(value: Any, kind: Any, path: str, origin: str) -> Any:
    """A setting's value from parsed JSON. Raises `ConfigError` for another type."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error} (from {origin}).", path=path) from error


def build(kind: type[msgspec.Struct], values: Mapping[str, Any], prefix: str = "") -> Any:
    """A settings struct from values by dotted path; what is not there keeps its default."""
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        path = f"{prefix}{field.name}"
        if section := _section(field.type):
            given[field.name] = build_over(section, field, values, f"{path}.")
        elif path in values:
            given[field.name] = values[path]
    return kind(**given)


def build_over(section: type[msgspec.Struct], field: Any, values: Mapping[str, Any], prefix: str) -> Any:
    """A section: the struct's own default for it, with the values given laid over."""
    default = field.default
    if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    if default is msgspec.NODEFAULT:
        return build(section, values, prefix)
    base = {path: lookup(default, path[len(prefix) :]) for path, _ in leaves(section, prefix)}
    return build(section, {**base, **values}, prefix)


def lookup(settings: msgspec.Struct, path: str) -> Any:
    """The value at a dotted path."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def is_secret(kind: Any) -> bool:
    """Whether a setting's type is marked as a secret, alone or as an optional one."""
    if get_origin(kind) is Annotated:
        return SECRET in get_args(kind)[1:] or is_secret(get_args(kind)[0])
    return any(is_secret(part) for part in _parts(kind))


def masked(value: Any, kind: Any) -> Any:
    """A setting's value as it may be shown: without what is secret in it, however deep."""
    if is_secret(kind):
        return MASK if value else value
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        return msgspec.structs.replace(
            value, **{field.name: masked(getattr(value, field.name), field.type) for field in fields}
        )
    if isinstance(value, tuple):
        return tuple(masked(item, _item_kind(kind, tuple)) for item in value)
    if isinstance(value, dict):
        return {name: masked(item, _item_kind(kind, dict)) for name, item in value.items()}
    return value


def _item_kind(kind: Any, container: type) -> Any:
    """The type of what a list or a table of this type holds."""
    if get_origin(kind) is Annotated:
        return _item_kind(get_args(kind)[0], container)
    for part in _parts(kind) or (kind,):
        if get_origin(part) is container:
            return get_args(part)[0 if container is tuple else 1]
    return Any


def _section(kind: Any) -> type[msgspec.Struct] | None:
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _parts(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ()


def _is_container(kind: Any) -> bool:
    if get_origin(kind) is Annotated:
        return _is_container(get_args(kind)[0])
    if parts := _parts(kind):
        return any(_is_container(part) for part in parts)
    return (get_origin(kind) or kind) in (tuple, list, dict, frozenset, set)
