"""Reports: right sums by every grouping, bounded, and nobody sees what is another's."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from hyperinfer.contracts.acting import Actor, As
from hyperinfer.contracts.method import NO_META
from hyperinfer.contracts.usage import MAX_ROWS, RequestQuery, UsageQuery, UsageReport
from hyperinfer.errors import BadRequest, Forbidden, Unauthenticated
from hyperinfer.kernel.calls import Call
from hyperinfer.workers.auth.actors import Actors
from hyperinfer.workers.auth.models import ApiKeyRow, SessionRow, User
from hyperinfer.workers.auth.usage.config import UsageSettings
from hyperinfer.workers.auth.usage.methods import usage_routes
from hyperinfer.workers.auth.usage.parts import UsageParts
from hyperinfer.workers.auth.usage.reach import Reach

from .conftest import NOW, Office, record

DAY = timedelta(days=1)
TODAY = NOW.date()
HOSTILE = ["'; DROP TABLE users; --", "' OR '1'='1", "%", "_", "\\", '"', "é" * 10]


def shown(report: UsageReport) -> list[tuple[str, str, int, int]]:
    """Key, label, requests and tokens of each row."""
    return [(row.key, row.label, row.requests, row.total_tokens) for row in report.rows]


@pytest.fixture
async def used(office: Office) -> dict[str, str]:
    """Ada has used two keys and a session over three days, Bob one key."""
    ada, bob = await office.person("ada"), await office.person("bob")
    work, home, bobs = await office.key(ada, "work"), await office.key(ada, "home"), await office.key(bob, "work")
    await office.take(
        record(ada, work, tokens=100),
        record(ada, work, tokens=0, status="timeout", ago=DAY),
        record(ada, home, tokens=10, model="free", ago=DAY),
        record(ada, tokens=5, model="unpriced", ago=2 * DAY),
        record(ada, tokens=3, status="cancelled", ago=2 * DAY, model="unpriced"),
        record(bob, bobs, tokens=1000, status="error"),
    )
    return {"ada": ada, "bob": bob, "work": work, "home": home, "bobs": bobs}


async def test_usage_by_day(office: Office, used: dict[str, str]) -> None:
    report = await office.report(Reach(used["ada"]))
    days = [str(TODAY - 2 * DAY), str(TODAY - DAY), str(TODAY)]
    assert shown(report) == [(days[0], days[0], 2, 12), (days[1], days[1], 2, 14), (days[2], days[2], 1, 102)]
    assert (report.since, report.until, report.group) == (TODAY - 29 * DAY, TODAY, "day")
    assert (report.total.requests, report.total.errors, report.total.total_tokens) == (5, 1, 128)
    assert report.currency == "EUR"
    # 2 and 100 tokens, and 2 that timed out; the others have no price, or cost nothing.
    assert report.total.cost == pytest.approx((4 * 0.5 + 100 * 2.0) / 1e6)


async def test_usage_by_key_names_the_keys(office: Office, used: dict[str, str]) -> None:
    assert shown(await office.report(Reach(used["ada"]), group="key")) == [
        (used["work"], "work", 2, 104),
        ("", "without a key", 2, 12),
        (used["home"], "home", 1, 12),
    ]
    everybody = await office.report(group="key")
    assert {row.label for row in everybody.rows} == {"ada: work", "ada: home", "bob: work", "without a key"}


async def test_usage_by_model_and_status_is_told_by_single_requests(office: Office, used: dict[str, str]) -> None:
    report = await office.report(Reach(used["ada"]), group="model")
    assert shown(report) == [("smol", "smol", 2, 104), ("free", "free", 1, 12), ("unpriced", "unpriced", 2, 12)]
    assert [row.cost for row in report.rows] == [pytest.approx(202e-6), 0.0, None]
    assert {row.key: row.requests for row in (await office.report(group="status")).rows} == {
        "success": 3,
        "timeout": 1,
        "cancelled": 1,
        "error": 1,
    }


async def test_usage_by_person_is_for_all_of_them(office: Office, used: dict[str, str]) -> None:
    await office.remove(used["bob"])
    report = await office.report(group="user")
    assert shown(report) == [("", "deleted accounts", 1, 1002), (used["ada"], "ada", 5, 128)]
    assert report.total.total_tokens == 1130


async def test_a_report_can_be_narrowed(office: Office, used: dict[str, str]) -> None:
    reach = Reach(used["ada"])
    assert (await office.report(reach, since=TODAY)).total.requests == 1
    assert (await office.report(reach, until=TODAY - DAY)).total.requests == 4
    assert (await office.report(reach, since=TODAY - DAY, until=TODAY - DAY)).total.requests == 2
    assert (await office.report(reach, api_key_id=used["work"])).total.requests == 2
    by_day = await office.report(reach, model="unpriced")
    assert [(row.key, row.requests) for row in by_day.rows] == [(str(TODAY - 2 * DAY), 2)]
    assert (await office.report(reach, model="smol", group="key")).total.requests == 2
    assert (await office.report(user_id=used["bob"])).total.total_tokens == 1002


async def test_without_prices_there_is_no_cost(office: Office, used: dict[str, str]) -> None:
    bare = UsageParts.on(office.database, replica=None, clock=office.clock, settings=UsageSettings())
    report = await bare.reports.of(UsageQuery(group="model"), Reach(used["ada"]))
    assert report.currency is None
    assert {row.cost for row in (*report.rows, report.total)} == {None}


async def test_nothing_used_is_a_report_too(office: Office) -> None:
    ada = await office.person()
    for group in ("day", "key", "model", "status", "user"):
        report = await office.report(Reach(ada), group=group)
        assert (report.rows, report.total.requests) == ((), 0)


@pytest.mark.parametrize(
    ("since", "until", "param"),
    [
        (date(2026, 11, 2), date(2026, 11, 1), "since"),
        (TODAY - 366 * DAY, TODAY, "since"),
        (date.min, TODAY, "since"),
        (date.max, TODAY, "since"),
        (TODAY, date.max, "until"),
        (TODAY, date.min, "until"),
    ],
)
async def test_ranges_are_bounded(office: Office, since: date, until: date, param: str) -> None:
    for asked in (office.report, office.logged):
        with pytest.raises(BadRequest) as caught:
            await asked(since=since, until=until)
        assert caught.value.details == {"param": param}


async def test_a_range_may_be_open_at_either_end(office: Office) -> None:
    assert (await office.report(since=TODAY - 365 * DAY)).since == TODAY - 365 * DAY
    assert (await office.report(until=TODAY - 90 * DAY)).since == TODAY - 119 * DAY
    with pytest.raises(BadRequest):
        await office.report(since=TODAY - 366 * DAY)
    assert await office.logged(since=TODAY - 366 * DAY) == ()


async def test_a_report_has_a_bounded_number_of_rows(office: Office) -> None:
    ada = await office.person()
    records = [record(ada, model=f"m{number}", tokens=number) for number in range(MAX_ROWS + 5)]
    for start in range(0, len(records), 500):
        await office.take(*records[start : start + 500])
    report = await office.report(group="model")
    assert len(report.rows) == MAX_ROWS + 1
    assert report.rows[0].key == f"m{MAX_ROWS + 4}"
    other = report.rows[-1]
    assert (other.key, other.requests, other.completion_tokens) == ("other", 5, 0 + 1 + 2 + 3 + 4)
    assert sum(row.total_tokens for row in report.rows) == report.total.total_tokens


# --- single requests -----------------------------------------------------------------------------------------


async def test_pages_stay_whole_while_requests_are_added_and_purged(office: Office) -> None:
    ada = await office.person()
    # Several at the same moment: only their ids tell them apart.
    old = [record(ada, ago=timedelta(seconds=number // 4)) for number in range(40)]
    await office.take(*old)
    seen: list[str] = []
    cursor = None
    while True:
        page = await office.usage.requests.of(RequestQuery(limit=7, cursor=cursor), Reach(ada))
        seen += [row.id for row in page.requests]
        await office.take(record(ada, ago=-timedelta(seconds=1)), record(ada, ago=timedelta(seconds=2.5)))
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert {one.id for one in old} <= set(seen)
    newest_first = sorted((one.started_at, one.id) for one in old)[::-1]
    assert [id_ for id_ in seen if id_ in {one.id for one in old}] == [id_ for _, id_ in newest_first]


async def test_requests_are_found_by_what_they_are(office: Office, used: dict[str, str]) -> None:
    reach = Reach(used["ada"])
    assert len(await office.logged(reach)) == 5
    assert len(await office.logged(reach, status="cancelled")) == 1
    assert len(await office.logged(reach, model="unpriced")) == 2
    assert len(await office.logged(reach, api_key_id=used["work"])) == 2
    assert len(await office.logged(reach, since=TODAY - DAY, until=TODAY - DAY)) == 2
    assert [row.cost for row in await office.logged(reach, model="unpriced")] == [None, None]


@pytest.mark.parametrize(
    "cursor", [*HOSTILE, "1.2", "1" * 30, "12." + "g" * 32, "\u0661." + "0" * 32, "-1." + "0" * 32]
)
async def test_a_made_up_cursor_is_refused(office: Office, cursor: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await office.logged(cursor=cursor)
    assert caught.value.details == {"param": "cursor"}


async def test_the_farthest_cursor_is_only_far(office: Office, used: dict[str, str]) -> None:
    assert len(await office.logged(cursor="9" * 17 + "." + "f" * 32)) == 6
    assert await office.logged(cursor="0." + "0" * 32) == ()


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_no_filter_reaches_the_database_as_anything_but_a_value(
    office: Office, used: dict[str, str], hostile: str
) -> None:
    for field in ("model", "api_key_id", "user_id"):
        query: dict[str, Any] = {field: hostile}
        for group in ("day", "model"):
            assert (await office.report(group=group, **query)).rows == ()
        assert await office.logged(**query) == ()
    assert (await office.report()).total.requests == 6


# --- who may see what ----------------------------------------------------------------------------------------


class Desk:
    """Auth's methods as a gateway calls them on people's behalf."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._routes = {
            one.method.name: one for one in usage_routes(office.usage, Actors(office.database, office.clock))
        }
        self._call = Call(caller=b"g" * 32, roles=frozenset({"gateway"}), meta=NO_META, deadline=1e9)

    async def ask(self, method: str, actor: Actor, **query: Any) -> Any:
        route = self._routes[method]
        kind = RequestQuery if "Requests" in method else UsageQuery
        assert route.method.access.roles == {"gateway"}
        return await route.handler(As(actor=actor, wanted=kind(**query)), self._call)

    async def session(self, user_id: str) -> Actor:
        session_id = user_id.replace("-", "")
        async with self._office.database.write() as session:
            row = SessionRow(
                id=session_id,
                user_id=user_id,
                created_at=NOW,
                expires_at=NOW + DAY,
                ended_at=None,
                agent="",
                remote="",
            )
            session.add(row)
        return Actor(user_id=user_id, session_id=session_id)

    async def change(self, kind: type[User] | type[ApiKeyRow], id_: str, **values: Any) -> None:
        async with self._office.database.write() as session:
            row = await session.get_one(kind, id_)
            for name, value in values.items():
                setattr(row, name, value)


@pytest.fixture
def desk(office: Office) -> Desk:
    return Desk(office)


def totals(replies: Sequence[Any]) -> list[int]:
    """How many requests each reply tells of."""
    return [reply.total.requests if isinstance(reply, UsageReport) else len(reply.requests) for reply in replies]


OWN = ("getUserUsage", "listRequests")
ALL = ("getAllUsage", "listAllRequests")


async def test_a_person_sees_their_own_whatever_ids_they_send(desk: Desk, used: dict[str, str]) -> None:
    ada = await desk.session(used["ada"])
    for method in OWN:
        asked: list[dict[str, str]] = [{}, {"user_id": used["ada"]}, {"api_key_id": used["work"]}]
        assert totals([await desk.ask(method, ada, **query) for query in asked]) == [5, 5, 2]
        others: list[dict[str, str]] = [
            {"user_id": used["bob"]},
            {"api_key_id": used["bobs"]},
            {"user_id": used["bob"], "api_key_id": used["bobs"]},
            {"user_id": "00000000-0000-0000-0000-000000000000"},
        ]
        assert totals([await desk.ask(method, ada, **query) for query in others]) == [0, 0, 0, 0]


async def test_a_key_sees_its_own_unless_it_manages_the_account(desk: Desk, used: dict[str, str]) -> None:
    by_key = Actor(user_id=used["ada"], key_id=used["work"])
    for method in OWN:
        assert totals([await desk.ask(method, by_key)]) == [2]
        assert totals([await desk.ask(method, by_key, api_key_id=used["home"])]) == [0]
    await desk.change(ApiKeyRow, used["work"], scopes=["usage", "account"])
    for method in OWN:
        assert totals([await desk.ask(method, by_key)]) == [5]


async def test_only_administrators_see_everybodys(desk: Desk, used: dict[str, str]) -> None:
    ada = await desk.session(used["ada"])
    for method in ALL:
        with pytest.raises(Forbidden):
            await desk.ask(method, ada)
    await desk.change(User, used["ada"], role="admin")
    for method in ALL:
        assert totals([await desk.ask(method, ada)]) == [6]
        assert totals([await desk.ask(method, ada, user_id=used["bob"])]) == [1]
        # A key of an administrator's is none, unless it says so.
        with pytest.raises(Forbidden):
            await desk.ask(method, Actor(user_id=used["ada"], key_id=used["work"]))


async def test_whoever_is_none_any_more_sees_nothing(desk: Desk, used: dict[str, str]) -> None:
    ada = await desk.session(used["ada"])
    strangers = [
        Actor(user_id=used["ada"]),
        Actor(user_id=used["ada"], key_id=used["bobs"]),
        Actor(user_id=used["bob"], session_id=ada.session_id),
        Actor(user_id="'; --", key_id="%"),
    ]
    await desk.change(ApiKeyRow, used["home"], is_active=False)
    strangers.append(Actor(user_id=used["ada"], key_id=used["home"]))
    for method in (*OWN, *ALL):
        for stranger in strangers:
            with pytest.raises(Unauthenticated):
                await desk.ask(method, stranger)
    await desk.change(User, used["ada"], is_active=False)
    for method in OWN:
        with pytest.raises(Unauthenticated):
            await desk.ask(method, ada)
