"""What the engine says beside answers: what it is, how many tokens a text has, vectors, and refusals as errors of ours."""

import base64
import binascii

import msgspec
from msgspec import Struct

from hyperinfer.errors import BackendFailed, BadRequest, ContextExceeded, HyperinferError, Unavailable, Unsupported


class TemplateTraits(Struct, frozen=True):
    """What the engine makes of the model's chat template."""

    supports_tools: bool = False


class Modalities(Struct, frozen=True):
    """What the engine can read beside text."""

    vision: bool = False


class Generation(Struct, frozen=True):
    """Its defaults."""

    n_ctx: int


class EngineProps(Struct, frozen=True):
    """What the engine says of itself once it has loaded; `context_tokens` is one slot's."""

    default_generation_settings: Generation
    total_slots: int
    chat_template_caps: TemplateTraits = TemplateTraits()
    modalities: Modalities = Modalities()

    @property
    def context_tokens(self) -> int:
        """Tokens that one slot holds."""
        return self.default_generation_settings.n_ctx


class Rendered(Struct, frozen=True):
    """Messages as the model's template writes them."""

    prompt: str


class Tokenized(Struct, frozen=True):
    """A text's tokens."""

    tokens: tuple[int, ...]


class Vector(Struct, frozen=True):
    """One vector, little-endian float32 in base64."""

    index: int
    embedding: str


class VectorUsage(Struct, frozen=True):
    """Tokens of the inputs."""

    prompt_tokens: int


class Vectors(Struct, frozen=True):
    """The reply to a request for embeddings."""

    data: tuple[Vector, ...]
    usage: VectorUsage

    def in_order(self, count: int) -> tuple[bytes, ...]:
        """The vectors in the order of their inputs. Raises `BackendFailed` unless there is one for each."""
        try:
            found = {vector.index: base64.b64decode(vector.embedding, validate=True) for vector in self.data}
            return tuple(found[index] for index in range(count))
        except (KeyError, binascii.Error, ValueError) as error:
            raise BackendFailed("The engine's vectors make no sense.") from error


class EngineErrorBody(Struct, frozen=True):
    """What the engine says is wrong."""

    message: str = ""
    type: str = ""
    n_prompt_tokens: int = 0
    n_ctx: int = 0


class EngineError(Struct, frozen=True):
    """The body of an answer that is no success."""

    error: EngineErrorBody = EngineErrorBody()


_error = msgspec.json.Decoder(EngineError)


def exceeded(prompt_tokens: int, context_tokens: int, param: str) -> ContextExceeded:
    """The refusal of what is longer than the model can hold."""
    whose = {"messages": "The messages have", "input": "An input has"}.get(param, "The prompt has")
    answer = "" if param == "input" else ", the answer included"
    return ContextExceeded(
        f"{whose} {prompt_tokens} tokens; this model takes {context_tokens}{answer}.",
        param=param,
        prompt_tokens=prompt_tokens,
        context_tokens=context_tokens,
    )


def refusal(status: int, body: bytes, param: str) -> HyperinferError:
    """The engine's refusal as an error of ours; `param` is the field that holds the prompt."""
    try:
        said = _error.decode(body).error
    except msgspec.DecodeError:
        return BackendFailed(f"The engine answered {status} with something that is no JSON.")
    if said.type == "exceed_context_size_error":
        return exceeded(said.n_prompt_tokens, said.n_ctx, param)
    if status == 400:
        about_format = "schema" in said.message or "grammar" in said.message
        return BadRequest(
            f"The model cannot take this request: {said.message[:500]}",
            param="response_format" if about_format else "",
        )
    if status == 501:
        return Unsupported("The model cannot do this.", param=param)
    if status == 503:
        return Unavailable("The model is being loaded.", retry_after_s=1)
    return BackendFailed(f"The engine answered {status}.")
