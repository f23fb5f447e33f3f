"""What gateways are told of people, keys, sessions and tiers, on a real database."""

import asyncio

import msgspec
import pytest
import structlog
from sqlalchemy import delete, update

from hyperinfer.contracts.acting import Actor
from hyperinfer.contracts.directory import ALIAS, KEY, PAGE, SESSION, SIGNING, TIER, USER, Changes, Since, UserRecord
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import ChangeAccount, OfKey
from hyperinfer.workers.auth import publishing
from hyperinfer.workers.auth.aliases import Aliases
from hyperinfer.workers.auth.config import TierLimits, TierSettings
from hyperinfer.workers.auth.models import ApiKeyRow, DirectoryRow, User
from hyperinfer.workers.auth.publishing import publish_missing
from hyperinfer.workers.auth.tiers import Tiers

from .conftest import Office

NO_ALIASES = Aliases({})


async def everything(office: Office) -> dict[tuple[str, str], object]:
    """What a gateway knows that has read page after page."""
    known: dict[tuple[str, str], object] = {}
    since = Since()
    while True:
        page = await office.parts.feed.since(since)
        assert page.is_whole == (since == Since())
        known |= {(change.kind, change.id): msgspec.json.decode(change.record) for change in page.changes}
        since = Since(directory=page.directory, seq=page.seq)
        if not page.more:
            return known


async def test_what_auth_does_is_told_in_its_order_and_only_once(office: Office) -> None:
    await publish_missing(office.database, office.parts.tiers, office.parts.aliases)
    since = await office.parts.feed.since(Since())
    read = Since(directory=since.directory, seq=since.seq)
    ada = await office.person()
    await office.keys.revoke(OfKey(id=ada.key.id), ada.origin)
    await office.sessions.logout(Nothing(), ada.origin)
    page = await office.parts.feed.since(read)
    assert [(change.kind, change.id) for change in page.changes] == [
        (USER, ada.id),
        (KEY, ada.key.id),
        (SESSION, ada.session_id),
    ]
    seqs = [change.seq for change in page.changes]
    assert seqs == sorted(seqs)
    assert page.seq == seqs[-1] == read.seq + 4  # the key was told twice, and its newest state is what counts
    assert not page.is_whole
    assert (await office.parts.feed.since(Since(directory=page.directory, seq=page.seq))).changes == ()


async def test_who_watches_is_told_at_once(office: Office) -> None:
    pages = office.parts.feed.watch(Since())
    first = await anext(pages)
    assert first.is_whole
    news: asyncio.Task[Changes] = asyncio.ensure_future(anext(pages))
    made = await office.register()
    page = await news
    assert [change.id for change in page.changes] == [made.account.id, made.key.id]
    office.parts.feed.end()
    with pytest.raises(StopAsyncIteration):
        await anext(pages)
    await pages.aclose()


async def test_many_records_come_in_pages(office: Office) -> None:
    async with office.database.change() as change:
        for number in range(2 * PAGE + 1):
            await change.publish(USER, f"u{number}", UserRecord(username=f"u{number}", email=""))
    known = await everything(office)
    assert sum(kind == USER for kind, _ in known) == 2 * PAGE + 1


async def test_a_database_that_was_upgraded_is_told_in_full(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "PAGE", 3)
    people = [await office.register(f"person{number}") for number in range(7)]
    before = await everything(office)
    async with office.database.write() as rows:
        await rows.execute(delete(DirectoryRow))
    assert await publish_missing(office.database, office.parts.tiers, office.parts.aliases) == 7 + 7 + 1 + 3
    after = await everything(office)
    assert {key: value for key, value in after.items() if key[0] != TIER}.keys() == before.keys()
    assert {(KEY, one.key.id) for one in people} <= after.keys()
    assert await publish_missing(office.database, office.parts.tiers, office.parts.aliases) == 0


async def test_what_was_changed_behind_auths_back_is_told_at_the_next_start(office: Office) -> None:
    ada, bob = await office.register("ada"), await office.register("bob")
    await publish_missing(office.database, office.parts.tiers, office.parts.aliases)
    async with office.database.write() as rows:
        await rows.execute(update(User).where(User.id == ada.account.id).values(is_active=False))
        await rows.execute(delete(ApiKeyRow).where(ApiKeyRow.id == bob.key.id))
        unreadable = update(DirectoryRow).where(DirectoryRow.kind == SIGNING).values(record="nonsense")
        await rows.execute(unreadable)
    assert await publish_missing(office.database, office.parts.tiers, office.parts.aliases) == 3
    told = await everything(office)
    assert told[(USER, ada.account.id)]["isActive"] is False  # type: ignore[index]  # JSON
    assert told[(KEY, bob.key.id)] is None


async def test_tiers_follow_the_settings_and_nobody_becomes_unlimited(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    first = Tiers(TierSettings(further={"team": TierLimits(tokens_per_day=5)}))
    await publish_missing(office.database, first, NO_ALIASES)
    assert (await everything(office))[(TIER, "team")] == {"limits": {"tokensPerDay": 5}}
    async with office.database.write() as rows:
        await rows.execute(update(User).where(User.id == ada.id).values(tier="team"))
    with structlog.testing.capture_logs() as logs:
        await publish_missing(office.database, Tiers(TierSettings()), NO_ALIASES)
    assert [line["tier"] for line in logs if line["event"] == "tier_unknown"] == ["team"]
    default = {"limits": {"requestsPerMinute": 10, "requestsPerHour": 100}}
    assert (await everything(office))[(TIER, "team")] == default
    await office.parts.administration.change(ChangeAccount(id=ada.id, tier="default"), root.origin)
    await publish_missing(office.database, Tiers(TierSettings()), NO_ALIASES)
    told = await everything(office)
    assert told[(TIER, "team")] is None
    assert told[(TIER, "default")] == default


async def test_aliases_follow_the_settings(office: Office) -> None:
    tiers = office.parts.tiers
    await publish_missing(office.database, tiers, NO_ALIASES)
    both = Aliases({"small": ("smollm2",), "llama3": ("llama3.1:8b", "smollm2")})
    assert await publish_missing(office.database, tiers, both) == 2
    assert (await everything(office))[(ALIAS, "llama3")] == {"models": ["llama3.1:8b", "smollm2"]}
    assert await publish_missing(office.database, tiers, Aliases({"small": ("smollm2",)})) == 1
    told = await everything(office)
    assert told[(ALIAS, "llama3")] is None
    assert told[(ALIAS, "small")] == {"models": ["smollm2"]}
    assert await publish_missing(office.database, tiers, Aliases({"small": ("smollm2",)})) == 0


async def test_no_record_holds_a_secret(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    await office.keys.revoke(OfKey(id=ada.key.id), ada.origin)
    assert root.origin.actor == Actor(user_id=root.id, session_id=root.session_id)
    told = str(await everything(office))
    for secret in (ada.key.key, root.key.key, ada.session.access_token, "argon2"):
        assert secret not in told
