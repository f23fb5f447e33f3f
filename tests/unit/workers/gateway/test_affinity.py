"""Who has a conversation's beginning in its cache."""

from typing import Any

import msgspec
import pytest

from hyperinfer.testing.fleet import ChoosingScene, model
from hyperinfer.workers.gateway import affinity as module
from hyperinfer.workers.gateway.affinity import KEPT_S, Affinity, Conversations
from hyperinfer.workers.gateway.asked import Asked, read

LONG = "In the beginning there was a long text. " * 20


def asked(*contents: str, **fields: Any) -> Asked:
    messages = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": one} for number, one in enumerate(contents)
    ]
    return read(msgspec.Raw(msgspec.json.encode({"messages": messages, **fields})))


class Scene(ChoosingScene):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = (self.fleet.add(model("m"), model("n")).offers["m"] for _ in range(2))
        self.known = Conversations(self.clock)

    def find(self, one: Asked, *, user: str = "ada", name: str = "m") -> object:
        return self.known.find(name, Affinity(user, one))


def test_a_follow_up_finds_who_answered_the_longest_beginning() -> None:
    scene = Scene()
    scene.known.answered(scene.one, Affinity("ada", asked(LONG)))
    scene.known.answered(scene.other, Affinity("ada", asked(LONG, "yes", "and?")))
    assert scene.find(asked(LONG)) is scene.one
    assert scene.find(asked(LONG, "no", "why?")) is scene.one
    assert scene.find(asked(LONG, "yes", "and?", "because", "I see")) is scene.other
    assert scene.find(asked("x" + LONG)) is None


def test_users_and_models_are_kept_apart() -> None:
    scene = Scene()
    scene.known.answered(scene.one, Affinity("ada", asked(LONG)))
    assert scene.find(asked(LONG), user="eve") is None
    assert scene.find(asked(LONG), name="n") is None


def test_a_key_of_the_senders_own_tells_conversations_apart() -> None:
    scene = Scene()
    scene.known.answered(scene.one, Affinity("ada", asked("hi", prompt_cache_key="k")))
    assert scene.find(asked("something else", prompt_cache_key="k")) is scene.one
    assert scene.find(asked("hi", prompt_cache_key="l")) is None
    assert scene.find(asked("hi", prompt_cache_key="k"), user="eve") is None


def test_short_prompts_and_nonsense_go_anywhere() -> None:
    for one in (asked("hi"), Asked(), Asked(messages=msgspec.Raw(b'"' + b"x" * 1000 + b'"'))):
        assert Affinity("ada", one).digests == ()


def test_a_long_conversation_costs_a_bounded_number_of_digests() -> None:
    assert len(Affinity("ada", asked(*("words " * 20 for _ in range(500)))).digests) == module.BEGINNINGS


def test_what_is_remembered_is_bounded_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    scene = Scene()
    for number in range(3):
        scene.known.answered(scene.one, Affinity("ada", asked(f"{number}" + LONG)))
    assert scene.find(asked("0" + LONG)) is None
    assert scene.find(asked("1" + LONG)) is scene.one
    scene.clock.advance(KEPT_S)
    assert scene.find(asked("1" + LONG)) is None


def test_the_balance_prefers_who_knows_it_unless_that_one_is_busier() -> None:
    scene = Scene()
    conversation = Affinity("ada", asked(LONG))
    scene.balance._conversations.answered(scene.one, conversation)

    def chosen() -> set[object]:
        return {scene.balance.choose_now(scene.wanted(), affinity=conversation) for _ in range(40)}

    assert chosen() == {scene.one}
    scene.one.load_estimate.own = 3
    assert chosen() == {scene.one}
    assert scene.balance.choose_now(scene.wanted(), without=[scene.one], affinity=conversation) is scene.other
    scene.one.load_estimate.own = 5
    assert chosen() == {scene.other}
    scene.one.load_estimate.own = 0
    scene.one.worker.live = False
    assert chosen() == {scene.other}
