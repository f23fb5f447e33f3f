"""The contracts' structs as HTTP shows them: field names in snake_case, nothing left out, nothing unknown taken.

They are made from the contracts, so that the two cannot differ.
"""

from collections.abc import Callable, Collection
from functools import cache
from inspect import cleandoc
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo, fields

from hyperinfer.contracts.method import Wire
from hyperinfer.protocol.typed_json import refusal

Shape = type[msgspec.Struct]
Mirror = Callable[[type[Wire]], Shape]


@cache
def reply_shape(kind: type[Wire]) -> Shape:
    """What an answer looks like: every field is there, also where it is null."""
    members = [(field.name, _mirrored(field.type, reply_shape)) for field in fields(kind)]
    return _struct(kind.__name__, members, of=kind)


@cache
def body_shape(kind: type[Wire], without: frozenset[str] = frozenset()) -> Shape:
    """What a body may hold; `without` are fields that come from elsewhere. An unknown field is refused."""
    members = [_member(field, _mirrored(field.type, _part_shape)) for field in _of(kind, without)]
    return _struct(kind.__name__, members, of=kind)


@cache
def query_shape(kind: type[Wire], without: frozenset[str] = frozenset()) -> Shape:
    """What a query string may hold: null cannot be written there, so what may be null may be left out."""
    members = [_member(field, _never_null(_mirrored(field.type, _part_shape))) for field in _of(kind, without)]
    return _struct(f"{kind.__name__}InUrl", members, of=kind)


def shown(struct: msgspec.Struct) -> msgspec.Struct:
    """A struct of the contracts in its shape of a reply."""
    kind = cast(type[Wire], type(struct))
    return msgspec.convert(struct, reply_shape(kind), from_attributes=True)


def request_of(kind: type[Wire], given: dict[str, Any]) -> Wire:
    """A contract's request from fields of shapes. Raises `BadRequest` naming the field that is out of bounds."""
    try:
        whole = msgspec.convert(given, _whole(kind), from_attributes=True)
        return msgspec.convert(whole, kind, from_attributes=True)
    except msgspec.ValidationError as error:
        raise refusal(str(error)) from error


def given(shape: msgspec.Struct) -> dict[str, Any]:
    """The fields of a shape, whose nested shapes stay what they are."""
    return {name: getattr(shape, name) for name in shape.__struct_fields__}


def listing(item: type[Wire]) -> Shape:
    """A list of what is shown of a struct; `next` is the cursor of the page after it, if there is one."""
    return _list_shape(reply_shape(item))


def shape_of(name: str, doc: str | None, base: Shape | None = None, *, optional: Any = None, **members: Any) -> Shape:
    """A shape that no contract has: the fields of another, and these; those that are `optional` may be left out."""
    inherited = [_member(field, field.type) for field in fields(base)] if base else []
    further = [(field, kind, None) for field, kind in (optional or {}).items()]
    return msgspec.defstruct(
        name,
        [*inherited, *members.items(), *further],
        namespace={"__doc__": cleandoc(doc or "")},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )


@cache
def _list_shape(item: Shape) -> Shape:
    members: list[Any] = [
        ("object", Literal["list"]),
        ("data", tuple[item, ...]),  # type: ignore[valid-type]  # a type made at run time
        ("next", str | None),
    ]
    return msgspec.defstruct(f"{item.__name__}List", members, frozen=True, kw_only=True)


@cache
def _part_shape(kind: type[Wire]) -> Shape:
    """A struct inside a body: named apart, because the one that is answered always has every field."""
    members = [_member(field, _mirrored(field.type, _part_shape)) for field in fields(kind)]
    return _struct(f"{kind.__name__}Given", members, of=kind)


@cache
def _whole(kind: type[Wire]) -> Shape:
    return body_shape(kind)


def _struct(name: str, members: list[Any], *, of: type[Wire]) -> Shape:
    return msgspec.defstruct(
        name,
        members,
        namespace={"__doc__": cleandoc(of.__doc__ or "")},
        module=of.__module__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )


def _of(kind: type[Wire], without: Collection[str]) -> list[FieldInfo]:
    return [field for field in fields(kind) if field.name not in without]


def _member(field: FieldInfo, kind: Any) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return (field.name, kind, field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        return (field.name, kind, msgspec.field(default_factory=field.default_factory))
    return (field.name, kind)


def _mirrored(kind: Any, mirror: Mirror) -> Any:
    """A type in which every struct of the contracts is replaced by its shape."""
    if isinstance(kind, type) and issubclass(kind, Wire):
        return mirror(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return Annotated[(_mirrored(inner[0], mirror), *inner[1:])]
    if origin in (Union, UnionType):
        return Union[tuple(_mirrored(part, mirror) for part in inner)]  # noqa: UP007 - made of a tuple
    if origin is tuple:
        return tuple[tuple(part if part is ... else _mirrored(part, mirror) for part in inner)]  # type: ignore[misc]  # made at run time
    return kind


def _never_null(kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        return Union[tuple(part for part in get_args(kind) if part is not type(None))]  # noqa: UP007 - made of a tuple
    return kind
