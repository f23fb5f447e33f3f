"""Every error that hyperinfer raises on purpose: one tree, a stable code per class, `retryable` on the class.

A code is part of the wire format: it travels in RPC error strings and in HTTP bodies, so it never changes.
HTTP statuses are not decided here but in `edge/errors.py`.
"""

from typing import Any, ClassVar


class HyperinferError(Exception):
    """Base of the tree: a sentence for a person, a code for a program, and details that are safe to show.

    `message` says what happened and what to do; it holds no secret, key, password or prompt.
    """

    code: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InternalError(HyperinferError):
    """A fault of ours; the text shown to a caller carries no internals."""


# --- what a caller got wrong -----------------------------------------------------------------------------


class BadRequest(HyperinferError):
    """The request cannot be understood; `param` in the details names the field."""

    code = "BAD_REQUEST"


class Unsupported(BadRequest):
    """The request asks for something that this model or backend cannot do, named in `param`."""

    code = "UNSUPPORTED"


class ContextExceeded(BadRequest):
    """The prompt is longer than the model's context; details: `prompt_tokens`, `context_tokens`."""

    code = "CONTEXT_EXCEEDED"


class Unauthenticated(HyperinferError):
    """No credential, or one that is not valid."""

    code = "UNAUTHENTICATED"


class Forbidden(HyperinferError):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"


class Untrusted(Forbidden):
    """What a peer shows does not prove what it claims: a signature is missing, or somebody else's."""

    code = "UNTRUSTED"


class NotFound(HyperinferError):
    """What the request names does not exist, or is not the caller's to see."""

    code = "NOT_FOUND"


class ModelNotFound(NotFound):
    """No worker of the swarm has the model; details: `model`."""

    code = "MODEL_NOT_FOUND"


class UnknownMethod(NotFound):
    """The peer has no such method."""

    code = "UNKNOWN_METHOD"


class Conflict(HyperinferError):
    """What the request would create exists already."""

    code = "CONFLICT"


class TooLarge(HyperinferError):
    """A body or message is above its bound; details: `limit_bytes`."""

    code = "TOO_LARGE"


class RateLimited(HyperinferError):
    """A limit is used up; details: `retry_after_s` and what is left."""

    code = "RATE_LIMITED"
    retryable = True


# --- what another process or the network did --------------------------------------------------------------


class Unavailable(HyperinferError):
    """Something that is needed is away for now; details may hold `retry_after_s`."""

    code = "UNAVAILABLE"
    retryable = True


class Overloaded(Unavailable):
    """The queue is full; details: `retry_after_s`."""

    code = "OVERLOADED"


class Draining(Unavailable):
    """The worker is stopping and accepts no more."""

    code = "DRAINING"


class PeerLost(Unavailable):
    """The connection to a peer ended with the call in flight."""

    code = "PEER_LOST"


class PeerUnreachable(Unavailable):
    """No connection to the peer could be made: unknown, offline or it refused us."""

    code = "PEER_UNREACHABLE"


class DriverLost(PeerLost):
    """The swarm driver ended; it is being restarted."""

    code = "DRIVER_LOST"


class DeadlineExceeded(HyperinferError):
    """The time that the caller or a setting allowed has passed."""

    code = "DEADLINE_EXCEEDED"
    retryable = True


class BackendFailed(HyperinferError):
    """The model's backend broke off or answered nonsense."""

    code = "BACKEND_FAILED"
    retryable = True


class Cancelled(HyperinferError):
    """The caller cancelled the call; nobody waits for this reply."""

    code = "CANCELLED"


class MailRefused(HyperinferError):
    """The mail server will not have an e-mail, and to send it again is in vain; details may hold `smtp_code`."""

    code = "MAIL_REFUSED"


class StreamStalled(HyperinferError):
    """A reader granted no credit for longer than the configured time."""

    code = "STREAM_STALLED"


class RemoteError(HyperinferError):
    """A peer answered with an error whose code we do not know; details: `remote_code`."""

    code = "REMOTE"


# --- what stops a process from starting -------------------------------------------------------------------


class ConfigError(HyperinferError):
    """A setting is wrong; the message names its path and where it came from."""

    code = "CONFIG"


class IdentityError(HyperinferError):
    """An identity or key file is unreadable, too open or corrupt; it is never replaced."""

    code = "IDENTITY"


class StartError(HyperinferError):
    """A worker cannot start; the message says why and what to do."""

    code = "START"


def _tree(root: type[HyperinferError]) -> dict[str, type[HyperinferError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


BY_CODE: dict[str, type[HyperinferError]] = {**_tree(HyperinferError), "INTERNAL": InternalError}
"""Error class of each code."""


def from_code(code: str, message: str, details: dict[str, Any]) -> HyperinferError:
    """The error that a peer reported, as the class of ours that has its code."""
    kind = BY_CODE.get(code)
    if kind is None:
        return RemoteError(message, **{**details, "remote_code": code})
    return kind(message, **details)
