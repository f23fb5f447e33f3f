"""What gateways ask of auth: accounts, sessions and API keys. Only gateways may call it.

What they pass on for people is in `people`, `usage` and `audit`; how credentials reach them in `directory`.
"""

from hyperinfer.contracts.acting import GATEWAYS
from hyperinfer.contracts.limits import Subject
from hyperinfer.contracts.method import Method, Nothing, Wire
from hyperinfer.contracts.people import RESET_PASSWORD, Account, NewApiKey, ResetPassword, Session


class Principal(Wire, frozen=True):
    """Who a request acts for. `key_id` is set when an API key was presented, `session_id` for a session.

    `scopes` and `models` are what an API key may do and use; a session may do and use all that its holder may, and has
    no scopes. `subjects` are what the request counts for: the person, and the key where it has limits of its own.
    """

    user_id: str
    username: str
    email: str
    role: str = "user"
    tier: str = "default"
    key_id: str | None = None
    session_id: str | None = None
    scopes: tuple[str, ...] | None = None
    models: tuple[str, ...] = ()
    subjects: tuple[Subject, ...] = ()


class Register(Wire, frozen=True):
    """A new account; a username left out is made from the e-mail. `code` is that of an invitation."""

    email: str
    password: str
    username: str | None = None
    code: str | None = None


class Registered(Wire, frozen=True):
    """A new account with its first API key; `key` is shown this once."""

    account: Account
    key: NewApiKey


class Login(Wire, frozen=True):
    """`username` or `email` names the account; either field takes either. `agent` is what the client calls itself."""

    password: str
    email: str | None = None
    username: str | None = None
    agent: str = ""


class Credential(Wire, frozen=True):
    """A session token or an API key, to be told whose it is."""

    key: str


class Validated(Wire, frozen=True):
    """Whose credential it is, and for how many seconds a gateway may take that for granted."""

    principal: Principal
    valid_for_s: float


class Jwks(Wire, frozen=True, omit_defaults=False):
    """Public keys that sign session tokens, as RFC 7517 writes them."""

    keys: tuple[dict[str, str], ...] = ()


REGISTER = Method("register", Register, Registered, GATEWAYS, aliases=("registerUser",))
LOGIN = Method("login", Login, Session, GATEWAYS, aliases=("loginUser",))
VERIFY_SESSION = Method("verifySession", Credential, Validated, GATEWAYS)
VALIDATE_API_KEY = Method("validateApiKey", Credential, Validated, GATEWAYS)
RESET = Method(RESET_PASSWORD.name, ResetPassword, Nothing, GATEWAYS)
JWKS = Method("getJwks", Nothing, Jwks, GATEWAYS, quiet=True)

METHODS = (
    REGISTER,
    LOGIN,
    VERIFY_SESSION,
    VALIDATE_API_KEY,
    RESET,
    JWKS,
)
