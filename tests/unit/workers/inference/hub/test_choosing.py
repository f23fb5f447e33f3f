import pytest

from hyperinfer.errors import BadRequest, HyperinferError, NotFound
from hyperinfer.workers.inference.hub.recommended import recommended
from hyperinfer.workers.inference.hub.variants import HubFile, choose, projector, variants
from hyperinfer.workers.inference.hub.wanted import Wanted, parse


def files(*paths: str) -> list[HubFile]:
    return [HubFile(path, 10, "s") for path in paths]


# --- what people write ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Qwen/Qwen3-4B-GGUF", Wanted("Qwen/Qwen3-4B-GGUF")),
        (" Qwen/Qwen3-4B-GGUF:q4_k_m ", Wanted("Qwen/Qwen3-4B-GGUF", "Q4_K_M")),
        ("unsloth/x:UD-Q4_K_XL", Wanted("unsloth/x", "UD_Q4_K_XL")),
        ("a/b/c.gguf", Wanted("a/b", file="c.gguf")),
        ("a/b/Q4_K_M/c-00001-of-00002.gguf", Wanted("a/b", file="Q4_K_M/c-00001-of-00002.gguf")),
    ],
)
def test_what_is_wanted(text: str, wanted: Wanted) -> None:
    assert parse(text) == wanted
    assert parse(str(wanted)) == wanted


@pytest.mark.parametrize(
    "text", ["", "qwen", "a/", "/b", "../b", "a/..", "a/b/../../c", "a/b:", "a/b:Q4:1", ".a/b", "a b/c"]
)
def test_what_is_no_name_of_a_model_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="Name a repository"):
        parse(text)


# --- which files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        (("m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-Q2_K.gguf", "README.md"), "m-Q4_K_M.gguf"),
        (("m.Q8_0.gguf", "m.Q4_0.gguf"), "m.Q4_0.gguf"),
        (("m-q8_0.gguf", "m-q5_k_m.gguf", "m-f16.gguf"), "m-q5_k_m.gguf"),
        (("m-UD-Q4_K_XL.gguf", "m-Q4_K_S.gguf"), "m-UD-Q4_K_XL.gguf"),
        (("gpt-oss-20b-mxfp4.gguf", "gpt-oss-20b-F16.gguf"), "gpt-oss-20b-mxfp4.gguf"),
        (("m-IQ1_S.gguf", "mmproj-F16.gguf"), "m-IQ1_S.gguf"),
        (("only.gguf",), "only.gguf"),
        (("Q4_K_M/m.gguf", "Q8_0/m.gguf"), "Q4_K_M/m.gguf"),
    ],
)
def test_without_a_word_the_best_is_chosen(there: tuple[str, ...], chosen: str) -> None:
    assert [file.path for file in choose(files(*there), Wanted("a/b")).files] == [chosen]


def test_a_model_in_pieces_is_chosen_whole_and_in_order() -> None:
    there = files(*(f"Q4_K_M/m-Q4_K_M-0000{n}-of-00003.gguf" for n in (3, 1, 2)), "m-Q8_0.gguf")
    chosen = choose(there, Wanted("a/b"))
    assert [file.name[-19:-14] for file in chosen.files] == ["00001", "00002", "00003"]
    assert (chosen.model, chosen.size_bytes) == ("m-q4_k_m", 30)
    assert choose(there, Wanted("a/b", file=there[0].path)) == chosen


@pytest.mark.parametrize(
    ("there", "wanted", "kind", "says"),
    [
        (("m-Q8_0.gguf", "m-F16.gguf"), Wanted("a/b", "Q4_K_M"), NotFound, r"has no Q4_K_M. It has F16, Q8_0\."),
        (("model.safetensors",), Wanted("a/b"), NotFound, "holds no GGUF"),
        (("m-Q4_K_M.gguf", "n-Q4_K_M.gguf"), Wanted("a/b"), BadRequest, "Name a file: m-Q4_K_M.gguf, n-Q4_K_M.gguf"),
        (("m-Q4_K_M-00001-of-00002.gguf",), Wanted("a/b"), NotFound, "lacks pieces of m-Q4_K_M: 1 of 2"),
        (("m.gguf",), Wanted("a/b", file="n.gguf"), NotFound, "no file n.gguf. It has m.gguf"),
        (("m.bin",), Wanted("a/b", file="m.bin"), BadRequest, "m.bin is no GGUF"),
    ],
)
def test_what_cannot_be_chosen_says_what_there_is(
    there: tuple[str, ...], wanted: Wanted, kind: type[HyperinferError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        choose(files(*there), wanted)


def test_the_file_for_images_is_no_model_and_can_be_had_beside_one() -> None:
    there = files("m-Q4_K_M.gguf", "mmproj-F32.gguf", "mmproj-F16.gguf")
    assert [variant.model for variant in variants(there)] == ["m-q4_k_m"]
    assert projector(there, Wanted("a/b")).path == "mmproj-F16.gguf"
    assert choose(there, Wanted("a/b", file="mmproj-F32.gguf")).files == (there[1],)
    with pytest.raises(NotFound, match="reads no images"):
        projector(there[:1], Wanted("a/b"))


# --- recommended ---------------------------------------------------------------------------------------------


def test_recommended_models_can_be_pulled_as_they_are_written_and_fit_or_not() -> None:
    listed = recommended()
    for one in listed.models:
        assert str(parse(one.pull)) == one.pull
        assert one.file_bytes < one.memory_bytes
    assert [one.memory_bytes for one in listed.models] == sorted(one.memory_bytes for one in listed.models)
    assert {"embedding", "chat"} == {one.kind for one in listed.models}
    biggest = listed.models[-1]
    assert biggest.fits(2**40, 2**40) == "yes"
    assert biggest.fits(0, 2**40) == "tight"
    assert biggest.fits(0, 2**30) == "no"
