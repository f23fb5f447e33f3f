"""Every error of ours, as the official client raises it and as often as it tries: twice more where that may help."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from hyperinfer import errors
from hyperinfer.edge.errors import SHOWN, PackedBody, SlowBody, WebSocketOnly, WrongHttpMethod, shown
from hyperinfer.errors import HyperinferError
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway, always

SOON = {"retry_after_s": 0.001}
"""A wait that does not hold the test up."""

ERRORS: list[tuple[HyperinferError, type[openai.APIStatusError], int, bool]] = [
    (errors.BadRequest("No.", param="x"), openai.BadRequestError, 400, False),
    (errors.Unsupported("No.", param="x"), openai.BadRequestError, 400, False),
    (errors.ContextExceeded("No."), openai.BadRequestError, 400, False),
    (errors.Unauthenticated("No."), openai.AuthenticationError, 401, False),
    (errors.Forbidden("No."), openai.PermissionDeniedError, 403, False),
    (errors.Untrusted("No."), openai.PermissionDeniedError, 403, False),
    (errors.NotFound("No."), openai.NotFoundError, 404, False),
    (errors.ModelNotFound("No."), openai.NotFoundError, 404, False),
    (errors.StreamStalled("No."), openai.APIStatusError, 408, False),
    (errors.Conflict("No."), openai.ConflictError, 409, False),
    (errors.TooLarge("No."), openai.APIStatusError, 413, False),
    (errors.RateLimited("No.", **SOON), openai.RateLimitError, 429, True),
    (errors.RateLimited("No.", retry_after_s=3600), openai.RateLimitError, 429, False),
    (errors.InternalError("No."), openai.InternalServerError, 500, False),
    (errors.RemoteError("No."), openai.InternalServerError, 502, False),
    (errors.MailRefused("No."), openai.InternalServerError, 502, False),
    (errors.BackendFailed("No.", **SOON), openai.InternalServerError, 502, True),
    (errors.Unavailable("No.", **SOON), openai.InternalServerError, 503, True),
    (errors.Overloaded("No.", **SOON), openai.InternalServerError, 503, True),
    (errors.Draining("No.", **SOON), openai.InternalServerError, 503, True),
    (errors.PeerLost("No.", **SOON), openai.InternalServerError, 503, True),
    (errors.DeadlineExceeded("No.", **SOON), openai.InternalServerError, 504, True),
]
OF_THE_EDGE = {PackedBody, SlowBody, WebSocketOnly, WrongHttpMethod}
"""What no call of a gateway raises."""


@pytest.fixture(scope="module")
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture(scope="module")
def url(gateway: FakeGateway) -> Iterator[str]:
    with served(gateway) as url:
        yield url


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("error", "kind", "status", "again"), ERRORS)
def test_an_error_has_its_class_and_is_tried_again_only_where_that_may_help(
    url: str,
    gateway: FakeGateway,
    error: HyperinferError,
    kind: type[openai.APIStatusError],
    status: int,
    again: bool,
    stream: bool,
) -> None:
    gateway.answers["processInferenceRequest"] = always(error)
    gateway.calls.clear()
    request: Any = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": stream}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", timeout=20) as client, pytest.raises(kind) as raised:
        client.chat.completions.create(**request)
    assert type(raised.value) is kind
    assert (raised.value.status_code, raised.value.type, raised.value.code) == (
        status,
        shown(error).type,
        shown(error).code,
    )
    assert raised.value.request_id
    assert "No." in raised.value.message
    assert raised.value.response.headers["x-should-retry"] == ("true" if again else "false")
    assert len(gateway.calls) == (3 if again else 1)


def test_no_error_is_left_out() -> None:
    tried = {kind for error, *_ in ERRORS for kind in type(error).__mro__}
    assert set(SHOWN) - tried - OF_THE_EDGE == set()


@pytest.mark.parametrize("raw", [b'{"model": 5', b""])
def test_a_body_that_is_none_raises_too(url: str, raw: bytes) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k") as client, pytest.raises(openai.BadRequestError):
        client.post("/chat/completions", cast_to=object, content=raw)
