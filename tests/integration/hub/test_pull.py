"""Pulling from a hub: whole, cut and gone on with, and everything that a hub, a disk and a person can do to it."""

import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from hyperinfer.errors import (
    BackendFailed,
    BadRequest,
    ConfigError,
    Conflict,
    Forbidden,
    HyperinferError,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Untrusted,
)
from hyperinfer.testing.servers.hub import COMMIT, HubServer
from hyperinfer.workers.inference.backends.llamacpp.folder import look
from hyperinfer.workers.inference.hub.client import Hub
from hyperinfer.workers.inference.hub.notes import Place
from hyperinfer.workers.inference.hub.pull import PAUSES_S, Pull
from hyperinfer.workers.inference.hub.shelf import find, kept, remove
from hyperinfer.workers.inference.hub.wanted import parse

from .conftest import SIZE, Puller, model

FILE = "org/model-GGUF/model-Q4_K_M.gguf"


def test_a_model_comes_whole_and_workers_see_it(pull: Puller, hub: HubServer) -> None:
    pulled = pull("org/model-GGUF")
    assert (pulled.model, pulled.commit, pulled.fetched_bytes) == ("model-q4_k_m", COMMIT, SIZE)
    assert pull.visible() == [FILE]
    assert pulled.files[0].read_bytes() == model(1)
    assert [found.name for found in look(pull.root)] == ["model-q4_k_m"]
    assert pull.told.files == [("model-Q4_K_M.gguf", SIZE)]
    assert pull.told.come == sorted(pull.told.come)
    assert pull.told.come[-1] == SIZE
    assert hub.record.sent_bytes == SIZE


def test_what_is_there_is_not_fetched_again(pull: Puller, hub: HubServer) -> None:
    pull("org/model-GGUF")
    assert pull("org/model-GGUF").fetched_bytes == 0
    assert hub.record.sent_bytes == SIZE


def test_a_model_in_pieces_comes_whole(pull: Puller) -> None:
    assert pull("org/split-GGUF").size_bytes == 2 * SIZE
    [found] = look(pull.root)
    assert (found.name, len(found.files)) == ("split-q4_k_m", 2)


def test_the_file_for_images_comes_on_request(pull: Puller) -> None:
    pull("org/model-GGUF:Q8_0", with_projector=True)
    [found] = look(pull.root)
    assert found.projector is not None
    assert kept(pull.root)[0].is_whole


# --- cuts ----------------------------------------------------------------------------------------------------


def test_a_cut_is_gone_on_with_where_it_was(pull: Puller, hub: HubServer) -> None:
    hub.faults.cuts = 3
    assert pull("org/model-GGUF").fetched_bytes == SIZE
    assert hub.record.sent_bytes == SIZE
    assert len(hub.record.ranges) == 3
    assert pull.pauses == [PAUSES_S[0]] * 3  # each try has brought something


def test_a_hub_that_ignores_ranges_sends_all_of_it_again(pull: Puller, hub: HubServer) -> None:
    hub.faults.cuts, hub.faults.ignores_range = 1, True
    assert pull("org/model-GGUF").files[0].read_bytes() == model(1)
    assert hub.record.sent_bytes == SIZE // 2 + SIZE


def test_a_hub_that_is_busy_for_a_while_is_waited_for(pull: Puller, hub: HubServer) -> None:
    hub.faults.busy = 3
    assert pull("org/model-GGUF").fetched_bytes == SIZE
    assert pull.pauses == [*PAUSES_S[1:4]]


def test_a_hub_that_stays_busy_is_given_up_and_the_next_pull_goes_on(pull: Puller, hub: HubServer) -> None:
    hub.faults.cuts, hub.faults.busy = 1, 0

    def busy_from_now_on(come: int) -> None:
        if come:
            hub.faults.busy = 1000

    pull.told.on_progress = busy_from_now_on
    with pytest.raises(Unavailable, match=r"status 503.*pull again"):
        pull("org/model-GGUF")
    assert pull.visible() == []
    [coming] = kept(pull.root)
    assert (coming.name, coming.is_whole, coming.whole_bytes) == ("model-q4_k_m", False, SIZE)
    assert coming.size_bytes == SIZE // 2

    hub.faults.busy, pull.told.on_progress = 0, lambda _: None
    assert pull("org/model-GGUF").fetched_bytes == SIZE - SIZE // 2
    assert hub.record.sent_bytes == SIZE
    assert any("Going on" in note for note in pull.told.notes)


def test_an_interruption_leaves_what_has_come(pull: Puller, hub: HubServer) -> None:
    def interrupt(come: int) -> None:
        if come > SIZE // 3:
            raise KeyboardInterrupt

    pull.told.on_progress = interrupt
    with pytest.raises(KeyboardInterrupt):
        pull("org/model-GGUF")
    assert pull.visible() == []
    come = Place(pull.root / FILE).come_bytes
    assert SIZE // 3 < come < SIZE

    pull.told.on_progress = lambda _: None
    assert pull("org/model-GGUF").fetched_bytes == SIZE - come


def test_the_part_of_another_file_of_that_name_is_of_no_use(pull: Puller, hub: HubServer) -> None:
    pull.told.on_progress = stop_at(SIZE // 2)
    with pytest.raises(KeyboardInterrupt):
        pull("org/model-GGUF")
    pull.told.on_progress = lambda _: None
    hub.repos["org/model-GGUF"].files["model-Q4_K_M.gguf"] = model(99)
    assert pull("org/model-GGUF").fetched_bytes == SIZE
    assert (pull.root / FILE).read_bytes() == model(99)


def test_a_newer_file_takes_the_place_of_the_one_that_was_pulled(pull: Puller, hub: HubServer) -> None:
    pull("org/model-GGUF")
    hub.repos["org/model-GGUF"].files["model-Q4_K_M.gguf"] = model(99)
    assert pull("org/model-GGUF").fetched_bytes == SIZE
    assert (pull.root / FILE).read_bytes() == model(99)


def stop_at(most: int) -> Callable[[int], None]:
    def stop(come: int) -> None:
        if come > most:
            raise KeyboardInterrupt

    return stop


# --- what is not right -----------------------------------------------------------------------------------------


def test_wrong_bytes_are_refused_and_removed(pull: Puller, hub: HubServer) -> None:
    hub.faults.wrong_bytes = 1
    with pytest.raises(Untrusted, match=r"model-Q4_K_M.gguf is not what the hub announced.*removed"):
        pull("org/model-GGUF")
    assert pull.visible() == []
    assert Place(pull.root / FILE).come_bytes == 0
    assert pull("org/model-GGUF").fetched_bytes == SIZE


def test_what_is_no_gguf_file_is_refused_at_its_first_bytes(pull: Puller) -> None:
    with pytest.raises(BadRequest, match="is no GGUF file, whatever its name says"):
        pull("org/web-GGUF")
    assert kept(pull.root)[0].size_bytes == 0
    assert pull.visible() == []


def test_more_than_was_announced_is_refused(pull: Puller, hub: HubServer) -> None:
    hub.faults.lies_about_size = -1000
    with pytest.raises(Untrusted, match=r"more of model-Q4_K_M\.gguf than"):
        pull("org/model-GGUF")
    assert pull.visible() == []


def test_less_than_was_announced_is_given_up(pull: Puller, hub: HubServer) -> None:
    hub.faults.lies_about_size = 1000
    with pytest.raises(HyperinferError):
        pull("org/model-GGUF")
    assert pull.visible() == []


def test_a_file_without_a_hash_is_refused_before_the_start(pull: Puller, hub: HubServer) -> None:
    hub.faults.tells_no_hash = True
    with pytest.raises(BadRequest, match="no hash of model-Q4_K_M"):
        pull("org/model-GGUF")
    assert hub.record.sent_bytes == 0


def test_a_disk_without_room_is_seen_before_the_start(pull: Puller, hub: HubServer) -> None:
    hub.faults.lies_about_size = 10**18
    with pytest.raises(TooLarge, match=r"it takes .* GB, of which 1.1 GB stay free. .* GB are missing"):
        pull("org/model-GGUF")
    assert hub.record.sent_bytes == 0
    assert kept(pull.root) == []


def test_a_disk_that_takes_no_more_leaves_what_has_come(pull: Puller) -> None:
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, hard))
    try:
        with pytest.raises(Unavailable, match=r"Cannot write to .*: File too large. What has come is kept"):
            pull("org/model-GGUF")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert Place(pull.root / FILE).come_bytes == SIZE // 2
    assert pull("org/model-GGUF").fetched_bytes == SIZE - SIZE // 2


@pytest.mark.parametrize(
    ("name", "token", "revision", "kind", "says"),
    [
        ("org/none", None, None, NotFound, "no repository org/none, or it is private: set HF_TOKEN"),
        ("org/none", "hf_x", None, NotFound, "no repository org/none, nor does your token open one"),
        ("org/private-GGUF", None, None, NotFound, "or it is private: set HF_TOKEN"),
        ("org/gated-GGUF", None, None, Forbidden, "accepted its terms"),
        ("org/model-GGUF", None, "v9", NotFound, "no org/model-GGUF at v9"),
        ("org/model-GGUF:Q5_K_M", None, None, NotFound, "has no Q5_K_M. It has Q4_K_M, Q8_0"),
        ("org/model-GGUF/x.gguf", None, None, NotFound, "no file x.gguf. It has mmproj-F16.gguf, model-Q4_K_M.gguf"),
        ("org/model--GGUF", None, None, BadRequest, "is no name of a repository"),
    ],
)
def test_what_the_hub_does_not_have_or_give_is_said(
    pull: Puller, name: str, token: str | None, revision: str | None, kind: type[HyperinferError], says: str
) -> None:
    with pytest.raises(kind, match=says) as caught:
        pull(name, token=token, revision=revision)
    assert type(caught.value) is kind
    assert not pull.root.exists()


def test_a_hub_that_is_not_there_is_said(tmp_path: Path, pull: Puller) -> None:
    with pytest.raises(Unavailable, match=r"http://127.0.0.1:9, cannot be reached"):
        Pull(Hub("http://127.0.0.1:9"), tmp_path, pull.told).run(parse("org/model-GGUF"))
    with pytest.raises(ConfigError, match="HF_ENDPOINT"):
        Pull(Hub("nonsense"), tmp_path, pull.told).run(parse("org/model-GGUF"))


def test_what_is_no_hub_is_said(tmp_path: Path, pull: Puller, hub: HubServer) -> None:
    with pytest.raises((BackendFailed, NotFound)):
        Pull(Hub(f"{hub.url}/nowhere"), tmp_path, pull.told).run(parse("org/model-GGUF"))


# --- credentials -----------------------------------------------------------------------------------------------


def test_a_token_opens_what_is_private_and_goes_to_no_other_host(pull: Puller, hub: HubServer) -> None:
    assert pull("org/private-GGUF", token="hf_secret").model == "private-q4_k_m"
    assert {asked["authorization"] for asked in hub.record.to_hub} == {"Bearer hf_secret"}
    assert all("authorization" not in asked for asked in hub.record.to_cdn)
    assert hub.record.to_cdn


def test_the_hub_is_told_nothing_of_the_machine(pull: Puller, hub: HubServer) -> None:
    pull("org/model-GGUF")
    for asked in hub.record.to_hub + hub.record.to_cdn:
        assert asked["user-agent"].startswith("hyperinfer/")
        assert "python" not in asked["user-agent"]
        assert "authorization" not in asked


def test_a_token_that_is_refused_is_said_without_it(pull: Puller, hub: HubServer) -> None:
    hub.repos["org/private-GGUF"].token = "hf_other"
    with pytest.raises((NotFound, Unauthenticated)) as caught:
        pull("org/private-GGUF", token="hf_secret")
    assert "hf_secret" not in str(caught.value)


# --- others in the folder --------------------------------------------------------------------------------------


def test_two_at_once_fetch_it_once(pull: Puller, hub: HubServer) -> None:
    second = Puller(hub, pull.root)
    waits = threading.Event()
    done: list[int] = []
    note = second.told.note

    def noted(text: str) -> None:
        note(text)
        waits.set()

    second.told.note = noted  # type: ignore[method-assign]  # the other one waits as soon as this is said
    other = threading.Thread(target=lambda: done.append(second("org/model-GGUF").fetched_bytes))

    def start_other(come: int) -> None:
        if not other.ident:
            other.start()
            assert waits.wait(20)

    pull.told.on_progress = start_other
    assert pull("org/model-GGUF").fetched_bytes == SIZE
    other.join(20)
    assert done == [0]
    assert "waiting for it" in second.told.notes[0]
    assert hub.record.sent_bytes == SIZE


def test_a_file_of_somebody_else_is_kept(pull: Puller) -> None:
    target = pull.root / FILE
    target.parent.mkdir(parents=True)
    target.write_bytes(b"GGUF mine")
    with pytest.raises(Conflict, match="is another file than the hub's"):
        pull("org/model-GGUF")
    assert target.read_bytes() == b"GGUF mine"


def test_the_same_file_put_there_by_hand_is_taken_over(pull: Puller, hub: HubServer) -> None:
    target = pull.root / FILE
    target.parent.mkdir(parents=True)
    target.write_bytes(model(1))
    assert pull("org/model-GGUF").fetched_bytes == 0
    assert kept(pull.root)[0].source == "org/model-GGUF"
    assert hub.record.sent_bytes == 0


def test_two_models_of_one_name_are_refused(pull: Puller) -> None:
    pull("org/model-GGUF")
    with pytest.raises(Conflict, match="models rm model-q4_k_m"):
        pull("other/model-GGUF")
    remove(pull.root, "model-q4_k_m")
    assert pull("other/model-GGUF").model == "model-q4_k_m"


# --- the folder ------------------------------------------------------------------------------------------------


def test_a_model_is_removed_with_all_that_goes_with_it(pull: Puller) -> None:
    pull("org/split-GGUF")
    pull("org/model-GGUF")
    assert [model.name for model in kept(pull.root)] == ["model-q4_k_m", "split-q4_k_m"]
    remove(pull.root, "split-q4_k_m")
    assert pull.visible() == [FILE]
    remove(pull.root, "model-Q4_K_M.gguf")
    assert list(pull.root.iterdir()) == []


def test_what_another_model_needs_stays_with_it(pull: Puller) -> None:
    pull("org/model-GGUF:Q8_0", with_projector=True)
    pull("org/model-GGUF:Q4_K_M")
    remove(pull.root, "model-q8_0")
    assert pull.visible() == [FILE, "org/model-GGUF/model-Q8_0.mmproj.gguf"]
    [model] = kept(pull.root)
    assert (model.name, model.is_whole, len(model.files)) == ("model-q4_k_m", True, 2)


def test_a_part_is_removed_too_but_not_while_it_comes(pull: Puller) -> None:
    pull.told.on_progress = stop_at(SIZE // 2)
    with pytest.raises(KeyboardInterrupt):
        pull("org/split-GGUF")
    assert find(pull.root, "split-q4_k_m").whole_bytes == 2 * SIZE
    first = pull.root / "org/split-GGUF/split-Q4_K_M-00001-of-00002.gguf"
    with FileLock(Place(first).lock), pytest.raises(Conflict, match="being pulled now"):
        remove(pull.root, "split-q4_k_m")
    remove(pull.root, "split-q4_k_m")
    assert kept(pull.root) == []
    assert list(pull.root.iterdir()) == []


def test_nothing_outside_the_folder_is_removed(pull: Puller, tmp_path: Path) -> None:
    outside = tmp_path / "mine.gguf"
    outside.write_bytes(b"GGUF")
    pull.root.mkdir()
    (pull.root / "linked.gguf").symlink_to(outside)
    for name in ("../mine.gguf", str(outside), "..\\mine.gguf"):
        with pytest.raises(BadRequest, match="Only what is in"):
            remove(pull.root, name)
    with pytest.raises(BadRequest, match="is a link to"):
        remove(pull.root, "linked")
    with pytest.raises(NotFound, match="no model mine"):
        remove(pull.root, "mine")
    assert outside.exists()
