"""Usage reports by HTTP: in the form that was asked for, and saved rather than shown."""

import pytest

from hyperinfer.contracts.reports import ReadReport, ReportText
from hyperinfer.errors import Unavailable

from .conftest import Serve
from .samples import KEY, gateway_of

URL = "/api/admin/reports/usage-2026-W47"


@pytest.mark.parametrize(
    ("query", "accept", "form", "media", "ending"),
    [
        ("", "*/*", "html", "text/html", "html"),
        ("?format=csv", "text/html", "csv", "text/csv", "csv"),
        ("?format=text", "*/*", "text", "text/plain", "txt"),
        ("", "image/png, text/csv;q=0.9", "csv", "text/csv", "csv"),
    ],
)
async def test_a_report_comes_in_the_form_that_is_wanted(
    serve: Serve, query: str, accept: str, form: str, media: str, ending: str
) -> None:
    gateway = gateway_of(readReport=ReportText(name="usage-2026-W47", form="html", text="<b>\N{EURO SIGN}</b>"))
    client = await serve(gateway)
    async with client.get(URL + query, headers=KEY | {"Accept": accept}) as answer:
        assert (answer.status, answer.content_type, answer.charset) == (200, media, "utf-8")
        assert answer.headers["content-disposition"] == f'attachment; filename="usage-2026-W47.{ending}"'
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert await answer.text() == "<b>\N{EURO SIGN}</b>"
    assert [request for _, request, _ in gateway.calls] == [ReadReport(name="usage-2026-W47", form=form)]  # type: ignore[arg-type]  # from the table


@pytest.mark.parametrize("url", [URL + "?format=pdf", "/api/admin/reports/usage-2026", "/api/admin/reports/..%2fbegun"])
async def test_what_is_no_report_is_never_asked_for(serve: Serve, url: str) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.get(url, headers=KEY) as answer:
        assert answer.status in (400, 404)
    assert gateway.calls == []


async def test_without_a_metrics_worker_it_says_so(serve: Serve) -> None:
    client = await serve(gateway_of(readReport=Unavailable("No metrics worker of this swarm can be reached.")))
    async with client.get(URL, headers=KEY) as answer:
        assert answer.status == 503
        assert "metrics worker" in (await answer.json())["error"]["message"]
