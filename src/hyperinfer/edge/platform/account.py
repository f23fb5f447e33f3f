"""The caller's own account: `/api/me`."""

from typing import Any

from starlette.responses import Response

from hyperinfer.contracts import people
from hyperinfer.contracts.method import Nothing
from hyperinfer.edge.downloads import attachment
from hyperinfer.edge.operations import Asked, Group, Operation, passing_on
from hyperinfer.edge.platform.sessions import forget_cookie

FILE = "hyperinfer-account.json"


async def export(asked: Asked) -> Response:
    """All that is kept of the caller, as a file."""
    reply = await asked.call(people.EXPORT_ACCOUNT, Nothing())
    return Response(bytes(reply.document), media_type="application/json", headers=attachment(FILE))


GROUP = Group(
    "Your account",
    (
        passing_on("GET", "/api/me", people.GET_ACCOUNT, "Your account"),
        passing_on(
            "PATCH",
            "/api/me",
            people.UPDATE_ACCOUNT,
            "Change your name or e-mail; a new e-mail takes the password",
            example={"username": "ada"},
        ),
        passing_on(
            "DELETE",
            "/api/me",
            people.DELETE_ACCOUNT,
            "Delete your account with everything that names you",
            then=forget_cookie,
            example={"password": "correct horse battery"},
        ),
        Operation(
            verb="GET",
            path="/api/me/export",
            summary="Download all that is kept of you",
            access=people.EXPORT_ACCOUNT.access,
            answer=export,
            replies=(dict[str, Any],),
        ),
    ),
)
