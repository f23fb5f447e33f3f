"""One prompt, one answer: `/api/inference`."""

from starlette.responses import Response

from hyperinfer.contracts import gateway
from hyperinfer.contracts.people import Text
from hyperinfer.edge.operations import Asked, Body, Group, Operation
from hyperinfer.edge.request import watch
from hyperinfer.edge.responses import head_headers, json_response
from hyperinfer.edge.shapes import given
from hyperinfer.errors import RateLimited
from hyperinfer.facilities.tasks import background

PATH = "/api/inference"


class Prompt(Body, frozen=True, kw_only=True):
    """A prompt; without `model` the gateway's default answers."""

    prompt: str
    model: Text | None = None
    max_tokens: int | None = None


class Used(Body, frozen=True, kw_only=True):
    """Tokens as the engine's own tokenizer counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Answered(Body, frozen=True, kw_only=True):
    """The answer, which model gave it, and the request's label."""

    response: str
    model: str
    usage: Used | None
    requestId: str  # noqa: N815 - as the original interface names it


def group(*, timeout_s: float) -> Group:
    """The route, with how long an answer may take."""

    async def answer(asked: Asked) -> Response:
        body: Prompt = asked.body
        wanted = gateway.ProcessPrompt(prompt=body.prompt, model=body.model, max_tokens=body.max_tokens)
        async with background(watch(asked.receive), name="client"):
            reply = await asked.call(gateway.PROCESS_PROMPT, wanted, timeout_s=timeout_s)
        if not reply.allowed:
            raise limited(reply)
        used = Used(**given(reply.usage), total_tokens=reply.usage.total_tokens) if reply.usage else None
        response = json_response(
            Answered(
                response=reply.response or "",
                model=reply.model or "",
                usage=used,
                requestId=reply.request_id or asked.head.request_id,
            )
        )
        response.raw_headers += head_headers(
            gateway.Head(worker=reply.worker or "", model=reply.model or "", rate_limit_info=reply.rate_limit_info)
        )
        return response

    return Group(
        "Inference",
        (
            Operation(
                verb="POST",
                path=PATH,
                summary="Have one prompt answered; hanging up cancels it",
                access=gateway.PROCESS_PROMPT.access,
                answer=answer,
                body=Prompt,
                replies=(Answered,),
                example={"prompt": "Say hello.", "max_tokens": 20},
            ),
        ),
    )


def limited(reply: gateway.ProcessPromptReply) -> RateLimited:
    """The error that a reply of the original shape stands for."""
    details = given(reply.rate_limit_info) if reply.rate_limit_info else {}
    return RateLimited(reply.message or "Rate limit exceeded", retry_after_s=reply.retry_after, **details)
