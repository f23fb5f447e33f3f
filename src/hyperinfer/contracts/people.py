"""What people ask about their own account, sessions and API keys, and administrators about everybody's.

These are methods of the gateway; auth answers them under the same names (`acting.at_auth`). Times are RFC 3339 in UTC.
An id that is not the caller's own is answered as one that does not exist.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.method import ADMIN, PUBLIC, Method, Nothing, Wire, user

Role = Literal["user", "admin"]
Scope = Literal["inference", "usage", "account", "admin"]
SCOPES: tuple[Scope, ...] = ("inference", "usage", "account", "admin")
"""What an API key may do: reach models; read its holder's usage and quota; manage the account's keys and profile; act
as an administrator, where its holder is one. Passwords, sessions and the account's end take a session."""
FIRST_SCOPES: tuple[Scope, ...] = ("inference", "usage")

MAX_PAGE = 200
PageSize = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
Text = Annotated[str, Meta(max_length=200)]
Id = Annotated[str, Meta(max_length=64)]
Cursor = Annotated[str, Meta(max_length=200)]
Password = Annotated[str, Meta(max_length=1024)]

ACCOUNT = user("account")
SESSION = user("session")
"""Needs a session: no API key has this scope."""


# --- accounts ------------------------------------------------------------------------------------------------


class Account(Wire, frozen=True):
    """An account as its owner and administrators see it; `limits` are those set for it over its tier's."""

    id: str
    username: str
    email: str
    role: str
    tier: str
    created_at: str
    is_active: bool = True
    last_login_at: str | None = None
    limits: Limits | None = None


class Accounts(Wire, frozen=True, omit_defaults=False):
    """A page of accounts; `next` is the cursor of the page after it, if there is one."""

    accounts: tuple[Account, ...] = ()
    next: str | None = None


class UpdateAccount(Wire, frozen=True):
    """Another name or e-mail for the caller's own account; what is left out stays. Role and tier are not a person's
    to choose. A new e-mail takes the `password`."""

    username: Text | None = None
    email: Text | None = None
    password: Password | None = None


class ChangePassword(Wire, frozen=True):
    """A new password, by who knows the current one. Every other session ends."""

    current: Password
    new: Password


class WithPassword(Wire, frozen=True):
    """What must be said again for what cannot be undone."""

    password: Password


class Export(Wire, frozen=True, omit_defaults=False):
    """All that is kept of a person: the account, keys, sessions, usage by day and the last requests, as JSON."""

    document: msgspec.Raw


class ResetPassword(Wire, frozen=True):
    """A new password by a one-time token that an administrator has issued."""

    token: Text
    password: Password


# --- sessions ------------------------------------------------------------------------------------------------


class Session(Wire, frozen=True):
    """A session: `access_token` is a JWT, valid for `expires_in_s` seconds."""

    access_token: str
    expires_in_s: int
    account: Account


class OpenSession(Wire, frozen=True):
    """A session that lasts. `agent` is what its client called itself, `remote` where it logged in from."""

    id: str
    created_at: str
    expires_at: str
    agent: str = ""
    remote: str = ""
    current: bool = False


class OpenSessions(Wire, frozen=True, omit_defaults=False):
    """The sessions of one person that last, newest first."""

    sessions: tuple[OpenSession, ...] = ()


class EndSessions(Wire, frozen=True):
    """Ends the session `id`; without one, every session but the caller's own."""

    id: Id | None = None


# --- API keys ------------------------------------------------------------------------------------------------

Models = Annotated[tuple[Text, ...], Meta(max_length=64)]
Scopes = Annotated[tuple[Scope, ...], Meta(max_length=len(SCOPES))]


class ApiKey(Wire, frozen=True):
    """An API key without its secret. `prefix` is `hi_` and the public id.

    `models` are those that it may use (a `*` at the end stands for any ending), none meaning all; `limits` are its own,
    beside those of its holder.
    """

    id: str
    name: str
    prefix: str
    created_at: str
    last_used_at: str | None = None
    is_active: bool = True
    expires_at: str | None = None
    scopes: tuple[str, ...] = FIRST_SCOPES
    models: tuple[str, ...] = ()
    limits: Limits | None = None


class NewApiKey(Wire, frozen=True):
    """An API key with its secret, which is shown this once and stored nowhere."""

    id: str
    name: str
    prefix: str
    created_at: str
    key: str
    expires_at: str | None = None
    scopes: tuple[str, ...] = FIRST_SCOPES
    models: tuple[str, ...] = ()
    limits: Limits | None = None


class ApiKeys(Wire, frozen=True, omit_defaults=False):
    """A user's keys, newest first."""

    keys: tuple[ApiKey, ...] = ()


class GenerateApiKey(Wire, frozen=True):
    """A new key for the caller. `expires_at` is RFC 3339. Nobody gives a key more than they may do themselves."""

    name: Text = "unnamed"
    expires_at: Annotated[str, Meta(max_length=40)] | None = None
    scopes: Scopes = FIRST_SCOPES
    models: Models = ()
    limits: Limits | None = None


class UpdateApiKey(Wire, frozen=True):
    """Changes one of the caller's keys; what is left out stays. An empty `expires_at` takes the expiry away, empty `limits`
    its own limits."""

    id: Id
    name: Text | None = None
    expires_at: Annotated[str, Meta(max_length=40)] | None = None
    scopes: Scopes | None = None
    models: Models | None = None
    limits: Limits | None = None


class RotateApiKey(Wire, frozen=True):
    """A new secret for one of the caller's keys; the old one still works for `overlap_s` seconds."""

    id: Id
    overlap_s: Annotated[int, Meta(ge=0, le=30 * 24 * 3600)] = 24 * 3600


class OfKey(Wire, frozen=True):
    """Names one of the caller's keys by id."""

    id: Id


# --- administration ------------------------------------------------------------------------------------------


class FindAccounts(Wire, frozen=True):
    """Accounts by name, oldest first; `query` is a part of a username or e-mail."""

    query: Text = ""
    cursor: Cursor | None = None
    limit: PageSize = 50


class OfAccount(Wire, frozen=True):
    """Names an account by id."""

    id: Id


class CreateAccount(Wire, frozen=True):
    """A new account by an administrator; without a password, one is set by the reset token in the answer."""

    email: Text
    username: Text | None = None
    password: Password | None = None
    role: Role = "user"
    tier: Text = "default"


class CreatedAccount(Wire, frozen=True):
    """A new account; `reset` is there where no password was given."""

    account: Account
    reset: "NewReset | None" = None


class ChangeAccount(Wire, frozen=True):
    """What an administrator changes of an account; what is left out stays. `limits` replace those set before, and are
    taken away by empty ones."""

    id: Id
    role: Role | None = None
    tier: Text | None = None
    is_active: bool | None = None
    limits: Limits | None = None


class NewReset(Wire, frozen=True):
    """A token with which a person sets a new password, once. It is shown this once."""

    token: str
    expires_at: str
    account_id: str


class InvitePerson(Wire, frozen=True):
    """A code with which somebody may register, once; with an `email`, only under that one."""

    email: Text | None = None
    role: Role = "user"
    tier: Text = "default"
    valid_s: Annotated[int, Meta(ge=60, le=90 * 24 * 3600)] = 7 * 24 * 3600


class PersonInvite(Wire, frozen=True):
    """An invitation to register; `code` is there only when it has just been made. `state` is `open`, `used`, `expired`
    or `revoked`."""

    id: str
    role: str
    tier: str
    created_at: str
    expires_at: str
    state: str = "open"
    email: str | None = None
    code: str | None = None


class PersonInvites(Wire, frozen=True, omit_defaults=False):
    """Invitations to register, newest first."""

    invites: tuple[PersonInvite, ...] = ()


class OfInvite(Wire, frozen=True):
    """Names an invitation by id."""

    id: Id


class Tier(Wire, frozen=True):
    """A tier and what it limits."""

    name: str
    limits: Limits


class Tiers(Wire, frozen=True, omit_defaults=False):
    """Every tier."""

    tiers: tuple[Tier, ...] = ()


GET_ACCOUNT = Method("getAccount", Nothing, Account, ACCOUNT)
UPDATE_ACCOUNT = Method("updateAccount", UpdateAccount, Account, SESSION)
CHANGE_PASSWORD = Method("changePassword", ChangePassword, Nothing, SESSION)
DELETE_ACCOUNT = Method("deleteAccount", WithPassword, Nothing, SESSION)
EXPORT_ACCOUNT = Method("exportAccount", Nothing, Export, SESSION)
REFRESH = Method("refreshSession", Nothing, Session, SESSION)
LOGOUT = Method("logout", Nothing, Nothing, SESSION)
LIST_SESSIONS = Method("listSessions", Nothing, OpenSessions, SESSION)
END_SESSIONS = Method("endSessions", EndSessions, OpenSessions, SESSION)
GENERATE_API_KEY = Method("generateApiKey", GenerateApiKey, NewApiKey, ACCOUNT)
LIST_API_KEYS = Method("listApiKeys", Nothing, ApiKeys, ACCOUNT)
UPDATE_API_KEY = Method("updateApiKey", UpdateApiKey, ApiKey, ACCOUNT)
ROTATE_API_KEY = Method("rotateApiKey", RotateApiKey, NewApiKey, ACCOUNT)
REVOKE_API_KEY = Method("revokeApiKey", OfKey, ApiKey, ACCOUNT)

LIST_ACCOUNTS = Method("listAccounts", FindAccounts, Accounts, ADMIN)
SHOW_ACCOUNT = Method("showAccount", OfAccount, Account, ADMIN)
CREATE_ACCOUNT = Method("createAccount", CreateAccount, CreatedAccount, ADMIN)
CHANGE_ACCOUNT = Method("changeAccount", ChangeAccount, Account, ADMIN)
REMOVE_ACCOUNT = Method("removeAccount", OfAccount, Nothing, ADMIN)
ISSUE_RESET = Method("issueReset", OfAccount, NewReset, ADMIN)
INVITE_PERSON = Method("invitePerson", InvitePerson, PersonInvite, ADMIN)
LIST_PERSON_INVITES = Method("listPersonInvites", Nothing, PersonInvites, ADMIN)
REVOKE_PERSON_INVITE = Method("revokePersonInvite", OfInvite, PersonInvite, ADMIN)
LIST_TIERS = Method("listTiers", Nothing, Tiers, ADMIN)

RESET_PASSWORD = Method("resetPassword", ResetPassword, Nothing, PUBLIC)
"""The one method here that needs no credential: the token is one. Auth has it under the same name, for gateways."""

OWN = (
    GET_ACCOUNT,
    UPDATE_ACCOUNT,
    CHANGE_PASSWORD,
    DELETE_ACCOUNT,
    EXPORT_ACCOUNT,
    REFRESH,
    LOGOUT,
    LIST_SESSIONS,
    END_SESSIONS,
    GENERATE_API_KEY,
    LIST_API_KEYS,
    UPDATE_API_KEY,
    ROTATE_API_KEY,
    REVOKE_API_KEY,
)
"""A person's methods on what is their own."""

ADMINISTRATION = (
    LIST_ACCOUNTS,
    SHOW_ACCOUNT,
    CREATE_ACCOUNT,
    CHANGE_ACCOUNT,
    REMOVE_ACCOUNT,
    ISSUE_RESET,
    INVITE_PERSON,
    LIST_PERSON_INVITES,
    REVOKE_PERSON_INVITE,
    LIST_TIERS,
)
"""An administrator's methods."""

PASSED_ON = (*OWN, *ADMINISTRATION)
"""What a gateway passes on to auth with who asks."""
