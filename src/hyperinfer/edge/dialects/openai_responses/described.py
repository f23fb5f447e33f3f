"""OpenAI's Responses API: how its route to models is described, and what there is to say of what is not kept."""

from starlette.responses import Response as HttpResponse

from hyperinfer.contracts.gateway import PROCESS_INFERENCE
from hyperinfer.contracts.method import PUBLIC
from hyperinfer.edge.dialects.openai.described import CACHE_HEADER
from hyperinfer.edge.dialects.openai_responses.answers import Response
from hyperinfer.edge.dialects.openai_responses.requests import ResponseRequest
from hyperinfer.edge.errors import ErrorEnvelope
from hyperinfer.edge.operations import EVENTS, JSON, Asked, Group, Operation
from hyperinfer.edge.request import CACHE
from hyperinfer.errors import NotFound

RESPONSES = "/v1/responses"


async def not_kept(asked: Asked) -> HttpResponse:
    """There is no response to be had a second time."""
    raise NotFound(f"There is no response {asked.path['id'][:64]!r}: responses are not kept here (store is false).")


def _of_one(verb: str, path: str, summary: str) -> Operation:
    return Operation(
        verb=verb,
        path=f"{RESPONSES}/{{id}}{path}",
        summary=f"{summary}: always 404, for nothing is kept here",
        access=PUBLIC,
        answer=not_kept,
        replies=(ErrorEnvelope,),
        status=404,
    )


GROUP = Group(
    "OpenAI Responses",
    (
        Operation(
            verb="POST",
            path=RESPONSES,
            summary="A response, whole or streamed; hanging up cancels it",
            access=PROCESS_INFERENCE.access,
            answer=None,
            body=ResponseRequest,
            headers={CACHE: CACHE_HEADER},
            replies=(Response,),
            media=(JSON, EVENTS),
            example={"model": "smollm2-135m", "input": "Say hello."},
        ),
        _of_one("GET", "", "An earlier response"),
        _of_one("DELETE", "", "Forget an earlier response"),
        _of_one("GET", "/input_items", "What an earlier response answered"),
        _of_one("POST", "/cancel", "Cancel a response in the background"),
    ),
)
