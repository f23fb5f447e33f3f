"""OpenAI's Responses API: how its route to models is described, and what there is to say of what is not kept."""

from typing import Literal

from msgspec import Raw, Struct
from starlette.responses import Response as HttpResponse

from hyperinfer.contracts.gateway import COUNT_TOKENS, PROCESS_INFERENCE, CountTokens
from hyperinfer.contracts.method import PUBLIC
from hyperinfer.edge.dialects.openai.described import CACHE_HEADER
from hyperinfer.edge.dialects.openai_responses.answers import Response
from hyperinfer.edge.dialects.openai_responses.errors import reworded
from hyperinfer.edge.dialects.openai_responses.reading import chat_in
from hyperinfer.edge.dialects.openai_responses.requests import ResponseRequest
from hyperinfer.edge.errors import ErrorEnvelope
from hyperinfer.edge.operations import EVENTS, JSON, Asked, Group, Operation
from hyperinfer.edge.request import CACHE
from hyperinfer.edge.responses import json_response
from hyperinfer.errors import HyperinferError, NotFound

RESPONSES = "/v1/responses"
EXAMPLE = {"model": "smollm2-135m", "input": "Say hello."}


class InputTokens(Struct, frozen=True):
    """How many tokens an input has, with all that goes to the model beside it."""

    input_tokens: int
    object: Literal["response.input_tokens"] = "response.input_tokens"


async def count_input(asked: Asked) -> HttpResponse:
    """How many tokens the input of a request has."""
    chat, conversation = chat_in(asked.body)
    try:
        counted = await asked.call(COUNT_TOKENS, CountTokens(body=Raw(chat)))
    except HyperinferError as error:
        raise reworded(conversation.origins)(error) from None
    return json_response(InputTokens(counted.prompt_tokens))


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
            example=EXAMPLE,
        ),
        Operation(
            verb="POST",
            path=f"{RESPONSES}/input_tokens",
            summary="How many tokens an input has; asks no model",
            access=COUNT_TOKENS.access,
            answer=count_input,
            body=ResponseRequest,
            replies=(InputTokens,),
            example=EXAMPLE,
        ),
        _of_one("GET", "", "An earlier response"),
        _of_one("DELETE", "", "Forget an earlier response"),
        _of_one("GET", "/input_items", "What an earlier response answered"),
        _of_one("POST", "/cancel", "Cancel a response in the background"),
    ),
)
