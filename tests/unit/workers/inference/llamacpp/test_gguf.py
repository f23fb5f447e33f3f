"""What a model's file says of itself is read within bounds, whatever the file holds."""

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperinfer.testing.gguf import Tensor, Value, with_entries, write
from hyperinfer.workers.inference.backends.llamacpp import gguf, traits

ENTRIES: dict[str, Value] = {
    "general.architecture": "llama",
    "general.name": "Tiny \N{SNOWMAN}",
    "llama.context_length": 2048,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": [2, 4],
    "llama.rope.freq_base": 0.5,
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.ggml.tokens": ["a", "b"] * 1000,
    "tokenizer.ggml.scores": [0.0] * 2000,
    "tokenizer.chat_template": "{{ messages }}",
}
TENSORS = {"a": Tensor((2, 2), b"\0" * 16), "b": Tensor((40,), b"\1" * 160)}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("gguf") / "tiny.gguf", ENTRIES, TENSORS)


def test_entries_are_read_and_vocabularies_passed_over(tiny: Path) -> None:
    header = gguf.read(tiny)
    assert header.entries.keys() == ENTRIES.keys() - {"tokenizer.ggml.tokens", "tokenizer.ggml.scores"}
    assert header.text("general.name") == "Tiny \N{SNOWMAN}"
    assert header.number("llama.context_length") == 2048
    assert header.number("llama.attention.head_count_kv") == 4
    assert header.entries["llama.rope.freq_base"] == 0.5
    assert header.entries["tokenizer.ggml.add_bos_token"] is True
    assert (header.text("none"), header.number("none"), header.number("general.name")) == ("", 0, 0)
    assert header.size_bytes == tiny.stat().st_size


def test_a_copy_with_more_entries_is_a_model_still(tiny: Path, tmp_path: Path) -> None:
    header = gguf.read(with_entries(tiny, tmp_path / "more.gguf", {"test.added": 7}))
    assert header.number("test.added") == 7
    assert header.text("general.architecture") == "llama"


def test_a_file_that_is_cut_anywhere_before_its_last_tensor_is_not_complete(tiny: Path, tmp_path: Path) -> None:
    content = tiny.read_bytes()
    cut = tmp_path / "cut.gguf"
    for size in (4, 5, 24, 100, 5000, len(content) - 160):
        cut.write_bytes(content[:size])
        with pytest.raises(gguf.Damaged, match="not complete"):
            gguf.read(cut)
    cut.write_bytes(b"GG")
    with pytest.raises(gguf.Damaged):
        gguf.read(cut)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PK\3\4" + b"\0" * 50, "no GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "entries"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "entries"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**40), "text"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 99), "type 99"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 9, 1), "arrays of arrays"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 4, 2**50), "more than any"),
    ],
)
def test_what_no_model_holds_is_refused_without_being_read(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(content)
    with pytest.raises(gguf.Damaged, match=why):
        gguf.read(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(gguf.Damaged, match="No such file"):
        gguf.read(tmp_path / "none.gguf")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 400), noise=st.binary(min_size=1, max_size=12))
def test_no_damage_does_more_than_make_a_file_unusable(tiny: Path, tmp_path: Path, at: int, noise: bytes) -> None:
    content = tiny.read_bytes()
    path = tmp_path / "noisy.gguf"
    path.write_bytes(content[:at] + noise + content[at + len(noise) :])
    try:
        traits.of(gguf.read(path))
    except gguf.Damaged:
        return
