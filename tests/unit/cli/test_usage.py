"""`hyperinfer usage` and `quota`: tables that fit, numbers that programs can have, and whose they are."""

import json
from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from hyperinfer.cli import usage as usage_command
from hyperinfer.contracts import people, usage
from hyperinfer.errors import Forbidden
from hyperinfer.sdk import profile
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Command

AT = "2026-01-02T12:00:00Z"
ADA = people.Account(
    id="00000000-0000-4000-8000-000000000001",
    username="ada",
    email="ada@example.com",
    role="user",
    tier="default",
    created_at=AT,
)
KEYS = people.ApiKeys(keys=(people.ApiKey(id="k-1", name="ci", prefix="hi_aaaaaaaa", created_at=AT, is_active=False),))


def row(key: str, cost: float | None = None) -> usage.UsageRow:
    return usage.UsageRow(
        key=key,
        label=key,
        requests=12,
        errors=1,
        prompt_tokens=3456789,
        completion_tokens=5,
        total_tokens=3456794,
        cost=cost,
    )


def report(*rows: usage.UsageRow, currency: str | None = None) -> usage.UsageReport:
    total = row("total", cost=1.5 if currency else None)
    return usage.UsageReport(
        since=date(2026, 1, 1), until=date(2026, 1, 2), group="day", rows=rows, total=total, currency=currency
    )


REQUEST = usage.RequestRow(
    id="r1",
    user_id=ADA.id,
    api_key_id=None,
    created_at=AT,
    model="a-model-with-a-name-that-is-far-too-long",
    status="cancelled",
    error_code=None,
    prompt_tokens=1234,
    completion_tokens=2,
    first_token_ms=None,
    response_time_ms=3.4,
    worker="w",
    request_id=None,
    prompt_hash="h",
    estimated=False,
    username="ada",
)


async def pages(request: usage.RequestQuery, meta: Any, sink: Any) -> usage.Requests:
    """Ten pages of two."""
    page = int(request.cursor or 0)
    return usage.Requests(requests=(REQUEST, REQUEST), next=str(page + 1) if page < 9 else None)


@pytest.fixture
def gateway(gateway: FakeGateway) -> FakeGateway:
    some = always(report(row("2026-01-01"), row("2026-01-02")))
    gateway.answers |= {
        "getUserUsage": some,
        "getAllUsage": some,
        "listRequests": pages,
        "listAllRequests": pages,
        "listAccounts": always(people.Accounts(accounts=(ADA,))),
        "listApiKeys": always(KEYS),
    }
    return gateway


pytestmark = pytest.mark.usefixtures("url")


def last(gateway: FakeGateway) -> tuple[str, Any]:
    method, request, _ = gateway.calls[-1]
    return method, request


def test_usage_by_day_with_its_total(command: Command, gateway: FakeGateway) -> None:
    lines = command("usage").out.splitlines()
    assert lines[0].split() == ["DAY", "REQUESTS", "ERRORS", "PROMPT", "COMPLETION", "TOKENS"]
    assert [line.split()[0] for line in lines[1:]] == ["2026-01-01", "2026-01-02", "total"]
    assert max(map(len, lines)) <= 80
    assert last(gateway) == ("getUserUsage", usage.UsageQuery())


def test_what_it_cost_is_shown_where_there_are_prices(command: Command, gateway: FakeGateway) -> None:
    label = "a label that somebody has made very long indeed"
    gateway.answers["getUserUsage"] = always(report(row(label, cost=0.25), currency="EUR"))
    lines = command("usage", "--group", "key").out.splitlines()
    assert lines[0].endswith("COST (EUR)")
    assert [line.split()[-1] for line in lines[1:]] == ["0.25", "1.5"]
    assert max(map(len, lines)) <= 80
    assert "…" in lines[1]


def test_by_day_a_terminal_draws_bars_and_a_program_gets_none(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "█" not in command("usage").out
    monkeypatch.setattr(usage_command, "terminal_width", lambda: 80)
    lines = command("usage").out.splitlines()
    assert [line.count("█") for line in lines] == [0, 16, 16, 0]
    assert max(map(len, lines)) <= 80


def test_a_plot_has_every_day_since_the_first_that_was_used(command: Command, gateway: FakeGateway) -> None:
    some = report(row("2026-01-02"))
    gateway.answers["getUserUsage"] = always(replace(some, until=date(2026, 1, 4)))
    lines = command("usage", "--plot").out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["2026-01-02", "3,456,794"],
        ["2026-01-03", "0"],
        ["2026-01-04", "0"],
    ]
    assert len(lines[0]) == 80
    assert command("usage", "--plot", "--json").code == 2
    gateway.answers["getUserUsage"] = always(report())
    assert command("usage", "--plot").err == "Nothing was asked in this time.\n"


def test_a_range_a_key_and_a_model(command: Command, gateway: FakeGateway) -> None:
    command(
        "usage", "--since", "2026-01-01", "--until", "2026-01-02", "--key", "ci", "--model", "m", "--group", "status"
    )
    assert last(gateway) == (
        "getUserUsage",
        usage.UsageQuery(since=date(2026, 1, 1), until=date(2026, 1, 2), api_key_id="k-1", model="m", group="status"),
    )


def test_for_programs_it_is_json_or_csv(command: Command, gateway: FakeGateway) -> None:
    assert json.loads(command("usage", "--json").out)["total"]["total_tokens"] == 3456794
    csv = command("usage", "--csv").out.splitlines()
    assert (csv[0].split(",")[0], len(csv)) == ("key", 3)
    assert len(command("usage", "requests", "--csv").out.splitlines()) == 21
    assert command("usage", "--csv", "--json").code == 2


def test_everybodys_usage_or_one_persons_is_for_administrators(command: Command, gateway: FakeGateway) -> None:
    command("usage", "--all", "--group", "user")
    assert last(gateway) == ("getAllUsage", usage.UsageQuery(group="user"))
    command("usage", "--user", "Ada@Example.com")
    assert last(gateway) == ("getAllUsage", usage.UsageQuery(user_id=ADA.id))
    assert "no account 'ad'" in command("usage", "--user", "ad").err
    gateway.answers["getAllUsage"] = always(Forbidden("This is for administrators."))
    assert command("usage", "--all").err.startswith("This is for administrators.")


def test_requests_are_listed_as_many_as_wanted(command: Command, gateway: FakeGateway) -> None:
    lines = command("usage", "requests", "--limit", "3", "--status", "cancelled").out.splitlines()
    assert lines[0].split() == ["TIME", "MODEL", "STATUS", "PROMPT", "COMPL.", "MS"]
    assert len(lines) == 4
    assert max(map(len, lines)) <= 80
    assert [request.cursor for _, request, _ in gateway.calls] == [None, "1"]
    assert gateway.calls[0][1].status == "cancelled"
    assert len(json.loads(command("usage", "requests", "--json").out)) == 20
    assert command("usage", "requests", "--all").out.splitlines()[1].endswith("ada")


@pytest.mark.parametrize("words", [("usage",), ("usage", "requests")])
def test_nothing_used_is_said_beside_the_output(command: Command, gateway: FakeGateway, words: tuple[str, ...]) -> None:
    gateway.answers |= {"getUserUsage": always(report()), "listRequests": always(usage.Requests())}
    done = command(*words)
    assert (done.code, done.out, done.err) == (0, "", "Nothing was asked in this time.\n")


def test_an_option_at_the_wrong_place_is_not_passed_over(command: Command) -> None:
    done = command("usage", "--all", "requests")
    assert done.code == 2
    assert "after `requests`" in done.err


@pytest.mark.parametrize("words", [("--since", "yesterday"), ("--limit", "0"), ("--status", "lost")])
def test_what_makes_no_sense_is_refused_before_it_is_sent(
    command: Command, gateway: FakeGateway, words: tuple[str, ...]
) -> None:
    assert command("usage", "requests", *words).code == 2
    assert gateway.calls == []


def test_the_quota_is_that_of_who_asks_models(command: Command, url: str, gateway: FakeGateway) -> None:
    profile.save(profile.Account(gateway=url, api_key="hi_key", token="jwt"))
    rows = (
        usage.QuotaRow("user", "requests_per_minute", 10, 4, 6, AT),
        usage.QuotaRow("key", "tokens_per_day", 1000, 0, 1000, None),
    )
    gateway.answers["getUserQuota"] = always(usage.Quota(tier="default", limits=rows))
    lines = command("quota").out.splitlines()
    assert lines[1].split()[:5] == ["user", "requests-per-minute", "10", "4", "6"]
    assert lines[2].split() == ["key", "tokens-per-day", "1000", "0", "1000", "-"]
    assert max(map(len, lines)) <= 80
    assert gateway.calls[-1][2].key == "hi_key"
    assert json.loads(command("quota", "--json").out)["limits"][0]["remaining"] == 6
    gateway.answers["getUserQuota"] = always(usage.Quota(tier="unlimited"))
    assert command("quota").err == "Nothing limits you: your tier is unlimited.\n"
