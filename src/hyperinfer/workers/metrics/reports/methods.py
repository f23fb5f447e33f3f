"""The metrics worker's methods on reports: gateways pass on what administrators ask."""

from collections.abc import Sequence

from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.metrics import at_metrics
from hyperinfer.contracts.reports import LIST_REPORTS, READ_REPORT, ReadReport, ReportRows, ReportText
from hyperinfer.errors import DeadlineExceeded, Unavailable
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.metrics.reports.kept import Shelf
from hyperinfer.workers.metrics.reports.making import Maker
from hyperinfer.workers.metrics.reports.periods import named


def report_routes(shelf: Shelf, maker: Maker) -> Sequence[Route]:
    """`listReports`, `readReport`."""

    async def listed(_request: Nothing, _call: Call) -> ReportRows:
        return ReportRows(reports=tuple(one.row for one in shelf.all))

    async def read(request: ReadReport, call: Call) -> ReportText:
        period = named(request.name)
        # A week has one number in all of the year, the days around New Year included: its name is what the calendar says.
        if shelf.get(period.name) is not None:
            text = await shelf.text(period.name, request.form)
        else:
            try:
                text = (await maker.made_lately(period)).texts[request.form]
            except (Unavailable, DeadlineExceeded) as error:
                raise Unavailable("Auth, which has the figures, cannot be reached now. Try again shortly.") from error
        call.note(report=period.name, form=request.form)
        return ReportText(name=period.name, form=request.form, text=text)

    return (route(at_metrics(LIST_REPORTS), listed), route(at_metrics(READ_REPORT), read))
