"""An auth worker that knows the people a test names, and signs real session tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts import people
from hyperinfer.contracts.acting import As, at_auth
from hyperinfer.contracts.auth import Jwks, Principal, Validated
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import Account, ApiKey, ApiKeys, NewApiKey, Session
from hyperinfer.errors import Conflict, NotFound, Unauthenticated
from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.kernel.calls import Call, Caller, route
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.protocol import api_keys, session_tokens

CREATED_AT = "2026-01-01T00:00:00Z"
PASSWORD = "correct horse battery"
KEY_ID = "signing-1"
SESSION_S = 3600


class FakeAuth:
    """Accounts by e-mail and API keys in memory; `PASSWORD` is everybody's password."""

    def __init__(self, *, valid_for_s: float = 2.0, clock: Clock | None = None) -> None:
        self.valid_for_s = valid_for_s
        self.accounts: dict[str, Principal] = {}
        self.keys: dict[str, Principal] = {}
        self.validations = 0
        self._clock = clock or SystemClock()
        self._signing = Ed25519PrivateKey.generate()

    def person(self, name: str, *, tier: str = "unlimited", role: str = "user") -> str:
        """Add a person; returns an API key."""
        email = f"{name}@example.com"
        self.accounts[email] = Principal(user_id=f"id-{name}", username=name, email=email, role=role, tier=tier)
        return self._new_key(self.accounts[email], "default").key

    def token(self, name: str) -> str:
        """A session token of a person."""
        return session_tokens.sign(
            self.accounts[f"{name}@example.com"],
            session_id=f"session-{name}",
            key=self._signing,
            key_id=KEY_ID,
            now=self._clock.now().timestamp(),
            lifetime_s=SESSION_S,
        )

    def worker(self) -> WorkerType[WorkerSettings]:
        """The worker, to be run in a swarm."""
        return WorkerType(name="auth", settings=WorkerSettings, observe_port=9101, open=self._open)

    @asynccontextmanager
    async def _open(self, context: Context[WorkerSettings], own: Caller) -> AsyncIterator[Service]:
        yield Service(
            routes=(
                route(contract.REGISTER, self._register),
                route(contract.LOGIN, self._login),
                route(contract.VALIDATE_API_KEY, self._validate),
                route(at_auth(people.GENERATE_API_KEY), self._generate),
                route(at_auth(people.LIST_API_KEYS), self._list),
                route(at_auth(people.REVOKE_API_KEY), self._revoke),
                route(contract.JWKS, self._jwks),
            ),
            announces=("auth",),
        )

    async def _register(self, request: contract.Register, call: Call) -> contract.Registered:
        if request.email in self.accounts:
            raise Conflict("This e-mail has an account already.")
        name = request.username or request.email.partition("@")[0]
        self.accounts[request.email] = Principal(user_id=f"id-{name}", username=name, email=request.email)
        who = self.accounts[request.email]
        return contract.Registered(account=_account(who), key=self._new_key(who, "default"))

    async def _login(self, request: contract.Login, call: Call) -> Session:
        named = {request.email, request.username}
        for who in self.accounts.values():
            if named & {who.email, who.username} and request.password == PASSWORD:
                return Session(access_token=self.token(who.username), expires_in_s=SESSION_S, account=_account(who))
        raise Unauthenticated("The name or the password is wrong.")

    async def _validate(self, request: contract.Credential, call: Call) -> Validated:
        self.validations += 1
        if request.key not in self.keys:
            raise Unauthenticated("This key is not valid.")
        return Validated(principal=self.keys[request.key], valid_for_s=self.valid_for_s)

    async def _generate(self, request: As[people.GenerateApiKey], call: Call) -> NewApiKey:
        return self._new_key(self._by_id(request.actor.user_id), request.wanted.name)

    async def _list(self, request: As[Nothing], call: Call) -> ApiKeys:
        return ApiKeys(keys=tuple(_shown(who) for who in self.keys.values() if who.user_id == request.actor.user_id))

    async def _revoke(self, request: As[people.OfKey], call: Call) -> ApiKey:
        for key, who in self.keys.items():
            if (who.key_id, who.user_id) == (request.wanted.id, request.actor.user_id):
                del self.keys[key]
                return msgspec.structs.replace(_shown(who), is_active=False)
        raise NotFound("You have no such key.")

    async def _jwks(self, request: Nothing, call: Call) -> Jwks:
        return Jwks(keys=(session_tokens.public_jwk(self._signing, KEY_ID),))

    def _by_id(self, user_id: str) -> Principal:
        return next(who for who in self.accounts.values() if who.user_id == user_id)

    def _new_key(self, who: Principal, name: str) -> NewApiKey:
        key = api_keys.mint()
        key_id = f"key-{len(self.keys) + 1}"
        self.keys[key.text] = msgspec.structs.replace(who, key_id=key_id)
        return NewApiKey(id=key_id, name=name, prefix=key.prefix, created_at=CREATED_AT, key=key.text)


def _account(who: Principal) -> Account:
    return Account(
        id=who.user_id,
        username=who.username,
        email=who.email,
        role=who.role,
        tier=who.tier,
        created_at=CREATED_AT,
    )


def _shown(who: Principal) -> ApiKey:
    return ApiKey(id=who.key_id or "", name="key", prefix="hi_", created_at=CREATED_AT)
