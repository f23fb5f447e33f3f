"""The ledger: each record counted once, whoever sends it however often, and nothing for whom it is not."""

import asyncio
import statistics
import time
import uuid
from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.usage import MAX_BATCH, UsageRecord

from .conftest import GATEWAY, NOW, Office, record

DAY = timedelta(days=1)


async def test_a_record_is_logged_and_summed(office: Office) -> None:
    ada = await office.person()
    key = await office.key(ada)
    one = record(ada, key, worker="ef" * 32, request_id="r-1", first_token_ms=3.5, kind="chat")
    await office.take(one, record(ada, key, status="error", error_code="BACKEND_FAILED", tokens=0))
    (row,) = await office.logged(status="success")
    assert (row.id, row.user_id, row.api_key_id, row.username, row.key_name) == (one.id, ada, key, "ada", "default")
    assert (row.model, row.status, row.worker, row.request_id) == ("smol", "success", "ef" * 32, "r-1")
    assert (row.prompt_tokens, row.completion_tokens, row.first_token_ms, row.response_time_ms) == (2, 10, 3.5, 12.5)
    assert (row.created_at, row.prompt_hash, row.estimated) == ("2026-11-20T12:00:00Z", "cd" * 32, False)
    assert row.cost == pytest.approx((2 * 0.5 + 10 * 2.0) / 1e6)
    (stats,) = await office.stats()
    assert (stats.user_id, stats.api_key_id, stats.date) == (ada, key, NOW.date())
    assert (stats.request_count, stats.error_count, stats.tokens_used) == (2, 1, 14)
    assert (stats.prompt_tokens, stats.completion_tokens, stats.cost_nanos) == (4, 10, 22_000)


async def test_what_is_delivered_again_is_not_counted_again(office: Office) -> None:
    ada = await office.person()
    records = [record(ada) for _ in range(20)]
    await office.take(*records)
    await office.take(*records[5:], record(ada))
    await office.take(records[0], records[0])
    (stats,) = await office.stats()
    assert stats.request_count == 21
    assert len(await office.logged(limit=200)) == 21


async def test_the_first_word_on_an_id_stands(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    one = record(ada)
    await office.take(one)
    await office.take(record(bob, id=one.id, tokens=1_000_000))
    (row,) = await office.logged()
    assert (row.user_id, row.completion_tokens) == (ada, 10)
    assert [(stats.user_id, stats.request_count) for stats in await office.stats()] == [(ada, 1)]


async def test_requests_without_a_key_add_up_in_one_row_a_day(office: Office) -> None:
    ada = await office.person()
    for _ in range(3):
        await office.take(record(ada))
    await office.take(record(ada, ago=DAY))
    assert [(stats.date, stats.request_count) for stats in await office.stats()] == [
        (NOW.date() - DAY, 1),
        (NOW.date(), 3),
    ]


async def test_a_day_is_one_in_utc(office: Office) -> None:
    ada = await office.person()
    midnight = NOW.replace(hour=0)
    await office.take(record(ada, started_at=midnight), record(ada, started_at=midnight - timedelta(microseconds=1)))
    assert [(stats.date, stats.request_count) for stats in await office.stats()] == [
        (NOW.date() - DAY, 1),
        (NOW.date(), 1),
    ]
    report = await office.report(model="smol")
    assert [(row.key, row.requests) for row in report.rows] == [("2026-11-19", 1), ("2026-11-20", 1)]


async def test_whoever_has_gone_is_not_named(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    for person in (ada, bob):
        key = await office.key(person)
        await office.take(record(person, key), record(person))
        await office.remove(person)
        # What was under way meanwhile arrives late.
        await office.take(record(person, key), record(person), record("no-id-at-all", "nor-this"))
    assert sum(stats.request_count for stats in await office.stats()) == 10
    assert {(stats.user_id, stats.api_key_id) for stats in await office.stats()} == {(None, None)}
    rows = await office.logged()
    assert len(rows) == 10
    assert {(row.user_id, row.api_key_id, row.username) for row in rows} == {(None, None, None)}


async def test_a_key_that_is_another_accounts_is_refused_and_costs_the_others_nothing(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    key = await office.key(bob)
    good, bad = record(ada), record(ada, key)
    reply = await office.usage.ledger.record([bad, good], gateway=GATEWAY)
    assert (reply.ids, set(reply.refused)) == ((good.id,), {bad.id})
    assert [row.id for row in await office.logged()] == [good.id]
    assert await office.last_used(key) is None


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"started_at": NOW + timedelta(minutes=6)}, "ahead"),
        ({"started_at": NOW.replace(tzinfo=None)}, "zone"),
        ({"started_at": NOW - timedelta(days=91)}, "older"),
        ({"id": "x" * 36}, "UUID"),
        ({"id": str(uuid.uuid4()).upper()}, "UUID"),
    ],
)
async def test_records_that_make_no_sense_are_refused(office: Office, fields: dict[str, Any], word: str) -> None:
    ada = await office.person()
    bad, good = record(ada, **fields), record(ada, started_at=NOW + timedelta(minutes=4))
    reply = await office.usage.ledger.record([bad, good], gateway=GATEWAY)
    assert reply.ids == (good.id,)
    assert word in reply.refused[bad.id]


@pytest.mark.parametrize("text", ["'; DROP TABLE users; --", "\x00", "\n\x1b[31m", "x" * 5000, "é\u202e", "%_\\"])
async def test_no_text_of_a_record_does_anything(office: Office, text: str) -> None:
    ada = await office.person()
    names = ("model", "request_id", "error_code", "kind", "worker", "prompt_hash", "user_id", "api_key_id")
    await office.take(msgspec.structs.replace(record(ada), **dict.fromkeys(names, text)))
    (row,) = await office.logged()
    assert row.user_id is None
    assert row.request_id is not None
    assert all(part.isprintable() for part in (row.model, row.request_id, row.worker, row.prompt_hash))


async def test_the_last_use_of_a_key_never_goes_back(office: Office) -> None:
    ada = await office.person()
    key, other = await office.key(ada), await office.key(ada, "other")
    await office.take(record(ada, key, ago=timedelta(hours=2)), record(ada, key, ago=timedelta(hours=3)))
    assert await office.last_used(key) == NOW - timedelta(hours=2)
    newest = record(ada, key, ago=timedelta(hours=1))
    await office.take(newest)
    await office.take(record(ada, key, ago=timedelta(hours=5)), newest)
    assert await office.last_used(key) == NOW - timedelta(hours=1)
    assert await office.last_used(other) is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_racing_gateways_that_send_again_and_again_count_each_once(office: Office, seed: int) -> None:
    chance = Random(seed)
    people = [await office.person(f"p{number}") for number in range(3)]
    keys = {person: [await office.key(person, str(number)) for number in range(2)] for person in people}
    records: list[UsageRecord] = []
    for _ in range(300):
        person = chance.choice(people)
        records.append(record(person, chance.choice([None, *keys[person]]), ago=DAY * chance.randint(0, 3)))

    async def gateway(name: str) -> None:
        """Delivers everything, in any order and more than once."""
        waiting = chance.sample(records, len(records)) + chance.sample(records, 100)
        while waiting:
            size = chance.randint(1, 60)
            batch, waiting = waiting[:size], waiting[size:]
            reply = await office.usage.ledger.record(batch, gateway=name)
            assert reply.refused == {}

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(gateway(f"{number}" * 64))
    counted = Counter(
        {(stats.user_id, stats.api_key_id, stats.date): stats.request_count for stats in await office.stats()}
    )
    assert counted == Counter((one.user_id, one.api_key_id, one.started_at.date()) for one in records)
    assert sum(stats.completion_tokens for stats in await office.stats()) == 10 * len(records)


@pytest.mark.slow
async def test_accounts_removed_while_their_usage_arrives_lose_none_of_it(office: Office) -> None:
    people = [await office.person(f"p{number}") for number in range(10)]
    keys = {person: await office.key(person) for person in people}
    records = [record(person, keys[person]) for person in people for _ in range(20)]
    Random(7).shuffle(records)

    async def deliver() -> None:
        for start in range(0, len(records), 10):
            await office.take(*records[start : start + 10])

    async def remove() -> None:
        for person in people:
            await office.remove(person)

    async with asyncio.TaskGroup() as group:
        group.create_task(deliver())
        group.create_task(remove())
    assert sum(stats.request_count for stats in await office.stats()) == len(records)
    assert {stats.user_id for stats in await office.stats()} == {None}


@pytest.mark.slow
async def test_a_full_batch_is_taken_in_quickly(office: Office) -> None:
    people = [await office.person(f"p{number}") for number in range(50)]
    keys = {person: [await office.key(person, str(number)) for number in range(2)] for person in people}
    taken_s = []
    for _ in range(5):
        batch = []
        for number in range(MAX_BATCH):
            person = people[number % len(people)]
            batch.append(record(person, keys[person][number % 2]))
        begun = time.perf_counter()
        await office.take(*batch)
        taken_s.append(time.perf_counter() - begun)
    assert statistics.median(taken_s) < 0.3


async def test_purging_removes_old_requests_and_keeps_the_sums(office: Office) -> None:
    ada = await office.person()
    old = [record(ada, ago=DAY * 89 + timedelta(seconds=number)) for number in range(1205)]
    for start in range(0, len(old), MAX_BATCH):
        await office.take(*old[start : start + MAX_BATCH])
    new = record(ada)
    await office.take(new)
    assert await office.usage.purge.once() == 0
    office.clock.advance(2.1 * DAY.total_seconds())
    purging = asyncio.create_task(office.usage.purge.once())
    while not purging.done():
        office.clock.advance(0.1)
        await asyncio.sleep(0)
    assert await purging == len(old)
    assert [row.id for row in await office.logged()] == [new.id]
    assert sum(stats.request_count for stats in await office.stats()) == len(old) + 1
    # What has been purged cannot be told to be new: it is refused rather than counted twice.
    reply = await office.usage.ledger.record(old[:3], gateway=GATEWAY)
    assert len(reply.refused) == 3


async def test_nothing_delivered_is_nothing_taken_in(office: Office) -> None:
    reply = await office.usage.ledger.record([], gateway=GATEWAY)
    assert (reply.ids, reply.refused) == ((), {})
