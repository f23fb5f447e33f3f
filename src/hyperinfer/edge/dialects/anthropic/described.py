"""Anthropic's routes as they are described, and those that ask no model: how many tokens a prompt has, and which models there are."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from starlette.responses import Response

from hyperinfer.contracts.gateway import COUNT_TOKENS, LIST_MODELS, PROCESS_INFERENCE, CountTokens, PublicModel
from hyperinfer.contracts.method import Nothing
from hyperinfer.edge.dialects.anthropic import chat, errors
from hyperinfer.edge.dialects.anthropic.answers import MessageReply
from hyperinfer.edge.dialects.anthropic.conversation import told
from hyperinfer.edge.dialects.anthropic.requests import CountTokensRequest, MessagesRequest
from hyperinfer.edge.operations import EVENTS, JSON, Asked, Group, Operation
from hyperinfer.edge.responses import json_response
from hyperinfer.errors import HyperinferError, ModelNotFound

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
VERSION = "anthropic-version"
"""Every request of Anthropic's clients has this header; it tells them from OpenAI's where they share a path."""


class TokenCount(Struct, frozen=True):
    """Tokens of a prompt."""

    input_tokens: int


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A model that answers now, or an alias of some. `created_at` is when this gateway first saw it."""

    id: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: str
    lifecycle: Literal["active"] = "active"
    max_input_tokens: int | None


class ModelPage(Struct, frozen=True, kw_only=True):
    """Some of the models, by name."""

    data: tuple[ModelInfo, ...]
    has_more: bool
    first_id: str | None
    last_id: str | None


class PageQuery(Struct, frozen=True, kw_only=True):
    """Which of them: `limit` at most, after or before one."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 20
    after_id: str | None = None
    before_id: str | None = None


async def count_tokens(asked: Asked) -> Response:
    """How many tokens a prompt has."""
    request: CountTokensRequest = asked.body
    chat.check(request)
    conversation = told(request.system, request.messages)
    body = chat.body(chat.prompt(request, conversation))
    try:
        counted = await asked.call(COUNT_TOKENS, CountTokens(body=body))
    except HyperinferError as error:
        raise errors.reworded(conversation.places)(error) from None
    return json_response(TokenCount(counted.prompt_tokens))


async def list_models(asked: Asked) -> Response:
    """The models that answer now."""
    query: PageQuery = asked.query
    return json_response(page(await _models(asked), query))


async def get_model(asked: Asked) -> Response:
    """One model."""
    wanted = asked.path["id"]
    for model in await _models(asked):
        if model.id == wanted:
            return json_response(_shown(model))
    raise ModelNotFound(f"No worker of this swarm has the model {wanted[:200]!r}.", model=wanted[:200])


def page(models: Sequence[PublicModel], query: PageQuery) -> ModelPage:
    """A page of the models, which are sorted by name."""
    after, before = query.after_id, query.before_id
    between = [model for model in models if (not after or model.id > after) and (not before or model.id < before)]
    backwards = before is not None and after is None
    shown = between[-query.limit :] if backwards else between[: query.limit]
    return ModelPage(
        data=tuple(map(_shown, shown)),
        has_more=len(shown) < len(between),
        first_id=shown[0].id if shown else None,
        last_id=shown[-1].id if shown else None,
    )


async def _models(asked: Asked) -> Sequence[PublicModel]:
    return (await asked.call(LIST_MODELS, Nothing())).models


def _shown(model: PublicModel) -> ModelInfo:
    return ModelInfo(
        id=model.id,
        display_name=model.id,
        created_at=datetime.fromtimestamp(model.created, UTC).isoformat().replace("+00:00", "Z"),
        max_input_tokens=model.context_tokens or None,
    )


EXAMPLE: dict[str, Any] = {
    "model": "smollm2-135m",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Say hello."}],
}
GROUP = Group(
    "Anthropic",
    (
        Operation(
            verb="POST",
            path=MESSAGES,
            summary="A message, whole or streamed; hanging up cancels it",
            access=PROCESS_INFERENCE.access,
            answer=None,
            body=MessagesRequest,
            replies=(MessageReply,),
            media=(JSON, EVENTS),
            example=EXAMPLE,
        ),
        Operation(
            verb="POST",
            path=COUNT,
            summary="How many tokens a prompt has; asks no model",
            access=COUNT_TOKENS.access,
            answer=count_tokens,
            body=CountTokensRequest,
            replies=(TokenCount,),
            example={name: EXAMPLE[name] for name in ("model", "messages")},
        ),
        Operation(
            verb="GET",
            path="/v1/models",
            summary="The same in Anthropic's shape, for requests with the header `anthropic-version`",
            access=LIST_MODELS.access,
            answer=list_models,
            query=PageQuery,
            replies=(ModelPage,),
            when=VERSION,
        ),
        Operation(
            verb="GET",
            path="/v1/models/{id:path}",
            summary="The same in Anthropic's shape, for requests with the header `anthropic-version`",
            access=LIST_MODELS.access,
            answer=get_model,
            replies=(ModelInfo,),
            when=VERSION,
        ),
    ),
    error=errors.ErrorReply,
)
