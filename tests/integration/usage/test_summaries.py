"""Summaries for reports: the same figures as the ledger's, out of one view, bounded, on each database."""

from datetime import date, timedelta

import pytest

from hyperinfer.contracts import reports as contract
from hyperinfer.contracts.method import members
from hyperinfer.contracts.reports import SUM_USAGE, Percentiles, Share, SumUsage, UsageSummary
from hyperinfer.errors import BadRequest

from .conftest import NOW, Office, record

DAY = timedelta(days=1)
TODAY = NOW.date()


def figures(shares: tuple[Share, ...]) -> list[tuple[str, int, int]]:
    """Label, requests and tokens."""
    return [(one.label, one.sums.requests, one.sums.prompt_tokens + one.sums.completion_tokens) for one in shares]


async def summary(office: Office, since: date = TODAY, until: date = TODAY) -> UsageSummary:
    return await office.usage.summaries.of(SumUsage(since=since, until=until))


async def test_a_day_of_everybody(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    work, bobs = await office.key(ada, "work"), await office.key(bob, "=cmd()")
    gpu, laptop = "ef" * 32, "01" * 32
    await office.take(
        record(ada, work, tokens=100, worker=gpu, first_token_ms=5.0),
        record(ada, tokens=10, model="free", worker=laptop, ago=timedelta(hours=3)),
        record(bob, bobs, tokens=0, status="error", error_code="BACKEND_FAILED", worker=gpu),
        record(bob, bobs, tokens=0, status="timeout", error_code="DEADLINE_EXCEEDED", worker=gpu),
        record(bob, bobs, tokens=1, status="cancelled", model="unpriced"),
        record(ada, tokens=7, ago=DAY),
        record(ada, tokens=7, ago=2 * DAY),
    )
    told = await summary(office)
    assert (told.since, told.until, told.currency, told.people, told.details_since) == (TODAY, TODAY, "EUR", 2, None)
    assert (told.total.requests, told.total.errors) == (5, 2)
    assert (told.total.prompt_tokens, told.total.completion_tokens) == (10, 111)
    assert told.total.cost == pytest.approx((6 * 0.5 + 100 * 2.0) / 1e6)
    assert (told.before.requests, told.before.completion_tokens) == (1, 7)
    assert figures(told.days) == [("2026-11-20", 5, 121)]
    assert figures(told.models) == [("smol", 3, 106), ("free", 1, 12), ("unpriced", 1, 3)]
    assert figures(told.users) == [("ada", 2, 114), ("bob", 3, 7)]
    assert figures(told.keys) == [
        (f"ada: work (hi_{work[:8]}…)", 1, 102),
        ("without a key", 1, 12),
        (f"bob: =cmd() (hi_{bobs[:8]}…)", 3, 7),
    ]
    assert figures(told.workers) == [(gpu, 3, 106), (laptop, 1, 12), ("", 1, 3)]
    assert [(one.hour, one.requests, one.tokens) for one in told.hours] == [(9, 1, 12), (12, 4, 109)]
    assert told.statuses == {"cancelled": 1, "error": 1, "success": 2, "timeout": 1}
    assert [(one.status, one.code, one.model, one.requests) for one in told.failures] == [
        ("error", "BACKEND_FAILED", "smol", 1),
        ("timeout", "DEADLINE_EXCEEDED", "smol", 1),
    ]
    assert told.first_token_ms == Percentiles(5.0, 5.0, 5.0)
    assert told.usernames == {ada: "ada", bob: "bob"}
    assert {(cell.user_id, cell.key_id, cell.model, cell.sums.requests) for cell in told.cells} == {
        (ada, work, "smol", 1),
        (ada, None, "free", 1),
        (bob, bobs, "smol", 2),
        (bob, bobs, "unpriced", 1),
    }


async def test_a_week_beside_the_week_before(office: Office) -> None:
    ada = await office.person("ada")
    await office.take(*(record(ada, tokens=day, ago=day * DAY) for day in range(14)))
    told = await summary(office, TODAY - 6 * DAY, TODAY)
    assert (told.total.requests, told.total.completion_tokens) == (7, sum(range(7)))
    assert (told.before.requests, told.before.completion_tokens) == (7, sum(range(7, 14)))
    assert [cell.day for cell in told.cells] == [TODAY - day * DAY for day in reversed(range(7))]
    assert len(told.hours) == 7


async def test_percentiles_are_by_nearest_rank_and_of_successes_alone(office: Office) -> None:
    ada = await office.person("ada")
    await office.take(*(record(ada, duration_ms=float(ms)) for ms in range(1, 101)))
    await office.take(record(ada, duration_ms=9e9, status="timeout"))
    told = await summary(office)
    assert told.response_ms == Percentiles(50.0, 95.0, 99.0)
    assert told.first_token_ms is None


async def test_an_empty_day_has_nothing(office: Office) -> None:
    told = await summary(office)
    assert (told.total.requests, told.people, told.response_ms, told.cells, told.users) == (0, 0, None, (), ())


async def test_who_has_gone_is_not_named(office: Office) -> None:
    ada = await office.person("ada")
    await office.take(record(ada, await office.key(ada)))
    await office.remove(ada)
    told = await summary(office)
    assert figures(told.users) == [("deleted accounts", 1, 12)]
    assert told.usernames == told.key_names == {}
    assert [(cell.user_id, cell.key_id) for cell in told.cells] == [(None, None)]


async def test_days_whose_requests_are_not_kept_any_more_say_so(office: Office) -> None:
    told = await summary(office, TODAY - 95 * DAY, TODAY - 80 * DAY)
    assert told.details_since == TODAY - 90 * DAY


@pytest.mark.parametrize(("since", "until"), [(TODAY, TODAY - DAY), (TODAY - 31 * DAY, TODAY), (date(1, 1, 1), TODAY)])
async def test_impossible_days_are_refused(office: Office, since: date, until: date) -> None:
    with pytest.raises(BadRequest):
        await summary(office, since, until)


async def test_tables_are_bounded_and_lose_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "MAX_SHARES", 3)
    monkeypatch.setattr(contract, "MAX_CELLS", 4)
    ada = await office.person("ada")
    await office.take(*(record(ada, tokens=tokens, model=f"m{tokens}") for tokens in range(10)))
    told = await summary(office)
    assert figures(told.models) == [("m9", 1, 11), ("m8", 1, 10), ("m7", 1, 9), ("other", 7, 35)]
    assert [cell.model for cell in told.cells] == ["m9", "m8", "m7", "m6"]
    assert figures(told.users) == [("ada", 10, 65)]


def test_it_is_the_metrics_workers_alone() -> None:
    assert SUM_USAGE.access == members("metrics")
