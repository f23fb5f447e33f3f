"""The messages of the WebSocket `/ws`: each one a JSON object in a text message, told apart by its `type`.

A client runs several conversations at once on one socket, each under an id of its own choice. Every id that was started
ends with exactly one `done`, `error` or `cancelled`. Names are in snake_case, as everywhere over HTTP.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

VERSION = 1
"""Of this protocol; what only adds fields or messages does not change it."""
ID_CHARS = 64

Id = Annotated[str, Meta(min_length=1, max_length=ID_CHARS)]

# --- what a client says -----------------------------------------------------------------------------------


class FromClient(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of what a client says; a field that is not known is refused by name."""


class Auth(FromClient, frozen=True, tag="auth"):
    """An API key or session token, where none was in the handshake's headers. A later one replaces it, for what is started
    from then on."""

    key: Annotated[str, Meta(min_length=1, max_length=8192)]


class Start(FromClient, frozen=True, tag="start"):
    """Begin a conversation: an OpenAI request with its `messages` (a chat) or its `prompt` (a completion).

    The answer comes as it is made, or with `stream: false` in the request as a whole, in `done`. `cache` says whether it
    may come from, and go to, a response cache; left out, the workers' settings decide.
    """

    id: Id
    request: Raw
    cache: bool | None = None


class Cancel(FromClient, frozen=True, tag="cancel"):
    """End a conversation now. One that is not under way any more is let be: its end has been sent."""

    id: Id


class Ping(FromClient, frozen=True, tag="ping"):
    """Asks for a `pong`: browsers cannot send the protocol's own pings."""


ClientMessage = Auth | Start | Cancel | Ping

# --- what the server says ---------------------------------------------------------------------------------


class FromServer(Struct, frozen=True, omit_defaults=True):
    """Base of what the server says; further fields may be added in time."""


class Limits(Struct, frozen=True):
    """What the limits leave, as a `RateLimitInfo` has it; null where nothing limits. Times in seconds and minutes."""

    remaining_requests: int | None
    max_requests: int | None
    next_reset_in_seconds: int
    window_duration_minutes: int
    remaining_tokens: int | None = None
    max_tokens: int | None = None
    tokens_reset_in_seconds: int | None = None


class Usage(Struct, frozen=True):
    """Tokens as the engine's own tokenizer counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Fault(Struct, frozen=True):
    """What went wrong, as OpenAI's error object has it; `retry_after_s` says when to come again, where that may help."""

    message: str
    type: str
    param: str | None
    code: str | None
    retry_after_s: float | UnsetType = UNSET


class Ready(FromServer, frozen=True, tag="ready"):
    """The first message. Without a key in the handshake, `auth` has to come within `auth_within_s`."""

    version: int
    max_conversations: int
    max_message_bytes: int
    auth_within_s: float | UnsetType = UNSET


class Authenticated(FromServer, frozen=True, tag="authenticated"):
    """The key is valid: whose it is, and what the limits leave."""

    username: str
    limits: Limits | None


class Started(FromServer, frozen=True, tag="started"):
    """The answer begins: which model gives it, on which worker, and how long that took (s).

    `request_id` names the request for the operator; `attempts` is how many workers were asked, and `cache` whether the
    answer comes from a response cache.
    """

    id: str
    model: str
    worker: str
    request_id: str
    attempts: int
    queued_s: float
    first_token_s: float
    limits: Limits | None
    cache: str = ""


class Delta(FromServer, frozen=True, tag="delta"):
    """What the answer has gained since the last one. `tool_calls` and `logprobs` are OpenAI's own, as in a chunk's choice."""

    id: str
    text: str
    thinking: str = ""
    refusal: str = ""
    tool_calls: Raw | UnsetType = UNSET
    logprobs: Raw | UnsetType = UNSET


class Done(FromServer, frozen=True, tag="done"):
    """The answer is whole. `message` is OpenAI's message of it, for a request with `stream: false`; for a completion, `text`."""

    id: str
    finish_reason: str
    usage: Usage
    message: Raw | UnsetType = UNSET
    text: str | UnsetType = UNSET


class Error(FromServer, frozen=True, tag="error"):
    """With an `id` the end of that conversation; without one, what was wrong with a message."""

    error: Fault
    id: str | UnsetType = UNSET


class Cancelled(FromServer, frozen=True, tag="cancelled"):
    """The conversation has ended, as was asked."""

    id: str


class Pong(FromServer, frozen=True, tag="pong"):
    """The answer to a `ping`."""


ServerMessage = Ready | Authenticated | Started | Delta | Done | Error | Cancelled | Pong
