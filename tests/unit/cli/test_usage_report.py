"""`hyperinfer usage report`: which one is asked for, and where it goes."""

import json
import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from hyperinfer.cli.usage_report import name_of
from hyperinfer.contracts import people, reports
from hyperinfer.errors import Forbidden
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Command

AT = "2026-11-23T00:10:00Z"
ROW = reports.ReportRow(
    name="usage-2026-W47",
    kind="weekly",
    since=date(2026, 11, 16),
    until=date(2026, 11, 22),
    made_at=AT,
    requests=1234,
    total_tokens=5_000_000,
)
ADMIN = people.Account(id="1", username="ada", email="ada@example.com", role="admin", tier="default", created_at=AT)


async def read(request: reports.ReadReport, meta: object, sink: object) -> reports.ReportText:
    return reports.ReportText(name=request.name, form=request.form, text=f"{request.form} of {request.name}\r\n€\n")


@pytest.fixture
def gateway(gateway: FakeGateway) -> FakeGateway:
    gateway.answers |= {
        "listReports": always(reports.ReportRows(reports=(ROW,))),
        "readReport": read,
        "getAccount": always(ADMIN),
    }
    return gateway


@pytest.mark.parametrize(
    ("day", "weekly", "name"),
    [
        (None, False, "usage-2026-11-22"),
        (date(2026, 11, 20), False, "usage-2026-11-20"),
        (None, True, "usage-2026-W47"),
        (date(2026, 11, 23), True, "usage-2026-W48"),
        (date(2027, 1, 1), True, "usage-2026-W53"),
    ],
)
def test_which_report_is_meant(day: date | None, weekly: bool, name: str) -> None:
    assert name_of(day, weekly=weekly, today=date(2026, 11, 23)) == name


def test_yesterdays_is_read_here(command: Command, url: str) -> None:
    done = command("usage", "report")
    assert (done.code, done.out) == (0, f"text of usage-{datetime.now(UTC).date() - timedelta(days=1)}\r\n€\n")


def test_it_is_saved_for_its_owner_alone(command: Command, url: str, home: Path) -> None:
    page, table = home / "report.html", home / "report.csv"
    done = command("usage", "report", "usage-2026-W47", "--html", str(page), "--csv", str(table))
    assert (done.code, done.out) == (0, "")
    assert page.read_bytes().decode() == "html of usage-2026-W47\r\n€\n"
    assert table.read_bytes().decode() == "csv of usage-2026-W47\r\n€\n"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (page, table)} == {0o600}


def test_it_is_printed_for_a_pipe(command: Command, url: str) -> None:
    assert command("usage", "report", "--day", "2026-11-20", "--csv", "-").out == "csv of usage-2026-11-20\r\n€\n"


def test_a_file_that_cannot_be_written_is_said(command: Command, url: str) -> None:
    done = command("usage", "report", "--csv", "/proc/no/such.csv")
    assert (done.code, "Cannot write /proc/no/such.csv" in done.err) == (1, True)


def test_those_that_are_kept(command: Command, url: str) -> None:
    done = command("usage", "report", "--list")
    assert (done.code, "usage-2026-W47" in done.out, "1,234" in done.out or "1234" in done.out) == (0, True, True)
    [one] = json.loads(command("usage", "report", "--list", "--json").out)
    assert (one["name"], one["mailed_at"]) == ("usage-2026-W47", None)


def test_none_yet(command: Command, url: str, gateway: FakeGateway) -> None:
    gateway.answers["listReports"] = always(reports.ReportRows())
    assert "no report yet" in command("usage", "report", "--list").err


@pytest.mark.parametrize(
    "options",
    [
        ("usage-2026-W47", "--weekly"),
        ("usage-2026-W47", "--day", "2026-11-20"),
        ("--json",),
        ("--csv", "x", "--html", "x"),
        ("--day", "tomorrow"),
    ],
)
def test_what_does_not_go_together(command: Command, url: str, options: tuple[str, ...]) -> None:
    assert command("usage", "report", *options).code == 2


def test_it_is_for_administrators(command: Command, url: str, gateway: FakeGateway) -> None:
    gateway.answers["readReport"] = always(Forbidden("This is for administrators."))
    done = command("usage", "report")
    assert (done.code, "administrators" in done.err) == (1, True)
