"""Which gateway a bridge is for, and whose credential it may lend."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hyperinfer.cli import bridge
from hyperinfer.cli.lent import lender
from hyperinfer.errors import BadRequest, StartError
from hyperinfer.sdk import profile
from hyperinfer.sdk.profile import Account

LINK, OTHER = f"hyper://{'ab' * 32}", f"hyper://{'cd' * 32}"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HYPERINFER_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    for name in ("HYPERINFER_GATEWAY", "HYPERINFER_API_KEY", "HYPERINFER_PROFILE", "HYPERINFER_CLIENT__GATEWAY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def gateway_of(option: str | None = None, *sets: str) -> str:
    gateway: str = bridge._loaded(option, None, None, sets).settings.gateway
    return gateway


def test_the_gateway_is_the_one_that_is_named() -> None:
    profile.save(Account(gateway=OTHER, api_key="hi_x"))
    assert gateway_of(LINK) == LINK
    assert gateway_of(f"  {LINK.upper()} ") == LINK
    assert gateway_of(None, f"gateway={LINK}") == LINK


def test_else_that_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    profile.save(Account(gateway=OTHER, api_key="hi_x"))
    monkeypatch.setenv("HYPERINFER_CLIENT__GATEWAY", LINK)
    assert gateway_of() == LINK


def test_else_that_of_the_profile_if_it_is_reached_over_the_swarm() -> None:
    assert gateway_of() == ""
    profile.save(Account(gateway=LINK, api_key="hi_x"))
    assert gateway_of() == LINK
    profile.save(Account(gateway="http://127.0.0.1:3000", api_key="hi_x"))
    assert gateway_of() == ""


def test_an_address_is_no_link() -> None:
    with pytest.raises(BadRequest, match="A link is hyper://"):
        gateway_of("http://127.0.0.1:3000")


def test_the_port_is_said_as_for_every_server(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = bridge._loaded(LINK, None, None, ()).settings
    assert (settings.http.port, settings.http.first_port) == (None, 3000)
    monkeypatch.setenv("PORT", "8080")
    assert bridge._loaded(LINK, None, None, ()).settings.http.port == 8080


def test_only_what_belongs_to_the_gateway_is_lent() -> None:
    profile.save(Account(gateway=OTHER, api_key="hi_other"))
    with pytest.raises(StartError, match=f"hyperinfer login --gateway {LINK}"):
        lender(LINK)
    profile.save(Account(gateway=LINK, api_key="hi_mine"))
    assert lender(LINK)() == "hi_mine"
    assert lender(OTHER)() == "hi_other"


def test_what_is_lent_follows_the_profile() -> None:
    now = datetime.now(UTC)
    account = Account(gateway=LINK, token="eyJ.1", token_began=now, token_ends=now + timedelta(hours=1))
    profile.save(account)
    lent = lender(LINK)
    assert lent() == "eyJ.1"
    renewed = Account(gateway=LINK, token="eyJ.2", token_began=now, token_ends=now + timedelta(hours=2))
    profile.save(renewed)
    assert lent() == "eyJ.2"
    profile.save(Account(gateway=LINK, token="eyJ.3", token_began=now, token_ends=now - timedelta(hours=1)))
    assert lent() == ""
    profile.path().write_text("{")
    assert lent() == ""
    profile.path().unlink()
    assert lent() == ""


def test_a_machine_of_the_swarm_lends_what_its_own_gateway_gave(home: Path) -> None:
    with pytest.raises(StartError, match="the gateway of this machine"):
        lender("")
    profile.save(Account(gateway="http://127.0.0.1:3000", api_key="hi_up", data_dir=str(home / "data" / "auth")))
    assert lender("")() == "hi_up"
