"""What auth shows of its house: counted now and then, by a database of each kind, and nothing that it does not know."""

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hyperinfer.contracts.people import GenerateApiKey, OfKey
from hyperinfer.errors import BadRequest
from hyperinfer.workers.auth.census import Census
from hyperinfer.workers.auth.meters import Meters, Shown

from .conftest import Office, Person


class Window:
    """What is seen of an office from outside."""

    def __init__(self, office: Office) -> None:
        self.census, self.registry = Census(office.database, office.clock), CollectorRegistry()
        office.parts.registration.on_registered(Meters(self.registry).registered)
        Shown(self.census, office.parts.signing, office.parts.passwords, clock=office.clock, registry=self.registry)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"ai_platform_{name}", labels)


@pytest.fixture
def window(office: Office) -> Window:
    return Window(office)


async def test_people_keys_and_sessions_are_counted(office: Office, window: Window) -> None:
    ada = await office.person()
    await _new_key(office, ada, days=1)
    await _new_key(office, ada, days=3)
    revoked = await _new_key(office, ada, days=300)
    await office.keys.revoke(OfKey(id=revoked), ada.origin)
    await office.person("bob")
    await window.census.count()
    await window.census.look()
    office.clock.advance(2 * 24 * 3600)
    await window.census.count()
    assert (window.value("accounts", state="active"), window.value("accounts", state="disabled")) == (2, 0)
    assert [window.value("api_keys", state=state) for state in ("active", "expired", "revoked")] == [3, 1, 1]
    assert window.value("api_keys_expiring") == 1
    assert window.value("sessions") == 0
    assert window.value("audit_entries_total") == len(await office.audited())


async def test_registrations_are_counted_as_they_come(office: Office, window: Window) -> None:
    await office.register()
    with pytest.raises(BadRequest):
        await office.register("not an address")
    assert window.value("registrations_total", by="open") == 1
    assert window.value("registrations_total", by="invitation") == 0


async def test_nothing_is_shown_that_is_not_known(office: Office, window: Window) -> None:
    assert window.value("database_up") is None
    await window.census.look()
    assert window.value("database_up") == 1
    assert window.value("database_round_trip_seconds") == 0  # by the test's clock
    assert window.value("accounts", state="active") is None
    assert window.value("auth_passwords_waiting") == 0


async def test_the_signing_key_says_when_it_is_replaced(office: Office, window: Window) -> None:
    month_s = office.settings.sessions.rotate_key_s
    assert window.value("signing_key_expires_in_seconds") == month_s
    office.clock.advance(month_s + 60)
    assert window.value("signing_key_expires_in_seconds") == -60
    await office.parts.signing.keep()
    office.clock.advance(600)
    await office.parts.signing.keep()
    left_s = window.value("signing_key_expires_in_seconds")
    assert left_s is not None
    assert month_s - 700 < left_s < month_s


async def test_names_and_addresses_are_nowhere(office: Office, window: Window, tmp_path: Path) -> None:
    ada = await office.person()
    await window.census.count()
    await window.census.look()
    text = generate_latest(window.registry).decode()
    assert "ai_platform_accounts" in text
    assert not [told for told in ("ada", "example", ada.id, ada.key.id, ada.key.key) if told in text]


async def _new_key(office: Office, who: Person, *, days: int) -> str:
    expires_at = (office.clock.now() + timedelta(days=days)).isoformat()
    made = await office.keys.generate(GenerateApiKey(name="short", expires_at=expires_at), who.origin)
    return made.id
