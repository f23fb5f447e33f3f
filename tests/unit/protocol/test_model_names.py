"""Names of models as people write them."""

import pytest

from hyperinfer.protocol.model_names import NAMED, find, listed, near

NAMES = ("llama3:latest", "llama3.1:8b", "qwen2.5-coder:7b", "smollm2-135m", "GPT-4o")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("llama3:latest", "llama3:latest"),
        ("llama3", "llama3:latest"),
        ("LLAMA3", "llama3:latest"),
        ("gpt-4O", "GPT-4o"),
        ("smollm2-135m:latest", "smollm2-135m"),
        ("GPT-4O:Latest", "GPT-4o"),
        ("llama3.1:latest", None),
        (":latest", None),
        ("llama3.1", None),
        ("llama3:", None),
        ("", None),
    ],
)
def test_what_is_meant_is_found_and_nothing_else(name: str, found: str | None) -> None:
    assert find(name, NAMES) == found


def test_an_exact_name_wins_over_one_in_other_case() -> None:
    assert find("a", ("A", "a", "a:latest")) == "a"
    assert find("b", ("B", "b:latest")) == "B"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lama3", "llama3:latest"),
        ("qwen", "qwen2.5-coder:7b"),
        ("smolm2-135m", "smollm2-135m"),
        ("llama3.1:70b", "llama3.1:8b"),
        ("gpt-4", "GPT-4o"),
    ],
)
def test_who_mistypes_is_told_what_is_near(name: str, meant: str) -> None:
    assert near(name, NAMES)[0] == meant
    assert len(near(name, NAMES)) == len(set(near(name, NAMES))) <= 3


def test_nothing_is_near_to_what_is_quite_different() -> None:
    assert near("xyz", NAMES) == []


def test_a_list_has_an_end() -> None:
    assert listed(["b", "a"]) == "a, b"
    assert listed(str(n) for n in range(NAMED + 1)).endswith(", …")
