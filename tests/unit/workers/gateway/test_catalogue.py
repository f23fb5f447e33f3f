"""Names of models: which there are, what they stand for, and who may use them."""

import pytest
from msgspec.structs import replace

from hyperinfer.errors import BadRequest, Forbidden, ModelNotFound
from hyperinfer.testing.fleet import ADA, ChoosingScene, model


def names(scene: ChoosingScene, name: str, *models: str) -> list[str]:
    return list(scene.wanted(name, replace(ADA, models=models)).names)


def test_the_default_model_is_the_one_with_the_most_slots() -> None:
    scene = ChoosingScene()
    assert names(scene, "") == []
    scene.fleet.add(model("small", slots=2), model("away", state="away", slots=99))
    scene.fleet.add(model("large", slots=2))
    scene.fleet.add(model("large", slots=1))
    assert names(scene, "") == ["large"]
    assert names(ChoosingScene(default_model="mine", mine="a b"), "") == ["a", "b"]


def test_a_model_that_does_not_chat_is_no_default_for_chats() -> None:
    scene = ChoosingScene()
    scene.fleet.add(model("embedder", slots=9, capabilities=("embedding",)), model("small", slots=1))
    assert names(scene, "") == ["small"]
    assert list(scene.catalogue.wanted("", ADA, "embedding").names) == ["embedder"]
    assert list(scene.catalogue.wanted("", ADA, "completion").names) == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("llama3:latest", "llama3:latest"),
        ("llama3", "llama3:latest"),
        ("LLaMA3", "llama3:latest"),
        ("llama3:8b", "llama3:8b"),
        ("qwen", "Qwen"),
        ("Qwen", "Qwen"),
        ("llama3:70b", "llama3:70b"),
        ("nothing", "nothing"),
    ],
)
def test_a_model_is_found_as_people_write_it(asked: str, found: str) -> None:
    scene = ChoosingScene()
    scene.fleet.add(model("llama3:latest"), model("llama3:8b"), model("Qwen"))
    assert names(scene, asked) == [found]


def test_an_alias_stands_for_models_and_never_for_another_alias() -> None:
    scene = ChoosingScene(llama3="llama3 smollm2", other="LLAMA3 gone")
    scene.fleet.add(model("llama3:latest"), model("smollm2"))
    assert names(scene, "llama3") == ["llama3:latest", "smollm2"]
    assert names(scene, "Llama3") == ["llama3:latest", "smollm2"]
    assert names(scene, "other") == ["llama3:latest", "gone"]


def test_a_name_that_is_exactly_a_models_is_that_models() -> None:
    scene = ChoosingScene(gpt="large")
    scene.fleet.add(model("GPT"), model("large"))
    assert names(scene, "GPT") == ["GPT"]
    assert names(scene, "gpt") == ["large"]


def test_an_alias_widens_no_key() -> None:
    scene = ChoosingScene(cheap_one="cheap large")
    scene.fleet.add(model("cheap"), model("large"))
    assert names(scene, "cheap_one", "cheap*") == ["cheap"]
    assert names(scene, "cheap_one", "large") == ["large"]
    assert names(scene, "cheap_one", "cheap_one") == ["cheap", "large"]
    for name in ("large", "cheap_one"):
        with pytest.raises(Forbidden, match=name):
            scene.wanted(name, replace(ADA, models=("small",)))
    with pytest.raises(Forbidden):
        scene.wanted("cheap", replace(ADA, models=("cheap_one",)))


def test_what_cannot_be_a_name_is_refused() -> None:
    with pytest.raises(BadRequest):
        ChoosingScene().wanted("m" * 201)


def test_near_names_and_aliases_are_named() -> None:
    scene = ChoosingScene(helper="smollm2-135m")
    scene.fleet.add(model("smollm2-135m"), model("llama3.1:8b"))
    for asked, meant in (("smolm2-135m", "smollm2-135m"), ("llama3", "llama3.1:8b"), ("helpr", "helper")):
        assert f"Did you mean {meant}?" in scene.wanted(asked).not_found().message
    assert "Did you mean" not in scene.wanted("xyz").not_found().message
    assert "helper, llama3.1:8b, smollm2-135m." in scene.wanted("xyz").not_found().message
    narrow = replace(ADA, models=("xyz", "llama3*"))
    assert "smollm2" not in scene.wanted("xyz", narrow).not_found().message, "a key is told of its models only"


def test_a_long_list_of_models_is_cut_short() -> None:
    scene = ChoosingScene()
    scene.fleet.add(*(model(f"model-{n:03}") for n in range(100)))
    error: ModelNotFound = scene.wanted("x").not_found()
    assert "model-019, …." in error.message
    assert len(error.message) < 500


def test_models_are_summed_over_the_workers_that_take_requests() -> None:
    scene = ChoosingScene(alias="gone b a")
    scene.fleet.add(model("a", busy=1, tokens_per_s=10.0, context_tokens=100, error_rate=0.5), model("c", state="away"))
    scene.fleet.add(model("a", state="idle", slots=2, context_tokens=50, capabilities=("chat", "tools")))
    scene.fleet.add(model("a"), draining=True)
    scene.fleet.add(model("b", state="loading"))
    rows = {row.id: row for row in scene.catalogue.models(ADA).models}
    assert list(rows) == ["a", "alias", "b"]
    a = rows["a"]
    assert (a.state, a.workers, a.slots, a.busy, a.context_tokens) == ("ready", 2, 6, 1, 50)
    assert (a.capabilities, a.tokens_per_s, a.error_rate) == (("chat", "tools"), 10.0, 0.25)
    assert rows["b"].state == "loading"
    assert rows["alias"] == replace(a, id="alias", answered_by=("b", "a"))
    narrow = scene.catalogue.models(replace(ADA, models=("b",))).models
    assert [(row.id, row.answered_by) for row in narrow] == [("alias", ("b",)), ("b", ())]
