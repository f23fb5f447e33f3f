"""Ollama's routes: those to models as they are described, and the others, which tell what there is or refuse."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from hyperinfer import __version__
from hyperinfer.contracts.gateway import LIST_MODELS, LIST_WORKERS, PROCESS_INFERENCE, PublicModel
from hyperinfer.contracts.method import PUBLIC, Nothing
from hyperinfer.edge.dialects.ollama.answers import OllamaLine
from hyperinfer.edge.dialects.ollama.errors import OllamaError
from hyperinfer.edge.dialects.ollama.models import (
    OllamaModels,
    OllamaProcesses,
    OllamaShow,
    OllamaShown,
    OllamaVersion,
    listed,
    loaded,
    shown,
)
from hyperinfer.edge.dialects.ollama.reading import CHAT, EMBED, EMBEDDINGS, GENERATE
from hyperinfer.edge.dialects.ollama.requests import OllamaChat, OllamaEmbed, OllamaEmbedOne, OllamaGenerate
from hyperinfer.edge.dialects.ollama.vectors import OllamaVector, OllamaVectors
from hyperinfer.edge.operations import JSON, Answer, Asked, Group, Operation
from hyperinfer.edge.responses import json_response
from hyperinfer.edge.shapes import Shape
from hyperinfer.errors import BadRequest, NotFound

LINES = "application/x-ndjson"
HTML = "text/html"
VERSION = f"0.32.15+hyperinfer.{__version__}"
"""The version whose API this is: clients refuse older ones by its numbers. What stands behind the plus says who we are."""
RUNNING = "Ollama is running"
"""What programs look for at the root."""
MANAGED = "Models of a swarm are managed on the machines that run them: `hyperinfer models pull` there, or ask an administrator."


async def running(asked: Asked) -> Response:
    """That there is an Ollama, for programs that look; no page for people."""
    if HTML in asked.accept:
        raise NotFound("There is no page here. The API is described at /docs.")
    return Response(RUNNING, media_type="text/plain")


async def version(asked: Asked) -> Response:
    """The version; asking for the models holds the key to be valid."""
    await _models(asked)
    return json_response(OllamaVersion(version=VERSION))


async def tags(asked: Asked) -> Response:
    """Every model that answers now."""
    return json_response(listed(await _models(asked)))


async def processes(asked: Asked) -> Response:
    """The models that are loaded."""
    models = await _models(asked)
    return json_response(loaded(models, (await asked.call(LIST_WORKERS, Nothing())).workers))


async def show(asked: Asked) -> Response:
    """One model."""
    body: OllamaShow = asked.body
    name = body.model or body.name
    if not name:
        raise BadRequest("model is required", param="model")
    return json_response(shown(name, await _models(asked)))


async def refused(asked: Asked) -> Response:
    """That this is done elsewhere, for whoever may know that there is anything."""
    await _models(asked)
    return json_response(OllamaError(MANAGED), 403)


async def _models(asked: Asked) -> Sequence[PublicModel]:
    return (await asked.call(LIST_MODELS, Nothing())).models


def _to_model(
    path: str,
    summary: str,
    *,
    body: Shape,
    reply: Shape,
    example: dict[str, Any],
    media: Sequence[str] = (JSON, LINES),
) -> Operation:
    return Operation(
        verb="POST",
        path=path,
        summary=summary,
        access=PROCESS_INFERENCE.access,
        answer=None,
        body=body,
        replies=(reply,),
        media=media,
        example=example,
        cookie=False,
    )


def _telling(verb: str, path: str, summary: str, answer: Answer, reply: Shape, body: Shape | None = None) -> Operation:
    return Operation(
        verb=verb,
        path=path,
        summary=summary,
        access=LIST_MODELS.access,
        answer=answer,
        body=body,
        replies=(reply,),
        example={"model": "smollm2-135m"} if body else {},
        cookie=False,
    )


def _refused(verb: str, path: str) -> Operation:
    return Operation(
        verb=verb,
        path=path,
        summary="Refused: models are managed where they run",
        access=LIST_MODELS.access,
        answer=refused,
        replies=(OllamaError,),
        status=403,
        cookie=False,
    )


GROUP = Group(
    "Ollama",
    (
        _to_model(
            CHAT,
            "Chat, line by line unless `stream` is false; hanging up cancels it",
            body=OllamaChat,
            reply=OllamaLine,
            example={"model": "smollm2-135m", "messages": [{"role": "user", "content": "Say hello."}]},
        ),
        _to_model(
            GENERATE,
            "Answer a prompt, line by line unless `stream` is false; hanging up cancels it",
            body=OllamaGenerate,
            reply=OllamaLine,
            example={"model": "smollm2-135m", "prompt": "Say hello.", "stream": False},
        ),
        _to_model(
            EMBED,
            "Embed texts",
            body=OllamaEmbed,
            reply=OllamaVectors,
            example={"model": "all-minilm-l6-v2", "input": ["one text", "another"]},
            media=(JSON,),
        ),
        _to_model(
            EMBEDDINGS,
            "Embed one text, as older programs do",
            body=OllamaEmbedOne,
            reply=OllamaVector,
            example={"model": "all-minilm-l6-v2", "prompt": "one text"},
            media=(JSON,),
        ),
        _telling("GET", "/api/tags", "The models and aliases that answer now", tags, OllamaModels),
        _telling("POST", "/api/show", "One model", show, OllamaShown, OllamaShow),
        _telling("GET", "/api/ps", "The models that are loaded", processes, OllamaProcesses),
        _telling("GET", "/api/version", "The version whose API this is", version, OllamaVersion),
        _refused("POST", "/api/pull"),
        _refused("POST", "/api/push"),
        _refused("POST", "/api/create"),
        _refused("POST", "/api/copy"),
        _refused("DELETE", "/api/delete"),
        _refused("GET", "/api/blobs/{id:path}"),  # HEAD, as which programs ask
        _refused("POST", "/api/blobs/{id:path}"),
        Operation(
            verb="GET",
            path="/",
            summary="That it is running, for programs that look for Ollama",
            access=PUBLIC,
            answer=running,
            media=("text/plain",),
        ),
    ),
    error=OllamaError,
)
