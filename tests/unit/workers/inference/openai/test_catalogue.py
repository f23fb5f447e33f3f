"""What is offered of what servers list: names, kinds, capabilities, contexts."""

from typing import Any

import msgspec
import pytest

from hyperinfer.workers.inference.backends.openai.catalogue import Listed, Props, TemplateCaps, catalogue, unlisted
from hyperinfer.workers.inference.backends.openai.settings import ServerSettings


def server(**fields: Any) -> ServerSettings:
    return ServerSettings(**{"name": "box", "url": "http://127.0.0.1:8000/v1", **fields})


def listed(*ids: str, owned_by: str = "vllm", **told: Any) -> tuple[Listed, ...]:
    return tuple(Listed(id=one, owned_by=owned_by, **told) for one in ids)


@pytest.mark.parametrize(
    ("models", "theirs"),
    [
        ((), {"a": "a", "b": "b", "c/d": "c/d"}),
        (("a", "c/*"), {"a": "a", "c/d": "c/d"}),
        (("nothing",), {}),
        ({"x": "a", "y": "a", "z": "gone"}, {"x": "a", "y": "a"}),
    ],
)
def test_which_models_are_offered_and_as_what(models: Any, theirs: dict[str, str]) -> None:
    found = catalogue(listed("a", "b", "c/d", "", "x" * 300), server(models=models))
    assert found.theirs == theirs
    assert list(found.models) == list(theirs)


def test_a_prefix_goes_before_names_that_are_not_in_a_table() -> None:
    assert catalogue(listed("a"), server(prefix="p/")).theirs == {"p/a": "a"}
    assert catalogue(listed("a"), server(prefix="p/", models={"x": "a"})).theirs == {"x": "a"}


@pytest.mark.parametrize("own", ["/srv/models/Tiny-Q4.gguf", r"C:\models\Tiny-Q4.gguf", "Tiny-Q4.gguf", "/srv/Tiny-Q4"])
def test_no_folder_of_the_server_is_in_a_name(own: str) -> None:
    assert catalogue(listed(own), server()).theirs == {"Tiny-Q4": own}
    assert catalogue(listed(own), server(models=("Tiny*",))).theirs == {"Tiny-Q4": own}


@pytest.mark.parametrize(
    ("owner", "url", "flavor"),
    [
        ("vllm", "http://a/v1", "vllm"),
        ("sglang", "http://a/v1", "sglang"),
        ("llamacpp", "http://a/v1", "llamacpp"),
        ("organization_owner", "http://a/v1", "lmstudio"),
        ("system", "https://api.openai.com/v1", "openai"),
        ("somebody", "http://a/v1", "generic"),
    ],
)
def test_a_server_s_kind_is_what_it_shows(owner: str, url: str, flavor: str) -> None:
    assert catalogue(listed("m", owned_by=owner), server(url=url)).flavor.name == flavor
    assert catalogue(listed("m", owned_by=owner), server(url=url, flavor="sglang")).flavor.name == "sglang"


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        ({"max_model_len": 4096}, 4096),
        ({"context_length": 8192}, 8192),
        ({"meta": {"n_ctx": 512, "n_ctx_train": 8192}}, 512),
        ({"meta": "odd", "context_length": "many"}, 0),
        ({}, 0),
    ],
)
def test_how_many_tokens_it_takes(told: dict[str, Any], tokens: int) -> None:
    assert catalogue(listed("m", **told), server()).models["m"].context_tokens == tokens
    assert catalogue(listed("m", **told), server(context_tokens=300)).models["m"].context_tokens == 300


def test_what_a_model_can_do() -> None:
    def able(*ids: str, props: Props | None = None, owned_by: str = "vllm", **settings: Any) -> tuple[str, ...]:
        told = settings.pop("told", {})
        [model] = catalogue(listed(*ids, owned_by=owned_by, **told), server(**settings), props).models.values()
        return model.capabilities

    assert {"chat", "tools", "choices", "continues"} <= set(able("m"))
    assert able("m", owned_by="x") == ("chat", "completion")
    assert able("m", owned_by="x", capabilities=("chat", "tools")) == ("chat", "tools")
    assert "chat" not in able("text-embedding-3-small")
    assert "embedding" in able("BAAI/BGE-M3", embedders=("*bge*",))
    assert "tools" not in able("m", owned_by="llamacpp")
    told = Props(total_slots=3, chat_template_caps=TemplateCaps(supports_tools=True, supports_reasoning_effort=True))
    assert {"tools", "reasoning"} <= set(able("m", owned_by="llamacpp", props=told))
    assert "vision" in able("m", owned_by="llamacpp", told={"architecture": {"input_modalities": ["text", "image"]}})
    assert "vision" not in able("m", told={"architecture": {"input_modalities": ["text"]}})


def test_slots_are_the_operator_s_the_server_s_or_eight() -> None:
    props = Props(total_slots=3)
    assert catalogue(listed("m"), server(), props).models["m"].slots == 3
    assert catalogue(listed("m"), server(slots=5), props).models["m"].slots == 5
    assert catalogue(listed("m"), server()).models["m"].slots == 8


def test_models_of_a_server_that_is_away_say_why() -> None:
    away = catalogue(listed("m"), server()).away("It is gone.")
    assert [(model.state, model.reason) for model in away.models.values()] == [("away", "It is gone.")]
    assert away.theirs == {"m": "m"}


def test_a_server_that_lists_nothing_has_what_is_named() -> None:
    assert [one.id for one in unlisted(server(models=("a", "b*")))] == ["a"]
    assert [one.id for one in unlisted(server(models={"x": "a"}))] == ["a"]


def test_odd_lists_are_read() -> None:
    odd = b'{"id": "m", "owned_by": null, "meta": null, "architecture": 7, "context_length": 1.5, "permission": []}'
    one = msgspec.json.decode(odd, type=Listed)
    assert (one.context_tokens, one.reads_images) == (0, None)
