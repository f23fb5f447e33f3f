"""What a request has used, at every moment of it."""

from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.inference import ModelStatus, Processed, Usage
from hyperinfer.errors import BadRequest
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.gateway.asked import ANSWER_TOKENS, read
from hyperinfer.workers.gateway.offers import Offer, Worker
from hyperinfer.workers.gateway.progress import Progress

ROLE, HELLO = (
    b'{"choices":[{"delta":{"role":"assistant","content":""}}]}',
    b'{"choices":[{"delta":{"content":"hello"}}]}',
)
LAST = b'{"choices":[{"delta":{},"finish_reason":"stop"}]}'


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.progress = Progress(prompt_estimate=7, clock=self.clock)
        worker = Worker(b"\1" * 32, name="w", caller=None, now=0.0)  # type: ignore[arg-type]  # nobody calls it
        status = ModelStatus("m", "echo", "ready", slots=1, busy=0, queued=0, tokens_per_s=10.0, first_token_s=1.0)
        self.offer = Offer(worker, status)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_nothing_is_used_before_a_worker_has_it(scene: Scene) -> None:
    assert (scene.progress.usage, scene.progress.model, scene.progress.worker) == (Usage(), "", "")


def test_a_stream_counts_its_chunks_of_text(scene: Scene) -> None:
    scene.progress.given(scene.offer)
    scene.clock.advance(0.5)
    for chunks, used in (([ROLE], 0), ([HELLO, HELLO], 2), ([LAST], 2)):
        scene.progress.relayed(chunks)
        assert scene.progress.usage == Usage(7, used)
    assert scene.progress.first_token_s == 0.5
    assert scene.progress.estimated


def test_once_it_has_ended_the_engines_count_holds(scene: Scene) -> None:
    scene.progress.given(scene.offer)
    scene.progress.relayed([HELLO])
    scene.progress.ended(Processed(usage=Usage(40, 2), finish_reason="stop", model="m"))
    assert (scene.progress.usage, scene.progress.estimated) == (Usage(40, 2), False)


def test_a_whole_answer_that_is_cut_is_estimated_by_the_models_own_speed(scene: Scene) -> None:
    scene.progress.given(scene.offer)
    scene.clock.advance(0.9)
    assert scene.progress.usage == Usage()
    scene.clock.advance(2.1)
    assert scene.progress.usage == Usage(7, 20)


def test_what_a_worker_refused_costs_nothing(scene: Scene) -> None:
    scene.progress.given(scene.offer)
    scene.clock.advance(9)
    scene.progress.refused()
    assert scene.progress.usage == Usage()


def asked(**fields: Any) -> Any:
    return read(msgspec.Raw(msgspec.json.encode({"model": "m", **fields})))


def test_a_reservation_is_the_prompt_and_a_short_answer_or_less() -> None:
    messages = [{"role": "user", "content": "x" * 400}]
    plain = asked(messages=messages)
    assert 100 <= plain.prompt_estimate <= 120
    assert plain.reservation == plain.prompt_estimate + ANSWER_TOKENS
    assert asked(messages=messages, max_tokens=5).reservation == plain.prompt_estimate + 5
    assert asked(messages=messages, max_completion_tokens=6, max_tokens=5).reservation == plain.prompt_estimate + 6
    assert asked(messages=messages, max_tokens=10**9).reservation == plain.reservation
    assert asked(max_tokens=-4).reservation == 1


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model": 1}', b'{"max_tokens": "many"}', b"{" * 100_000])
def test_a_body_that_makes_no_sense_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(msgspec.Raw(body))
