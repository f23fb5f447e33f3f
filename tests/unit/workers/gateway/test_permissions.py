"""Which models a key may use."""

import re

import pytest

from hyperinfer.contracts.auth import Principal
from hyperinfer.errors import BadRequest
from hyperinfer.workers.gateway.permissions import check_name, may_use, refused


@pytest.mark.parametrize(
    ("patterns", "model", "fits"),
    [
        ((), "m", True),
        (("m",), "m", True),
        (("m",), "m2", False),
        (("m*",), "m2", True),
        (("m*",), "xm", False),
        (("*",), "anything", True),
        (("a.b",), "aXb", False),
        (("[a]*",), "a", False),
    ],
)
def test_a_star_at_the_end_stands_for_any_ending(patterns: tuple[str, ...], model: str, fits: bool) -> None:
    assert may_use(patterns, model) is fits


def test_a_refusal_names_what_the_key_is_for_and_not_everything() -> None:
    who = Principal(user_id="u", username="u", email="u@x.org", models=tuple(f"m{n}" for n in range(60)))
    refusal = refused(who, "gpt")
    assert re.search(r"'gpt'.*m0, m1.*…", refusal.message)
    assert len(refusal.message) < 300
    with pytest.raises(BadRequest):
        check_name("m" * 201)
