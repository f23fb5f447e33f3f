"""What a request is called: as its caller does, if that is a word; else it is given a name where it enters."""

import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.common import PING
from hyperinfer.contracts.gateway import PROCESS_INFERENCE
from hyperinfer.contracts.method import Meta
from hyperinfer.facilities import labels
from hyperinfer.kernel.observation import Observation, Seen


def seen_with(request_id: str | None) -> Seen:
    observation = Observation("gateway", registry=CollectorRegistry())
    with observation.call(PROCESS_INFERENCE) as seen:
        seen.carries(Meta(request_id=request_id))
        assert labels.CURRENT.get().request_id == seen.meta.request_id
    return seen


def test_a_word_is_kept() -> None:
    assert seen_with("mine-1").meta.request_id == "mine-1"


@pytest.mark.parametrize("given", [None, "", "two words", "new\nline", "ü", "x" * 129])
def test_anything_else_is_given_a_name_that_goes_on_with_the_call(given: str | None) -> None:
    seen = seen_with(given)
    assert seen.meta.request_id is not None
    assert seen.meta.request_id.startswith("req_")
    assert seen.labels.request_id == seen.meta.request_id


def test_what_machines_ask_again_and_again_needs_none() -> None:
    with Observation("gateway", registry=CollectorRegistry()).call(PING) as seen:
        seen.carries(Meta())
    assert seen.meta.request_id is None


def fails_inside(observation: Observation) -> None:
    with observation.call(PROCESS_INFERENCE) as outer:
        outer.carries(Meta(request_id="outer"))
        with observation.call(PROCESS_INFERENCE) as inner:
            inner.carries(Meta(request_id="inner"))
            raise ValueError("x")


def test_an_error_knows_the_innermost_call_in_which_it_came_up() -> None:
    with pytest.raises(ValueError, match="x") as raised:
        fails_inside(Observation("gateway", registry=CollectorRegistry()))
    assert labels.CURRENT.get() == labels.NONE
    assert labels.of(raised.value).request_id == "inner"
