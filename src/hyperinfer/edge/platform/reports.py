"""Usage reports for administrators: `/api/admin/reports`."""

from starlette.responses import Response

from hyperinfer.contracts.reports import LIST_REPORTS, READ_REPORT, Form, ReadReport
from hyperinfer.edge.downloads import CSV, attachment
from hyperinfer.edge.operations import Asked, Group, Operation, passing_on, wanted
from hyperinfer.edge.shapes import shape_of

REPORTS = "/api/admin/reports"
HTML = "text/html"
TEXT = "text/plain"
MEDIA: dict[Form, str] = {"html": HTML, "csv": CSV, "text": TEXT}
ENDINGS: dict[Form, str] = {"html": "html", "csv": "csv", "text": "txt"}
MAKE_TIMEOUT_S = 300.0
"""How long one may take that is made when it is asked for."""


async def read(asked: Asked) -> Response:
    """A report to be saved: shown as a page of ours it would be one, names that strangers chose and all."""
    form = _form(asked)
    report = await asked.call(READ_REPORT, wanted(ReadReport, asked, form=form), timeout_s=MAKE_TIMEOUT_S)
    return Response(report.text, media_type=MEDIA[form], headers=attachment(f"{report.name}.{ENDINGS[form]}"))


def _form(asked: Asked) -> Form:
    """By `format`, else the first that the `Accept` header names."""
    chosen: Form | None = getattr(asked.query, "format", None)
    if chosen is not None:
        return chosen
    by_media = {media: form for form, media in MEDIA.items()}
    accepted = (part.partition(";")[0].strip().lower() for part in asked.accept.split(","))
    return next((by_media[media] for media in accepted if media in by_media), "html")


GROUP = Group(
    "Reports",
    (
        passing_on("GET", REPORTS, LIST_REPORTS, "Usage reports that are kept, newest first", rows="reports"),
        Operation(
            verb="GET",
            path=REPORTS + "/{name}",
            summary="The usage report of a day (`usage-2026-11-20`) or a week (`usage-2026-W47`), to be saved",
            access=READ_REPORT.access,
            answer=read,
            query=shape_of("ReportInUrl", None, optional={"format": Form}),
            media=(HTML, CSV, TEXT),
        ),
    ),
)
