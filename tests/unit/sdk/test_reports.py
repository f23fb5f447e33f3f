"""Usage reports by the client library, against the real edge."""

from datetime import UTC, date, datetime

import pytest

from hyperinfer.contracts import reports
from hyperinfer.errors import BadRequest
from hyperinfer.testing.gateway import FakeGateway, always
from hyperinfer.testing.reach import Reach

ROW = reports.ReportRow(
    name="usage-2026-W47",
    kind="weekly",
    since=date(2026, 11, 16),
    until=date(2026, 11, 22),
    made_at="2026-11-23T00:10:00Z",
    requests=3,
    total_tokens=12,
)


async def test_those_that_are_kept(reach: Reach) -> None:
    with reach(FakeGateway(listReports=always(reports.ReportRows(reports=(ROW,))))) as way:
        async with way.client() as client:
            [one] = await client.admin.reports.list()
    assert (one.name, one.since, one.made_at) == (ROW.name, ROW.since, datetime(2026, 11, 23, 0, 10, tzinfo=UTC))
    assert one.mailed_at is None


async def test_one_in_a_form(reach: Reach) -> None:
    fake = FakeGateway(
        readReport=always(reports.ReportText(name=ROW.name, form="csv", text="day,user\r\n\N{EURO SIGN}"))
    )
    with reach(fake) as way:
        async with way.client() as client:
            assert await client.admin.reports.read(ROW.name, form="csv") == "day,user\r\n\N{EURO SIGN}"
    assert [request for _, request, _ in fake.calls] == [reports.ReadReport(name=ROW.name, form="csv")]


def test_without_asyncio(reach: Reach) -> None:
    with (
        reach(FakeGateway(readReport=always(reports.ReportText(name=ROW.name, form="html", text="<p>")))) as way,
        way.blocking() as client,
    ):
        assert client.admin.reports.read(ROW.name) == "<p>"


async def test_a_name_that_is_none_goes_nowhere(reach: Reach) -> None:
    fake = FakeGateway()
    with reach(fake) as way:
        async with way.client() as client:
            with pytest.raises(BadRequest):
                await client.admin.reports.read("../users")
    assert fake.calls == []
