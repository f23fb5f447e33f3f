"""Reports by the clock: each made once and kept, sent once to a real mail server, and tried again while somebody is away."""

import asyncio
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hyperinfer.contracts.method import NO_META, Nothing
from hyperinfer.contracts.metrics import LIST_ALERTS, History, Series, at_metrics
from hyperinfer.contracts.reports import LIST_REPORTS, READ_REPORT, Form, ReadReport, SumUsage, UsageSummary
from hyperinfer.errors import BadRequest, ConfigError, Unavailable
from hyperinfer.facilities.mail import Mailer, MailSettings
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.gateway import FakeGateway
from hyperinfer.testing.servers.mail import MailServer
from hyperinfer.workers.metrics.reports import kept as shelf_module
from hyperinfer.workers.metrics.reports import schedule as schedule_module
from hyperinfer.workers.metrics.reports.config import ReportSettings
from hyperinfer.workers.metrics.reports.kept import Shelf
from hyperinfer.workers.metrics.reports.making import Maker
from hyperinfer.workers.metrics.reports.methods import report_routes
from hyperinfer.workers.metrics.reports.periods import Period, day_of, week_of
from hyperinfer.workers.metrics.reports.presence import shares
from hyperinfer.workers.metrics.reports.schedule import FIRST_RETRY_S, LAST_RETRY_S, LOOK_EVERY_S, Schedule

from .samples import FRIDAY, GPU, LAPTOP, summary

DAY_S = 86_400.0
EVENING = datetime(2026, 11, 20, 20, tzinfo=UTC)
TO = ("Boss <boss@example.org>", "ops@example.org")


@dataclass
class Office:
    """A metrics worker's reports: auth with figures of every day, unless `away`; a clock; and the folder."""

    folder: Path
    settings: ReportSettings = field(default_factory=lambda: ReportSettings(to=TO))
    clock: ManualClock = field(default_factory=lambda: ManualClock(EVENING))
    mailer: Mailer | None = None
    away: bool = False
    sums: list[SumUsage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.folder)
        self.maker = Maker(FakeGateway(sumUsage=self._sum), clock=self.clock, names=lambda: {GPU: "gpu-box"})
        self.schedule = self.started_again()

    def started_again(self) -> Schedule:
        """A schedule that begins with what is in the folder."""
        self.shelf = Shelf(self.folder)
        self.schedule = Schedule(self.shelf, self.maker, settings=self.settings, post=self.mailer, clock=self.clock)
        return self.schedule

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.shelf.all]

    async def after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.schedule.look()

    async def _sum(self, request: SumUsage, _meta: Any, _sink: Any) -> UsageSummary:
        self.sums.append(request)
        if self.away:
            raise Unavailable("Nobody answers.")
        days = (request.until - request.since).days + 1
        return summary(day_of(request.since) if days == 1 else week_of(request.since))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "reports")


@asynccontextmanager
async def mailing(folder: Path, **settings: Any) -> AsyncIterator[tuple[Office, MailServer]]:
    async with MailServer.running() as server:
        mail = MailSettings(host="127.0.0.1", port=server.port, security="none", sender="hyperinfer@example.org")
        office = Office(folder, mailer=Mailer(mail), settings=ReportSettings(**{"to": TO, "weekly": False, **settings}))
        await office.schedule.look()
        yield office, server


async def test_a_new_worker_makes_nothing_of_before_it_was_there(office: Office) -> None:
    await office.schedule.look()
    await office.after(4 * 3600)  # midnight, and no later
    assert (office.names, office.sums) == ([], [])


async def test_a_report_is_made_when_it_is_due_and_once(office: Office) -> None:
    await office.schedule.look()
    await office.after(4 * 3600 + 600)
    assert office.names == ["usage-2026-11-20"]
    for _ in range(3):
        await office.after(60)
    assert office.sums == [SumUsage(since=FRIDAY, until=FRIDAY)]
    await office.started_again().look()
    assert len(office.sums) == 1


async def test_what_was_missed_is_made_up_a_week_far(office: Office) -> None:
    await office.schedule.look()
    office.clock.advance(20 * DAY_S)
    await office.started_again().look()
    assert office.names == [
        *(f"usage-2026-12-0{day}" for day in (9, 8, 7)),
        "usage-2026-W49",
        *(f"usage-2026-12-0{day}" for day in (6, 5, 4, 3)),
    ]


async def test_while_auth_is_away_it_is_asked_less_and_less_and_the_report_is_made_in_the_end(office: Office) -> None:
    await office.schedule.look()
    office.clock.advance(4 * 3600 + 600)
    office.away = True
    with capture_logs() as lines:
        for _ in range(int(6 * 3600 / LOOK_EVERY_S)):
            await office.after(LOOK_EVERY_S)
    assert 5 < len(office.sums) < 15
    told = [(line["log_level"], line["event"]) for line in lines]
    assert told[:3] == [("info", "reports_not_made")] * 2 + [("warning", "reports_not_made")]
    assert lines[0]["again_in_s"] == FIRST_RETRY_S
    office.away = False
    await office.after(LAST_RETRY_S)
    assert office.names == ["usage-2026-11-20"]


async def test_run_looks_now_and_again(office: Office) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(office.schedule.run())
        while not office.names:
            office.clock.advance(3600)
            await asyncio.sleep(0.001)  # the folder is written in a thread
        running.cancel()
    assert office.names == ["usage-2026-11-20"]


async def test_reports_are_the_owners_alone_and_the_same_after_a_restart(office: Office) -> None:
    await office.schedule.look()
    await office.after(DAY_S)
    before = {form: await office.shelf.text("usage-2026-11-20", form) for form in ("html", "csv", "text")}
    await office.started_again().look()
    after = {form: await office.shelf.text("usage-2026-11-20", form) for form in ("html", "csv", "text")}
    assert before == after
    assert [one.requests for one in office.shelf.all] == [1234]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in office.folder.iterdir()}
    assert (modes, stat.S_IMODE(office.folder.stat().st_mode)) == ({0o600}, 0o700)


async def test_a_report_that_was_cut_off_is_made_again(office: Office) -> None:
    await office.schedule.look()
    await office.after(DAY_S)
    (office.folder / "usage-2026-11-20.json").write_text("{")
    await office.started_again().look()
    assert office.names == ["usage-2026-11-20"]
    assert len(office.sums) == 2


async def test_old_reports_go_and_nothing_of_them_stays(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.settings = ReportSettings(keep_days=3, weekly=False)
    await office.started_again().look()
    for _ in range(8):
        await office.after(DAY_S)
    assert office.names == ["usage-2026-11-27", "usage-2026-11-26", "usage-2026-11-25"]
    assert len(office.sums) == 8
    monkeypatch.setattr(shelf_module, "MAX_KEPT", 1)
    await office.after(60)
    assert sorted(path.name for path in office.folder.iterdir()) == [
        "begun",
        *(f"usage-2026-11-27.{end}" for end in ("csv", "html", "json", "txt")),
    ]


async def test_a_folder_that_cannot_be_used_is_tried_again(office: Office) -> None:
    office.folder.write_text("in the way")
    with capture_logs() as lines:
        await office.schedule.look()
    assert lines[0]["event"] == "reports_not_made"
    office.folder.unlink()
    await office.after(FIRST_RETRY_S)
    assert office.shelf.begun == FRIDAY


# --- mail --------------------------------------------------------------------------------------------------------


async def test_a_report_is_mailed_once_as_page_text_and_table(tmp_path: Path) -> None:
    async with mailing(tmp_path) as (office, server):
        await office.after(DAY_S)
        await office.after(LOOK_EVERY_S)
        await office.started_again().look()
        [mail] = server.mails
    assert server.recipients == [["boss@example.org", "ops@example.org"]]
    assert mail["Subject"] == "hyperinfer usage: Friday, 20 November 2026"
    assert "<!doctype html>" in mail.get_body(("html",)).get_content()  # type: ignore[union-attr]  # it has one
    assert "llama3.1:70b" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]  # as above
    [table] = mail.iter_attachments()
    assert table.get_filename() == "usage-2026-11-20.csv"
    assert table.get_content().startswith("day,user,")
    assert [one.row.mailed_at for one in office.shelf.all] == ["2026-11-21T20:00:00Z"]


async def test_a_table_that_no_mail_server_would_take_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_module, "MAX_ATTACHED_BYTES", 100)
    async with mailing(tmp_path) as (office, server):
        await office.after(DAY_S)
    assert [list(mail.iter_attachments()) for mail in server.mails] == [[]]


async def test_nothing_is_mailed_where_nobody_is_to_get_it(tmp_path: Path) -> None:
    async with mailing(tmp_path, to=()) as (office, server):
        await office.after(DAY_S)
    assert (server.mails, [one.post for one in office.shelf.all]) == ([], ["none"])


async def test_a_server_that_asks_to_wait_is_asked_again_and_one_mail_is_sent(tmp_path: Path) -> None:
    async with mailing(tmp_path) as (office, server):
        server.answers = ["451 later"] * 2
        await office.after(DAY_S)
        assert [one.post for one in office.shelf.all] == ["waiting"]
        await office.after(FIRST_RETRY_S)
        await office.started_again().look()  # a restart in between changes nothing
    assert len(server.mails) == 1
    assert [one.post for one in office.shelf.all] == ["sent"]


async def test_a_refusal_is_told_and_keeps_nothing_back(tmp_path: Path) -> None:
    async with mailing(tmp_path) as (office, server):
        server.answers = ["550 no"]
        with capture_logs() as lines:
            await office.after(2 * DAY_S)
    assert [one.post for one in office.shelf.all] == ["sent", "failed"]
    assert len(server.mails) == 1
    [told] = [line for line in lines if line["event"] == "report_not_mailed"]
    assert (told["log_level"], told["report"]) == ("error", "usage-2026-11-20")
    assert "example.org" not in str(lines)


async def test_after_a_day_it_is_given_up(tmp_path: Path) -> None:
    async with mailing(tmp_path) as (office, server):
        server.answers = ["451 later"] * 1000
        await office.after(DAY_S)
        for _ in range(27):
            await office.after(LAST_RETRY_S)
    assert "failed" in [one.post for one in office.shelf.all]
    assert server.mails == []


def test_a_mail_server_that_cannot_be_meant_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"mail\.sender"):
        Mailer(MailSettings(host="mail.example.org"))


# --- reading -----------------------------------------------------------------------------------------------------


async def read(office: Office, name: str, form: Form = "text") -> str:
    [_, reading] = report_routes(office.shelf, office.maker)
    call = Call(caller=b"", roles=frozenset({"gateway"}), meta=NO_META, deadline=1e9)
    return str((await reading.handler(ReadReport(name=name, form=form), call)).text)


def test_reports_are_read_by_way_of_gateways_alone(office: Office) -> None:
    assert [(route.method.name, route.method.access) for route in report_routes(office.shelf, office.maker)] == [
        (method.name, at_metrics(LIST_ALERTS).access) for method in (LIST_REPORTS, READ_REPORT)
    ]


async def test_a_list_of_what_is_kept(office: Office) -> None:
    await office.schedule.look()
    await office.after(3 * DAY_S)
    [listing, _] = report_routes(office.shelf, office.maker)
    call = Call(caller=b"", roles=frozenset({"gateway"}), meta=NO_META, deadline=1e9)
    rows = (await listing.handler(Nothing(), call)).reports
    assert [(row.name, row.kind, row.requests) for row in rows] == [
        ("usage-2026-W47", "weekly", 8638),
        ("usage-2026-11-22", "daily", 1234),
        ("usage-2026-11-21", "daily", 1234),
        ("usage-2026-11-20", "daily", 1234),
    ]


async def test_what_is_not_kept_is_made_and_not_twice_within_a_moment(office: Office) -> None:
    await office.schedule.look()
    assert "So far: it is 2026-11-20 20:00 UTC." in await read(office, "usage-2026-11-20")
    assert (await read(office, "usage-2026-11-20", "csv")).startswith("day,")
    assert len(office.sums) == 1
    office.clock.advance(31)
    assert "20:00 UTC" in await read(office, "usage-2026-11-20")
    assert "Week 1, 29 December 2025" in await read(office, "usage-2026-W01")
    assert len(office.sums) == 3
    assert office.names == []


async def test_what_is_kept_is_read_while_auth_is_away(office: Office) -> None:
    await office.schedule.look()
    await office.after(DAY_S)
    office.away = True
    assert "Friday, 20 November 2026" in await read(office, "usage-2026-11-20")
    with pytest.raises(Unavailable, match="Auth"):
        await read(office, "usage-2026-11-19")


async def test_what_has_not_begun_is_refused(office: Office) -> None:
    await office.schedule.look()
    with pytest.raises(BadRequest, match="not begun"):
        await read(office, "usage-2026-11-21")


# --- who was there -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({GPU: (1.0, 1.0, 1.0, 1.0), LAPTOP: (1.0, None, None, 1.0)}, {GPU: 1.0, LAPTOP: 0.5}),
        # While nobody was seen, nobody watched.
        ({GPU: (None, 1.0, None, 1.0), LAPTOP: (None, 1.0, None, None)}, {GPU: 1.0, LAPTOP: 0.5}),
        ({GPU: (None, None, None, None)}, {}),
        ({}, {}),
    ],
)
def test_who_was_there_for_how_long(
    values: Mapping[str, tuple[float | None, ...]], expected: Mapping[str, float]
) -> None:
    end = day_of(FRIDAY).ends
    # One step more than the period has: what came after it is none of its.
    series = tuple(Series("memory_bytes", worker, "", (*row, 1.0)) for worker, row in values.items())
    history = History(start=(end - timedelta(seconds=240)).timestamp(), step_s=60, series=series)
    assert shares(history, end=end.timestamp()) == expected


def test_a_period_is_from_midnight_to_midnight() -> None:
    period: Period = week_of(FRIDAY)
    assert (period.begins, period.ends) == (datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
