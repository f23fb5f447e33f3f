"""What is shown of values, by the kind of thing that a field holds."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperinfer.errors import Unavailable
from hyperinfer.facilities.log import fields
from hyperinfer.facilities.log.fields import FIELDS, shown
from hyperinfer.facilities.log.redaction import HIDDEN

KEY = "hi_0123abcd_" + "k" * 49


@pytest.mark.parametrize(
    ("show", "value", "seen"),
    [
        (fields.number, 3, 3),
        (fields.number, True, True),
        (fields.number, "3", HIDDEN),
        (fields.name, "SmolLM2-135M-Instruct:Q4_1", "SmolLM2-135M-Instruct:Q4_1"),
        (fields.name, "hf.co/org/model", "hf.co/org/model"),
        (fields.name, "Ada's machine", HIDDEN),
        (fields.name, "gpu box 2", "gpu box 2"),
        (fields.name, "one\ntwo", HIDDEN),
        (fields.name, "a b c d e f g", HIDDEN),
        (fields.name, "x" * 201, HIDDEN),
        (fields.name, KEY, HIDDEN),
        (fields.name, ("b", "a"), ["a", "b"]),
        (fields.name, {"b": 1}, HIDDEN),
        (fields.name, b"bytes", HIDDEN),
        (fields.label, "mine-1", "mine-1"),
        (fields.label, "two words", HIDDEN),
        (fields.label, f"x{KEY}", f"x{HIDDEN}"),
        (fields.moment, "2027-01-31T10:00:00+00:00", "2027-01-31T10:00:00+00:00"),
        (fields.moment, "yesterday", HIDDEN),
        (fields.path, Path("/var/log"), "/var/log"),
        (fields.path, "a\nb", HIDDEN),
        (fields.path, 3, HIDDEN),
        (fields.route, "/api/admin/users/{id}", "/api/admin/users/{id}"),
        (fields.route, "none", "none"),
        (fields.route, "/v1/what is love", HIDDEN),
        (fields.route, f"/{KEY}", f"/{HIDDEN}"),
        (fields.route, ["/"], HIDDEN),
        (fields.url, "http://127.0.0.1:9100", "http://127.0.0.1:9100"),
        (fields.url, "redis://me:secret@host:6379/0?x=secret#secret", "redis://host:6379/0"),
        (fields.url, "no address", HIDDEN),
        (fields.url, None, HIDDEN),
        (fields.sentence, "It's away; the worker's list is old.", "It's away; the worker's list is old."),
        (fields.sentence, "No model 'what is \"love\"?' here.", "No model '…' here."),
        (fields.sentence, "No model 'unended", "No model '…'"),
        (fields.sentence, "Run `hyperinfer up` again.", "Run `hyperinfer up` again."),
        (fields.sentence, "one\n\ttwo\x1b[31m", "one two[31m"),
        (fields.sentence, ["list"], HIDDEN),
        (fields.failure, OSError(28, "secret"), "OSError [ENOSPC]"),
        (fields.failure, Unavailable("secret"), "Unavailable [UNAVAILABLE]"),
        (fields.failure, "secret", HIDDEN),
        (
            fields.frames,
            "SyntaxError: Unexpected token in secret\n    at parse (/x/driver.js:3:4)",
            "SyntaxError\nat parse (/x/driver.js:3:4)",
        ),
        (fields.frames, "secret", HIDDEN),
    ],
)
def test_what_is_shown(show: fields.Show, value: Any, seen: Any) -> None:
    assert show(value) == seen


def test_a_long_sentence_is_cut() -> None:
    assert len(fields.sentence("word " * 200)) == fields.MAX_SENTENCE_CHARS


def test_a_field_that_is_not_declared_shows_its_name_alone() -> None:
    assert shown({"event": "asked", "prompt": "secret"}) == {"event": "asked", "prompt": HIDDEN}


def test_an_event_of_many_fields_is_cut() -> None:
    assert len(shown({f"field_{number}": number for number in range(100)})) == fields.MAX_FIELDS


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=40, deadline=None)
@given(value=anything)
def test_whatever_is_logged_is_shown_as_json_or_not_at_all(value: Any) -> None:
    for show in set(FIELDS.values()):
        msgspec.json.encode(show(value))


@given(secret=st.text(alphabet="abcdefghij", min_size=12))
def test_what_is_quoted_is_never_shown(secret: str) -> None:
    assert secret not in fields.sentence(f"There is no model {secret!r}: try another.")
