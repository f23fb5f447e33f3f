"""Prompts are known by a hash that tells nothing without the gateway's key."""

import stat
from hashlib import sha256
from pathlib import Path

import pytest

from hyperinfer.errors import IdentityError
from hyperinfer.workers.gateway.journal import PromptHash


def test_the_same_prompt_has_the_same_hash_here_and_another_elsewhere(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    told = PromptHash.of_folder(here)(b"hello")
    assert told == PromptHash.of_folder(here)(memoryview(b"hello"))
    assert told != PromptHash.of_folder(here)(b"hello!")
    assert told != PromptHash.of_folder(elsewhere)(b"hello")
    assert told != sha256(b"hello").hexdigest()
    assert len(told) == 64


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    PromptHash.of_folder(tmp_path)
    assert stat.S_IMODE((tmp_path / "prompt.key").stat().st_mode) == 0o600
    (tmp_path / "prompt.key").chmod(0o644)
    with pytest.raises(IdentityError, match="chmod 600"):
        PromptHash.of_folder(tmp_path)


def test_a_damaged_key_is_told_and_not_replaced(tmp_path: Path) -> None:
    PromptHash.of_folder(tmp_path)
    (tmp_path / "prompt.key").write_bytes(b"short")
    with pytest.raises(IdentityError, match="damaged"):
        PromptHash.of_folder(tmp_path)
    assert (tmp_path / "prompt.key").read_bytes() == b"short"
