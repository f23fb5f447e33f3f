"""Identities: made once, kept for good, and never replaced in silence."""

import stat
from pathlib import Path

import pytest

from hyperinfer.errors import IdentityError
from hyperinfer.kernel.identity import from_seed, load_or_create


def test_an_identity_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "auth" / "identity"
    first = load_or_create(path)
    assert load_or_create(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first.public_key) == 32
    assert first.seed.hex() not in repr(first)


def test_the_key_pair_is_that_of_rfc_8032() -> None:
    # RFC 8032, section 7.1, test 1.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert from_seed(seed).public_key.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_identity_is_an_error_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "identity"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(IdentityError, match="damaged"):
        load_or_create(path)
    assert path.read_bytes() == content


def test_an_identity_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    path.write_bytes(b"x" * 32)
    path.chmod(0o644)
    with pytest.raises(IdentityError, match="chmod 600"):
        load_or_create(path)


def test_a_dangling_link_is_not_taken_for_a_missing_identity(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    path.symlink_to(tmp_path / "unmounted" / "identity")
    with pytest.raises(IdentityError):
        load_or_create(path)
