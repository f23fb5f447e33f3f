"""The OpenAI API's list of models, and how its chat route is described."""

from collections.abc import Sequence
from typing import Any, Literal

from starlette.responses import Response

from hyperinfer.contracts.gateway import LIST_MODELS, PROCESS_INFERENCE, PublicModel
from hyperinfer.contracts.method import Nothing
from hyperinfer.edge.openai import CHAT
from hyperinfer.edge.operations import JSON, Asked, Body, Group, Operation
from hyperinfer.edge.responses import json_response
from hyperinfer.edge.shapes import Shape, shape_of
from hyperinfer.errors import ModelNotFound

EVENTS = "text/event-stream"


class Model(Body, frozen=True, kw_only=True):
    """A model that answers now. `created` is when this gateway first saw it, in seconds since the epoch."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["hyperinfer"] = "hyperinfer"


MODELS: Shape = shape_of("ModelList", "Models by name.", object=Literal["list"], data=tuple[Model, ...])

CHAT_REQUEST: dict[str, Any] = {
    "type": "object",
    "description": "OpenAI's request; what is not named here goes on to the model as it is.",
    "properties": {
        "model": {"type": ["string", "null"], "description": "Left out, the gateway's default answers."},
        "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role"]}},
        "stream": {"type": ["boolean", "null"], "default": False},
        "max_tokens": {"type": ["integer", "null"], "minimum": 1},
    },
    "required": ["messages"],
}


async def list_models(asked: Asked) -> Response:
    """Every model that the swarm serves now."""
    return json_response({"object": "list", "data": [_shown(model) for model in await _models(asked)]})


async def get_model(asked: Asked) -> Response:
    """One model."""
    wanted = asked.path["id"]
    for model in await _models(asked):
        if model.id == wanted:
            return json_response(_shown(model))
    raise ModelNotFound(f"No worker of this swarm has the model {wanted[:200]!r}.", model=wanted[:200])


async def _models(asked: Asked) -> Sequence[PublicModel]:
    return (await asked.call(LIST_MODELS, Nothing())).models


def _shown(model: PublicModel) -> Model:
    return Model(id=model.id, created=model.created)


GROUP = Group(
    "OpenAI",
    (
        Operation(
            verb="POST",
            path=CHAT,
            summary="Chat, whole or streamed; hanging up cancels it",
            access=PROCESS_INFERENCE.access,
            answer=None,
            body=CHAT_REQUEST,
            replies=(dict[str, Any],),
            media=(JSON, EVENTS),
            example={"model": "smollm2:135m", "messages": [{"role": "user", "content": "Say hello."}]},
        ),
        Operation(
            verb="GET",
            path="/v1/models",
            summary="The models that answer now",
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
