"""Choosing an offer: ready ones first, broken ones after their pause, with a wait and errors that say what is wrong."""

import asyncio

import pytest

from hyperinfer.contracts.inference import ModelStatus, Processed, Usage
from hyperinfer.errors import ModelNotFound, Unavailable
from hyperinfer.protocol.breaker import FAILURES
from hyperinfer.testing.fleet import ADA, ChoosingScene, model
from hyperinfer.workers.gateway.offers import Offer


async def test_only_what_is_ready_is_chosen() -> None:
    scene = ChoosingScene()
    scene.fleet.add(model(state="loading"))
    scene.fleet.add(model(), draining=True)
    lost = scene.fleet.add(model())
    lost.live = False
    good = scene.fleet.add(model())
    for _ in range(20):
        assert (await scene.balance.choose(scene.wanted())).worker is good


async def test_those_that_failed_are_taken_again_only_if_there_is_no_other() -> None:
    scene = ChoosingScene()
    one, other = scene.fleet.add(model()).offers["m"], scene.fleet.add(model()).offers["m"]
    wanted = scene.wanted()
    assert await scene.balance.choose(wanted, without=[one]) is other
    assert scene.balance.choose_now(wanted, without=[one, other]) is None
    assert await scene.balance.choose(wanted, without=[one, other]) in (one, other)


async def test_a_broken_offer_is_left_alone_and_then_probed_once() -> None:
    scene = ChoosingScene()
    offer = scene.fleet.add(model()).offers["m"]
    for _ in range(FAILURES):
        offer.breaker.failed(scene.clock.monotonic())
    with pytest.raises(Unavailable, match="failing") as refused:
        await scene.balance.choose(scene.wanted())
    assert refused.value.details["retry_after_s"] == 1.0
    scene.clock.advance(1.0)
    assert await scene.balance.choose(scene.wanted()) is offer
    with scene.balance.taking(offer):
        assert offer.load_estimate.own == 1
        assert scene.balance.choose_now(scene.wanted()) is None
    assert offer.load_estimate.own == 0


async def test_who_is_well_again_starts_slowly() -> None:
    scene = ChoosingScene()
    well, sick = (scene.fleet.add(model(busy=1)).offers["m"] for _ in range(2))
    for _ in range(FAILURES):
        sick.breaker.failed(scene.clock.monotonic())
    scene.clock.advance(1.0)
    with scene.balance.taking(sick):
        sick.breaker.succeeded()
    assert chosen(scene) == {well}
    scene.clock.advance(60.0)
    assert chosen(scene) == {well, sick}


async def test_a_worker_that_comes_back_starts_slowly() -> None:
    scene = ChoosingScene()
    there, back = (scene.fleet.add(model()) for _ in range(2))
    back.live = False
    scene.fleet.report(there, model(busy=1))
    scene.fleet.report(back, model(busy=1), now=scene.clock.monotonic())
    assert chosen(scene) == {there.offers["m"]}
    scene.clock.advance(60.0)
    assert chosen(scene) == {there.offers["m"], back.offers["m"]}


def chosen(scene: ChoosingScene, name: str = "m") -> set[Offer | None]:
    return {scene.balance.choose_now(scene.wanted(name)) for _ in range(40)}


async def test_a_model_that_is_ready_is_preferred_to_one_that_has_to_be_loaded() -> None:
    scene = ChoosingScene()
    idle = scene.fleet.add(model(state="idle")).offers["m"]
    assert chosen(scene) == {idle}
    ready = scene.fleet.add(model(busy=4)).offers["m"]
    assert chosen(scene) == {ready}


async def test_of_an_alias_the_first_model_that_is_ready_answers() -> None:
    scene = ChoosingScene(best="large small")
    scene.fleet.add(model("small"))
    assert (await scene.balance.choose(scene.wanted("best"))).status.name == "small"
    large = scene.fleet.add(model("large", state="idle"))
    assert (await scene.balance.choose(scene.wanted("best"))).status.name == "small"
    scene.fleet.report(large, model("large", busy=4))
    assert (await scene.balance.choose(scene.wanted("best"))).status.name == "large"
    failed = [large.offers["large"]]
    assert (await scene.balance.choose(scene.wanted("best"), without=failed)).status.name == "small"


async def test_only_who_can_do_what_is_needed_is_chosen() -> None:
    scene = ChoosingScene(both="blind seeing")
    vision = frozenset({"chat", "vision"})
    scene.fleet.add(model("blind"))
    assert not scene.balance.some_can(scene.wanted("both"), vision)
    assert scene.balance.choose_now(scene.wanted("both"), needs=vision) is None
    scene.fleet.add(model("seeing", capabilities=("chat", "vision")))
    assert scene.balance.some_can(scene.wanted("both"), vision)
    offer = scene.balance.choose_now(scene.wanted("both"), needs=vision)
    assert offer is not None
    assert offer.status.name == "seeing"


def answered(scene: ChoosingScene, offer: Offer, processed: Processed) -> None:
    with scene.balance.taking(offer) as taken:
        scene.clock.advance(processed.duration_s)
        taken.answered(processed)


def processed(duration_s: float) -> Processed:
    return Processed(Usage(10, 65), "stop", "m", first_token_s=duration_s / 10, duration_s=duration_s)


async def test_the_faster_worker_is_chosen_though_it_has_more_to_do() -> None:
    scene = ChoosingScene()
    slow, fast = (scene.fleet.add(model()).offers["m"] for _ in range(2))
    for _ in range(50):
        answered(scene, slow, processed(5.0))
        answered(scene, fast, processed(1.0))
    fast.load_estimate.own = 3
    assert chosen(scene) == {fast}
    fast.load_estimate.own = 40
    assert chosen(scene) == {slow}


async def test_an_answer_that_was_kept_says_nothing_of_speed() -> None:
    scene = ChoosingScene()
    one, other = (scene.fleet.add(model()).offers["m"] for _ in range(2))
    answered(scene, other, processed(1.0))
    answered(scene, one, Processed(Usage(9, 9), "stop", "m", duration_s=0.001, cache="hit"))
    assert chosen(scene) == {one, other}


async def test_what_nobody_has_is_refused_at_once_naming_what_there_is() -> None:
    scene = ChoosingScene(wait_s=60)
    scene.fleet.add(model("b"), model("a"))
    async with asyncio.timeout(1):
        with pytest.raises(ModelNotFound, match=r"'x'.*a, b\."):
            await scene.balance.choose(scene.wanted("x"))


async def test_what_no_model_is_for_is_refused_at_once_though_none_was_named() -> None:
    scene = ChoosingScene(wait_s=60)
    scene.fleet.add(model("b", capabilities=("chat", "completion")))
    async with asyncio.timeout(1):
        with pytest.raises(ModelNotFound, match=r"a model for embeddings\. There is: b\."):
            await scene.balance.choose(scene.catalogue.wanted("", ADA, "embedding"))


async def test_where_no_worker_has_told_of_any_model_one_is_waited_for() -> None:
    scene = ChoosingScene(wait_s=0.01)
    scene.fleet.add()
    with pytest.raises(Unavailable):
        await scene.balance.choose(scene.catalogue.wanted("", ADA, "embedding"))


async def test_a_worker_that_comes_in_time_is_taken() -> None:
    scene = ChoosingScene(wait_s=10)
    for name in ("m", ""):
        waiting = asyncio.create_task(scene.balance.choose(scene.wanted(name)))
        await asyncio.sleep(0)
        worker = scene.fleet.add(model())
        assert (await waiting).worker is worker
        worker.live = False


async def test_a_model_that_is_being_loaded_is_waited_for_longer() -> None:
    scene = ChoosingScene(wait_s=0.01, loading_wait_s=30)
    worker = scene.fleet.add(model(state="loading"))
    waiting = asyncio.create_task(scene.balance.choose(scene.wanted()))
    _, pending = await asyncio.wait([waiting], timeout=0.1)
    assert pending
    scene.fleet.report(worker, model())
    async with asyncio.timeout(1):
        assert (await waiting).worker is worker


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ((), "No inference worker"),
        ((model(state="loading"),), "being loaded"),
        ((model(state="away"),), "connected and"),
    ],
)
async def test_what_is_missing_is_said(models: tuple[ModelStatus, ...], words: str) -> None:
    scene = ChoosingScene()
    if models:
        scene.fleet.add(*models)
    with pytest.raises(Unavailable, match=words) as refused:
        await scene.balance.choose(scene.wanted())
    assert refused.value.details["retry_after_s"] > 0
