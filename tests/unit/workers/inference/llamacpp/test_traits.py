"""What a model can do, as its header tells before it is loaded."""

import pytest

from hyperinfer.workers.inference.backends.llamacpp import traits
from hyperinfer.workers.inference.backends.llamacpp.gguf import Damaged, Header, Value

LLAMA: dict[str, Value] = {
    "general.architecture": "llama",
    "llama.context_length": 8192,
    "llama.block_count": 30,
    "llama.embedding_length": 576,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
}
GENERATES = {"completion", "json", "logprobs", "logit_bias", "tokens", "continues"}


def of(more: dict[str, Value], template: str = "", *, sees: bool = False) -> set[str]:
    return set(traits.of(Header({**LLAMA, **more}), template=template, sees=sees).capabilities)


def test_a_model_without_a_template_goes_on_with_texts() -> None:
    assert of({}) == GENERATES


@pytest.mark.parametrize(
    ("template", "more"),
    [
        ("{{ messages }}", set()),
        ("{% if tools %}{{ tools }}{% endif %}{{ messages }}", {"tools"}),
        ("{{ messages }}{% if enable_thinking %}{% endif %}", {"reasoning"}),
        ("{{ messages }}{{ mytools_are_not }}", set()),
    ],
)
def test_a_template_tells_more(template: str, more: set[str]) -> None:
    assert of({"tokenizer.chat_template": template}) == GENERATES | {"chat"} | more
    assert of({}, template) == GENERATES | {"chat"} | more


def test_a_projector_makes_it_see() -> None:
    assert of({}, "{{ messages }}", sees=True) == GENERATES | {"chat", "vision"}
    assert of({}, sees=True) == GENERATES


def test_tokens_for_it_make_it_fill_in() -> None:
    assert of({"tokenizer.ggml.fim_pre_token_id": 4}) == GENERATES | {"suffix"}


@pytest.mark.parametrize("more", [{"general.architecture": "bert"}, {"llama.pooling_type": 3}])
def test_a_model_that_makes_vectors_makes_nothing_else(more: dict[str, Value]) -> None:
    assert of(more, "{{ messages }}") == {"embedding", "tokens"}


def test_a_model_that_ranks_is_not_run() -> None:
    with pytest.raises(Damaged):
        of({"llama.pooling_type": 4})


def test_what_is_no_model() -> None:
    assert traits.is_model(Header(LLAMA))
    for more in ({"general.type": "adapter"}, {"general.type": "mmproj"}, {"general.architecture": "clip"}):
        assert not traits.is_model(Header({**LLAMA, **more}))


def test_context_and_memory() -> None:
    known = traits.of(Header(LLAMA))
    assert known.context_tokens(2048) == 2048
    assert known.context_tokens(100_000) == 8192
    assert known.cache_bytes == 30 * 3 * (64 + 64) * 2, "23 kB a token, as measured"
    needed = known.memory_bytes(98_000_000, slots=4, context_tokens=2048)
    assert 300_000_000 < needed < 450_000_000, "331 MB were measured"


def test_the_engine_s_own_word_counts_once_it_is_loaded() -> None:
    guessed = ("completion", "chat", "tools")
    assert traits.with_template(guessed, tools=False, fills_in=True) == ("completion", "chat", "suffix")
    assert traits.with_template(guessed, tools=True, fills_in=False) == guessed
