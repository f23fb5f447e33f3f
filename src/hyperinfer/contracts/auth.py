"""What gateways ask of auth: accounts, sessions and API keys. Only gateways may call it."""

from hyperinfer.contracts.method import Method, Nothing, Wire, members

GATEWAYS = members("gateway")


class Principal(Wire, frozen=True):
    """Who a request acts for. `key_id` is set when an API key was presented, `session_id` for a session."""

    user_id: str
    username: str
    email: str
    role: str = "user"
    tier: str = "default"
    key_id: str | None = None
    session_id: str | None = None


class Register(Wire, frozen=True):
    """A new account; a username left out is made from the e-mail."""

    email: str
    password: str
    username: str | None = None


class Account(Wire, frozen=True):
    """An account as others may see it; `created_at` is RFC 3339 in UTC."""

    id: str
    username: str
    email: str
    role: str
    tier: str
    created_at: str


class Registered(Wire, frozen=True):
    """A new account with its first API key; `key` is shown this once."""

    account: Account
    key: "NewApiKey"


class Login(Wire, frozen=True):
    """`username` or `email` names the account; either field takes either."""

    password: str
    email: str | None = None
    username: str | None = None


class Session(Wire, frozen=True):
    """A session: `access_token` is a JWT, valid for `expires_in_s` seconds."""

    access_token: str
    expires_in_s: int
    account: Account


class Credential(Wire, frozen=True):
    """A session token or an API key, to be told whose it is."""

    key: str


class Validated(Wire, frozen=True):
    """Whose credential it is, and for how many seconds a gateway may take that for granted."""

    principal: Principal
    valid_for_s: float


class ApiKey(Wire, frozen=True):
    """An API key without its secret. `prefix` is `hi_` and the public id; times are RFC 3339 in UTC."""

    id: str
    name: str
    prefix: str
    created_at: str
    last_used_at: str | None = None
    is_active: bool = True


class NewApiKey(Wire, frozen=True):
    """An API key with its secret, which is shown this once and stored nowhere."""

    id: str
    name: str
    prefix: str
    created_at: str
    key: str


class GenerateApiKey(Wire, frozen=True):
    """A new key for `user_id`."""

    user_id: str
    name: str


class OfUser(Wire, frozen=True):
    """Names a user by id."""

    user_id: str


class RevokeApiKey(Wire, frozen=True):
    """Ends a key of `user_id`; `id` is the key's id."""

    user_id: str
    id: str


class ApiKeys(Wire, frozen=True, omit_defaults=False):
    """A user's keys, newest first."""

    keys: tuple[ApiKey, ...] = ()


class Jwks(Wire, frozen=True, omit_defaults=False):
    """Public keys that sign session tokens, as RFC 7517 writes them."""

    keys: tuple[dict[str, str], ...] = ()


REGISTER = Method("register", Register, Registered, GATEWAYS, aliases=("registerUser",))
LOGIN = Method("login", Login, Session, GATEWAYS, aliases=("loginUser",))
VERIFY_SESSION = Method("verifySession", Credential, Validated, GATEWAYS)
VALIDATE_API_KEY = Method("validateApiKey", Credential, Validated, GATEWAYS)
GENERATE_API_KEY = Method("generateApiKey", GenerateApiKey, NewApiKey, GATEWAYS)
LIST_API_KEYS = Method("listApiKeys", OfUser, ApiKeys, GATEWAYS)
REVOKE_API_KEY = Method("revokeApiKey", RevokeApiKey, ApiKey, GATEWAYS)
JWKS = Method("getJwks", Nothing, Jwks, GATEWAYS)

METHODS = (
    REGISTER,
    LOGIN,
    VERIFY_SESSION,
    VALIDATE_API_KEY,
    GENERATE_API_KEY,
    LIST_API_KEYS,
    REVOKE_API_KEY,
    JWKS,
)
