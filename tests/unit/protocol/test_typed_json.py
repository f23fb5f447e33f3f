"""What is wrong with a body becomes a sentence about the field."""

import re
from typing import Annotated, Literal

import msgspec
import pytest

from hyperinfer.errors import BadRequest
from hyperinfer.protocol.typed_json import decode, object_text


class Inner(msgspec.Struct):
    name: str


class Hot(msgspec.Struct, tag="hot"):
    pass


class Cold(msgspec.Struct, tag="cold"):
    degree: Literal["ice", "snow"] = "ice"


class Body(msgspec.Struct):
    count: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    heat: float | None = None
    inner: tuple[Inner, ...] = ()
    few: Annotated[tuple[str, ...], msgspec.Meta(max_length=2)] = ()
    short: Annotated[str, msgspec.Meta(min_length=1)] = "x"
    table: dict[str, int] = {}
    mode: Literal["slow", "fast"] | None = None
    weather: list[Hot | Cold] = []
    by_day: dict[str, Annotated[Literal["on", "off"], msgspec.Meta(description="x")]] = msgspec.field(
        default={}, name="byDay"
    )
    many: Literal[*(f"w{n}" for n in range(99))] = "w0"  # type: ignore[valid-type]  # more than a sentence holds
    number: Literal[1, 2] = 1


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ('{"count": "3"}', "count must be an integer, not a string.", "count"),
        ('{"count": 0}', "count must be at least 1.", "count"),
        ('{"count": 10}', "count must be at most 9.", "count"),
        ('{"heat": true}', "heat must be a number or null, not true or false.", "heat"),
        ('{"inner": [{"name": "a"}, {}]}', "inner[1].name is missing.", "inner[1].name"),
        ('{"inner": [{"name": 1}]}', "inner[0].name must be a string, not an integer.", "inner[0].name"),
        ('{"few": ["a", "b", "c"]}', "few must have at most 2 items.", "few"),
        ('{"short": ""}', "short must have at least 1 character.", "short"),
        ('{"table": {"a": "b"}}', "table[...] must be an integer, not a string.", "table[...]"),
        ('{"mode": "fats"}', "mode cannot be 'fats': it may be fast or slow.", "mode"),
        (
            '{"weather": [{"type": "mild"}]}',
            "weather[0].type cannot be 'mild': it may be cold or hot.",
            "weather[0].type",
        ),
        (
            '{"weather": [{"type": "hot"}, {"type": "cold", "degree": "x"}]}',
            "weather[1].degree cannot be 'x': it may be ice or snow.",
            "weather[1].degree",
        ),
        ('{"byDay": {"a": "maybe"}}', "byDay[...] cannot be 'maybe': it may be off or on.", "byDay[...]"),
        ('{"many": "x"}', "many cannot be 'x'.", "many"),
        ('{"number": 3}', "number cannot be 3.", "number"),
        ("[]", "The body must be an object, not a list.", ""),
    ],
)
def test_a_wrong_field_is_named(body: str, message: str, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode(msgspec.json.Decoder(Body), body.encode())
    assert refused.value.message == message
    assert refused.value.details["param"] == param


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"short": "\\ud800"}', b"{} {}", b"nonsense"])
def test_what_is_no_json_says_so(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not valid JSON"):
        decode(msgspec.json.Decoder(Body), body)


def test_endless_nesting_is_refused() -> None:
    with pytest.raises(BadRequest, match="too deeply"):
        decode(msgspec.json.Decoder(dict[str, object]), b'{"a":' * 100_000)


def test_an_object_as_a_text() -> None:
    assert object_text(msgspec.Raw('{"é": [1]}'.encode()), "input") == '{"é": [1]}'


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[1]", "messages[0].input must be an object."),
        (b"null", "messages[0].input must be an object."),
        (b'{"a":"\xff"}', "messages[0].input is not UTF-8."),
        (b'{"a":"\xed\xa0\x80"}', "messages[0].input is not UTF-8."),
    ],
)
def test_what_is_no_object(raw: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(said)) as caught:
        object_text(msgspec.Raw(raw), "messages[0].input")
    assert caught.value.details["param"] == "messages[0].input"
