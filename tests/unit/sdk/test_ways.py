"""Where a client goes and what it presents there, from arguments, environment and profile, in this order."""

from pathlib import Path

import pytest

from hyperinfer import Client
from hyperinfer.errors import BadRequest, Unauthenticated
from hyperinfer.sdk import profile
from hyperinfer.sdk.profile import Account
from hyperinfer.sdk.ways import way_to

URL = "https://ai.example"
LINK = f"hyper://{'ab' * 32}"


def presented(address: str | None, key: str | None = None) -> tuple[str, str, str]:
    way = way_to(address, key)
    return way.gateway, way.to_models(), way.to_account()


@pytest.fixture
def known(profile_file: Path) -> None:
    profile.save(Account(gateway=LINK, username="ada", api_key="hi_link", token="t.link"))
    profile.save(Account(gateway=URL, username="ada", api_key="hi_url", token="t.url"))


@pytest.mark.usefixtures("known")
def test_the_profile_knows_what_goes_where() -> None:
    assert presented(None) == (URL, "hi_url", "t.url")
    assert presented(f" {LINK.upper()} ") == (LINK, "hi_link", "t.link")
    assert presented("http://elsewhere") == ("http://elsewhere", "", "")
    assert presented(LINK, "hi_other") == (LINK, "hi_other", "hi_other")


@pytest.mark.usefixtures("known")
def test_the_environment_comes_before_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERINFER_GATEWAY", LINK.upper())
    assert presented(None) == (LINK, "hi_link", "t.link")
    monkeypatch.setenv("HYPERINFER_API_KEY", "hi_env")
    assert presented(None) == (LINK, "hi_env", "hi_env")
    assert presented(LINK) == (LINK, "hi_env", "hi_env")
    assert presented(None, "hi_said") == (LINK, "hi_said", "hi_said")


@pytest.mark.usefixtures("known")
def test_a_key_of_the_environment_is_shown_to_its_own_gateway_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERINFER_GATEWAY", LINK)
    monkeypatch.setenv("HYPERINFER_API_KEY", "hi_env")
    assert presented(URL) == (URL, "hi_url", "t.url")
    assert presented("http://elsewhere") == ("http://elsewhere", "", "")


@pytest.mark.usefixtures("known")
def test_a_key_of_the_environment_that_names_no_gateway_goes_where_the_program_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HYPERINFER_API_KEY", "hi_env")
    assert presented(None) == (URL, "hi_env", "hi_env")
    assert presented("http://elsewhere") == ("http://elsewhere", "hi_env", "hi_env")


def test_with_nothing_configured_it_says_what_to_do() -> None:
    with pytest.raises(Unauthenticated, match="`hyperinfer up`, or `hyperinfer login --gateway URL`"):
        Client()


@pytest.mark.parametrize("address", ["ftp://h", "hyper://ab"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(BadRequest):
        Client(address)
