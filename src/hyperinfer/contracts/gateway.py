"""What people, applications and JavaScript peers ask of the gateway.

What people ask about their account, keys and usage is in `people`, `usage` and `audit`; the gateway has those methods too.
`register`, `login`, `verifySession` and `processPrompt` keep the shapes of the original interface: a refusal is a
reply with `success: false` (or `allowed: false`), a status and a message. The other methods fail with typed errors.
"""

import msgspec

from hyperinfer.contracts.auth import Jwks
from hyperinfer.contracts.inference import (
    BackendStatus,
    Cache,
    Effort,
    Kind,
    ModelStatus,
    Processed,
    PromptCount,
    Usage,
)
from hyperinfer.contracts.method import ADMIN, PUBLIC, USER, Method, Nothing, Wire
from hyperinfer.contracts.people import Account, NewApiKey


class Register(Wire, frozen=True):
    """A new account; a field left empty is refused with status 400. `code` is that of an invitation."""

    email: str = ""
    password: str = ""
    username: str | None = None
    code: str | None = None


class RegisterReply(Wire, frozen=True):
    """`success` with status 201, the account and its first API key; else a status, a message and an error code, and in
    `param` the field that it is about."""

    success: bool
    status: int
    message: str
    email: str | None = None
    account: Account | None = None
    api_key: NewApiKey | None = None
    code: str | None = None
    param: str | None = None
    retry_after: int | None = None


class Login(Wire, frozen=True):
    """Either field names the account by either name or e-mail. `agent` is what the client calls itself."""

    password: str = ""
    email: str = ""
    username: str = ""
    agent: str = ""


class LoginReply(Wire, frozen=True):
    """`success` with status 200 and the session token in `key`; else a status, a message and an error code."""

    success: bool
    status: int
    message: str | None = None
    email: str | None = None
    key: str | None = None
    expires_in: int | None = None
    account: Account | None = None
    code: str | None = None
    param: str | None = None
    retry_after: int | None = None


class RateLimitInfo(Wire, frozen=True):
    """What is left of the request limit that is nearest to its end; `max_requests` is null where nothing limits.

    The fields for tokens are there where tokens are limited.
    """

    remaining_requests: int | None
    max_requests: int | None
    next_reset_in_seconds: int
    window_duration_minutes: int
    remaining_tokens: int | None = None
    max_tokens: int | None = None
    tokens_reset_in_seconds: int | None = None


class VerifySessionReply(Wire, frozen=True):
    """Whether the credential in `meta.key` is valid, whose it is and what its limits leave."""

    valid: bool
    email: str | None = None
    username: str | None = None
    role: str | None = None
    tier: str | None = None
    rate_limit_info: RateLimitInfo | None = None
    message: str | None = None


class WhoAmI(Wire, frozen=True, omit_defaults=False):
    """Whose the credential is that a call came with, and what the limits leave."""

    username: str
    email: str
    role: str
    tier: str
    rate_limit_info: RateLimitInfo


class ProcessPrompt(Wire, frozen=True):
    """A single prompt; without `model` the gateway's default answers. Sizes are in tokens."""

    prompt: str
    model: str | None = None
    max_tokens: int | None = None


class ProcessPromptReply(Wire, frozen=True):
    """The answer; over a limit `allowed` is false and only status, message, `retry_after` (s) and the limits are set."""

    prompt: str | None = None
    response: str | None = None
    processed_at: str | None = msgspec.field(name="processed_at", default=None)
    request_id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    allowed: bool = True
    status: int = 200
    message: str | None = None
    retry_after: int | None = None
    rate_limit_info: RateLimitInfo | None = None
    worker: str | None = None


class Infer(Wire, frozen=True):
    """An OpenAI request, raw. The gateway decodes what it needs (model, limits) and passes the bytes on.

    `cache` says whether the answer may come from, and go to, a response cache; left out, the workers' settings decide.
    `prefill` is how the answer to a chat begins: it is gone on with, and only what comes after it is sent; models that
    cannot do that refuse it. `effort` is for models that can be told how much to think; others answer without.
    """

    body: msgspec.Raw
    kind: Kind = "chat"
    cache: bool | None = None
    prefill: str = ""
    effort: Effort = ""


class CountTokens(Wire, frozen=True):
    """A chat whose prompt is to be counted, as an OpenAI request."""

    body: msgspec.Raw


class Head(Wire, frozen=True, omit_defaults=False):
    """What is known once an answer begins: who gives it (`worker`, a hex key), by which `model`, and what the request
    limits leave.

    `attempts` is how many workers were asked, `queued_s` how long the last one let it wait for a slot, `first_token_s`
    from the request's arrival here to its first chunk (of a whole answer: to its end), `cache` whether it comes from the
    response cache. It is the first chunk of a streamed call; every chunk after it is a raw OpenAI chunk.
    """

    worker: str
    model: str = ""
    attempts: int = 1
    queued_s: float = 0.0
    first_token_s: float = 0.0
    cache: Cache = ""
    rate_limit_info: RateLimitInfo | None = None


class Inferred(Wire, frozen=True, omit_defaults=False):
    """How it ended."""

    processed: Processed
    head: Head


class PublicModel(Wire, frozen=True, omit_defaults=False):
    """A model that the swarm serves now, summed over its workers.

    `id` is what requests name: a model, or an alias, which then says in `answered_by` the models that it stands for, the
    first of which that can answer does. `state` is the best of its workers': `ready`, `idle` (a request loads it) or
    `loading`. `context_tokens` is the least of them; `tokens_per_s` and `first_token_s` are means of what they report.
    """

    id: str
    created: int
    workers: int
    slots: int
    busy: int
    context_tokens: int
    queued: int = 0
    state: str = "ready"
    capabilities: tuple[str, ...] = ()
    tokens_per_s: float = 0.0
    first_token_s: float = 0.0
    error_rate: float = 0.0
    answered_by: tuple[str, ...] = ()


class PublicModels(Wire, frozen=True, omit_defaults=False):
    """Models by name."""

    models: tuple[PublicModel, ...] = ()


class SwarmWorker(Wire, frozen=True, omit_defaults=False):
    """One inference worker as the gateway sees it; `key` is hex, `state` is `ready`, `draining` or `lost`.

    `in_flight` are this gateway's own requests. `broken` are models that it leaves alone for now, because they kept failing.
    """

    key: str
    name: str
    state: str
    in_flight: int
    models: tuple[ModelStatus, ...] = ()
    backends: tuple[BackendStatus, ...] = ()
    version: str = ""
    broken: tuple[str, ...] = ()


class SwarmWorkers(Wire, frozen=True, omit_defaults=False):
    """Every inference worker that the gateway knows."""

    workers: tuple[SwarmWorker, ...] = ()


class PlaceModel(Wire, frozen=True):
    """A model to be loaded or unloaded, at one worker (a hex key) or, where none is named, at every one that has it."""

    model: str
    worker: str = ""


class Placed(Wire, frozen=True, omit_defaults=False):
    """How the model stands at a worker now; `error` says why it could not be done there."""

    worker: str
    status: ModelStatus | None = None
    error: str = ""


class Placings(Wire, frozen=True, omit_defaults=False):
    """What came of it, by worker."""

    workers: tuple[Placed, ...] = ()


PROCESS_INFERENCE = Method("processInferenceRequest", Infer, Inferred, USER, streams=True)
PROCESS_PROMPT = Method("processPrompt", ProcessPrompt, ProcessPromptReply, USER)
REGISTER = Method("register", Register, RegisterReply, PUBLIC, aliases=("registerUser",))
LOGIN = Method("login", Login, LoginReply, PUBLIC, aliases=("loginUser",))
VERIFY_SESSION = Method("verifySession", Nothing, VerifySessionReply, PUBLIC)
WHO_AM_I = Method("whoAmI", Nothing, WhoAmI, USER)
"""For whoever is about to ask models: fails as their requests would."""
LIST_MODELS = Method("listModels", Nothing, PublicModels, USER)
COUNT_TOKENS = Method("countTokens", CountTokens, PromptCount, USER)
"""Asks no model, so that no usage comes of it."""
LIST_WORKERS = Method("listWorkers", Nothing, SwarmWorkers, USER, quiet=True)
GET_JWKS = Method("getJwks", Nothing, Jwks, PUBLIC, quiet=True)
LOAD_MODEL = Method("loadModel", PlaceModel, Placings, ADMIN)
UNLOAD_MODEL = Method("unloadModel", PlaceModel, Placings, ADMIN)

METHODS = (
    PROCESS_INFERENCE,
    PROCESS_PROMPT,
    REGISTER,
    LOGIN,
    VERIFY_SESSION,
    WHO_AM_I,
    LIST_MODELS,
    COUNT_TOKENS,
    LIST_WORKERS,
    GET_JWKS,
    LOAD_MODEL,
    UNLOAD_MODEL,
)
