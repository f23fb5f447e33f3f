"""The OpenAI API's list of models, and how its routes to them are described."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from starlette.responses import Response

from hyperinfer.contracts.gateway import LIST_MODELS, PROCESS_INFERENCE, PublicModel
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.openai import (
    ChatRequest,
    Completion,
    CompletionRequest,
    EmbeddingRequest,
    Embeddings,
    TextCompletion,
)
from hyperinfer.edge.dialects.openai.passed_on import CHAT, COMPLETIONS, EMBEDDINGS
from hyperinfer.edge.operations import EVENTS, JSON, Asked, Body, Group, Operation
from hyperinfer.edge.request import CACHE
from hyperinfer.edge.responses import json_response
from hyperinfer.edge.shapes import Shape, shape_of
from hyperinfer.errors import ModelNotFound
from hyperinfer.protocol.model_names import find, near

MAX_NAME_CHARS = 200
"""What is repeated of a name that nothing has."""


class Model(Body, frozen=True, kw_only=True):
    """A model that answers now, or an alias of some. `created` is when this gateway first saw it, in seconds since the epoch."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["hyperinfer"] = "hyperinfer"


CACHE_HEADER = {
    "description": "Whether the answer may come from, and go to, a response cache; left out, the workers' settings decide.",
    "schema": {"type": "string", "enum": ["on", "off"]},
}

MODELS: Shape = shape_of("ModelList", "Models by name.", object=Literal["list"], data=tuple[Model, ...])


async def list_models(asked: Asked) -> Response:
    """Every model that the swarm serves now."""
    return json_response({"object": "list", "data": [_shown(model) for model in await _models(asked)]})


async def get_model(asked: Asked) -> Response:
    """One model, by any name by which a request finds it."""
    wanted = asked.path["id"]
    models = {model.id: model for model in await _models(asked)}
    name = find(wanted, models)
    if name is not None:
        return json_response(_shown(models[name]))
    close = near(wanted[:MAX_NAME_CHARS], models)
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    raise ModelNotFound(
        f"No worker of this swarm has the model {wanted[:MAX_NAME_CHARS]!r}.{meant}", model=wanted[:MAX_NAME_CHARS]
    )


async def _models(asked: Asked) -> Sequence[PublicModel]:
    return (await asked.call(LIST_MODELS, Nothing())).models


def _shown(model: PublicModel) -> Model:
    return Model(id=model.id, created=model.created)


def _to_model(
    path: str,
    summary: str,
    *,
    body: type[msgspec.Struct],
    reply: type[msgspec.Struct],
    example: dict[str, Any],
    media: Sequence[str] = (JSON, EVENTS),
) -> Operation:
    return Operation(
        verb="POST",
        path=path,
        summary=summary,
        access=PROCESS_INFERENCE.access,
        answer=None,
        body=body,
        headers={CACHE: CACHE_HEADER},
        replies=(reply,),
        media=media,
        example=example,
    )


GROUP = Group(
    "OpenAI",
    (
        _to_model(
            CHAT,
            "Chat, whole or streamed; hanging up cancels it",
            body=ChatRequest,
            reply=Completion,
            example={"model": "smollm2-135m", "messages": [{"role": "user", "content": "Say hello."}]},
        ),
        _to_model(
            COMPLETIONS,
            "Go on with texts, whole or streamed; hanging up cancels it",
            body=CompletionRequest,
            reply=TextCompletion,
            example={"model": "smollm2-135m", "prompt": "The capital of France is", "max_tokens": 5},
        ),
        _to_model(
            EMBEDDINGS,
            "Embed texts",
            body=EmbeddingRequest,
            reply=Embeddings,
            example={"model": "all-minilm-l6-v2", "input": ["one text", "another"]},
            media=(JSON,),
        ),
        Operation(
            verb="GET",
            path="/v1/models",
            summary="The models and aliases that answer now",
            access=LIST_MODELS.access,
            answer=list_models,
            replies=(MODELS,),
        ),
        Operation(
            verb="GET",
            path="/v1/models/{id:path}",
            summary="One model",
            access=LIST_MODELS.access,
            answer=get_model,
            replies=(Model,),
        ),
    ),
)
