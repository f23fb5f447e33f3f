"""What is made of folders, identities, the swarm and the profile."""

from pathlib import Path

import pytest

from hyperinfer.cli.checks import Verdict, folders
from hyperinfer.kernel import identity, swarm
from hyperinfer.sdk import profile

from .conftest import Look


async def verdicts(look: Look) -> dict[str, Verdict]:
    return {one.what: one.verdict for one in await folders.check(look())}


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_home_in_which_nothing_ran_yet_is_as_it_should_be(tmp_path: Path, look: Look) -> None:
    assert set((await verdicts(look)).values()) == {Verdict.OK}
    assert names(tmp_path) == [], "looking makes nothing"


async def test_a_home_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    monkeypatch.setenv("HYPERINFER_HOME", str(tmp_path / "nowhere"))
    assert (await verdicts(look))["home"] is Verdict.FAIL


async def test_identities_that_others_can_read_or_that_are_damaged_are_in_the_way(tmp_path: Path, look: Look) -> None:
    for name in ("auth", "gateway", "inference-gpu2"):
        path = tmp_path / "data" / name
        path.mkdir(parents=True, mode=0o700)
        identity.load_or_create(path / "identity")
    found = await verdicts(look)
    assert found["identities"] is found["permissions"] is Verdict.OK
    (tmp_path / "data/gateway/identity").chmod(0o644)
    (tmp_path / "data/inference-gpu2/identity").write_bytes(b"short")
    found = await verdicts(look)
    assert found["identity gateway"] is found["identity inference-gpu2"] is Verdict.FAIL


async def test_a_data_folder_that_others_may_look_into(tmp_path: Path, look: Look) -> None:
    (tmp_path / "data/auth").mkdir(parents=True)
    (tmp_path / "data/auth").chmod(0o755)
    [found] = [one for one in await folders.check(look()) if one.what == "permissions"]
    assert found.verdict is Verdict.FAIL
    assert found.mend == f"chmod go= {tmp_path / 'data/auth'}"


def test_folders_of_another_user(tmp_path: Path) -> None:
    owner = tmp_path.stat().st_uid
    assert folders.not_ours([tmp_path], uid=owner) == []
    assert folders.not_ours([tmp_path], uid=0) == [], "root may use everybody's"
    [found] = folders.not_ours([tmp_path], uid=owner + 1)
    assert "chown" in found.mend


async def test_a_swarm_is_counted_and_a_damaged_one_is_in_the_way(tmp_path: Path, look: Look) -> None:
    swarm.create(tmp_path / "data/swarm")
    assert (await verdicts(look))["swarm"] is Verdict.OK
    (tmp_path / "data/swarm/members.json").write_text("{")
    assert (await verdicts(look))["swarm"] is Verdict.FAIL


async def test_a_profile_that_others_can_read_is_in_the_way(look: Look) -> None:
    profile.save(profile.Account(gateway="http://127.0.0.1:3000", api_key="hi_key"))
    assert (await verdicts(look))["profile"] is Verdict.OK
    profile.path().chmod(0o644)
    assert (await verdicts(look))["profile"] is Verdict.FAIL
