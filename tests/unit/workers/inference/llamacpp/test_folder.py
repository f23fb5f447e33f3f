"""Which files of a folder are models, what belongs to each, and who makes room for whom."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.workers.inference.backends.llamacpp import folder
from hyperinfer.workers.inference.backends.llamacpp.room import RESERVE_BYTES, Tenant, leaving


def made(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 10)
    return root


def test_models_are_named_after_their_files(tmp_path: Path) -> None:
    made(tmp_path, "Qwen 2.5 (Q4).gguf", "org/repo/other.GGUF", "notes.txt", "a.gguf.part", "b.incomplete", ".c.gguf")
    made(tmp_path, ".cache/d.gguf", "one/two/three/four/too-deep.gguf")
    assert [found.name for found in folder.look(tmp_path)] == ["other", "qwen-2.5-q4"]
    assert folder.look(tmp_path / "none") == ()


def test_of_two_with_one_name_the_first_path_counts(tmp_path: Path) -> None:
    made(tmp_path, "b/same.gguf", "a/same.gguf")
    [found] = folder.look(tmp_path)
    assert found.path == tmp_path / "a" / "same.gguf"


def test_a_model_in_pieces_is_one_model_once_all_are_there(tmp_path: Path) -> None:
    made(tmp_path, "big-00001-of-00003.gguf", "big-00003-of-00003.gguf")
    assert folder.look(tmp_path) == ()
    made(tmp_path, "big-00002-of-00003.gguf")
    [found] = folder.look(tmp_path)
    assert (found.name, found.path.name, found.size_bytes) == ("big", "big-00001-of-00003.gguf", 30)


@pytest.mark.parametrize(
    ("files", "belongs"),
    [
        (("one.gguf", "one.mmproj.gguf", "two.gguf"), {"one": "one.mmproj.gguf", "two": None}),
        (("gemma-4b-Q4_K_M.gguf", "mmproj-gemma-4b-f16.gguf", "x.gguf"), {"gemma-4b-q4_k_m": "mmproj-gemma-4b-f16.gguf", "x": None}),
        (("one.gguf", "mmproj-F16.gguf"), {"one": "mmproj-F16.gguf"}),
        (("one.gguf", "two.gguf", "mmproj-F16.gguf"), {"one": None, "two": None}),
    ],
)  # fmt: skip
def test_a_projector_belongs_to_the_model_that_it_is_named_after(
    tmp_path: Path, files: tuple[str, ...], belongs: dict[str, str | None]
) -> None:
    made(tmp_path, *files)
    found = {model.name: model.projector and model.projector.path.name for model in folder.look(tmp_path)}
    assert found == belongs


def test_a_template_lies_beside_its_model(tmp_path: Path) -> None:
    made(tmp_path, "one.gguf", "one.jinja", "two.gguf")
    one, two = folder.look(tmp_path)
    assert one.template is not None
    assert one.template.path == tmp_path / "one.jinja"
    assert two.template is None


def test_one_file_has_what_lies_beside_it(tmp_path: Path) -> None:
    made(tmp_path, "one.gguf", "one.jinja", "two.gguf", "below/three.gguf")
    found = folder.beside(tmp_path / "one.gguf")
    assert found.name == "one"
    assert found.template is not None
    with pytest.raises(FileNotFoundError):
        folder.beside(tmp_path / "none.gguf")


def tenant(name: str, used_at_s: float, *, may_leave: bool = True) -> Tenant:
    return Tenant(name, 1000, used_at_s, may_leave)


def test_who_was_used_least_lately_leaves_first_and_only_who_has_to() -> None:
    tenants = [tenant("new", 9), tenant("old", 1), tenant("stays", 0, may_leave=False)]
    free = RESERVE_BYTES
    assert leaving(tenants, needed_bytes=10, available_bytes=free + 10, at_most=9) == ()
    assert leaving(tenants, needed_bytes=10, available_bytes=free, at_most=9) == ("old",)
    assert leaving(tenants, needed_bytes=1500, available_bytes=free, at_most=9) == ("old", "new")
    assert leaving(tenants, needed_bytes=2500, available_bytes=free, at_most=9) is None
    assert leaving(tenants, needed_bytes=0, available_bytes=free, at_most=3) == ("old",)
    assert leaving(tenants, needed_bytes=0, available_bytes=free, at_most=1) is None


@given(
    tenants=st.lists(st.builds(Tenant, st.text(), st.integers(0, 50), st.floats(0, 9), st.booleans()), max_size=6),
    needed=st.integers(0, 200),
    free=st.integers(0, 200),
    at_most=st.integers(1, 7),
)
def test_what_leaves_is_enough_and_allowed_to(tenants: list[Tenant], needed: int, free: int, at_most: int) -> None:
    tenants = [Tenant(str(n), one.memory_bytes, one.used_at_s, one.may_leave) for n, one in enumerate(tenants)]
    names = leaving(tenants, needed_bytes=needed, available_bytes=RESERVE_BYTES + free, at_most=at_most)
    if names is None:
        stay = [one for one in tenants if not one.may_leave]
        given_up = sum(one.memory_bytes for one in tenants if one.may_leave)
        assert len(stay) + 1 > at_most or free + given_up < needed
        return
    gone = [one for one in tenants if one.name in names]
    assert all(one.may_leave for one in gone)
    assert free + sum(one.memory_bytes for one in gone) >= needed
    assert len(tenants) - len(gone) + 1 <= at_most
