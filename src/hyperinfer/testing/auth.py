"""An auth worker that knows the people a test names, signs real session tokens and tells gateways of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts import directory, people
from hyperinfer.contracts.acting import As, at_auth
from hyperinfer.contracts.audit import NOTE_OPERATION, Operation
from hyperinfer.contracts.auth import Jwks, Principal
from hyperinfer.contracts.directory import AliasRecord, Change, Changes, KeyRecord, Since, TierRecord, UserRecord
from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import Account, ApiKey, ApiKeys, NewApiKey, Session
from hyperinfer.contracts.usage import RECORD_USAGE, Recorded, RecordUsage, UsageRecord
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
BEAT_S = 1.0
DEFAULT_TIER = Limits(requests_per_minute=10, requests_per_hour=100)

_encoder = msgspec.json.Encoder()


class FakeDirectory:
    """The directory as gateways read it."""

    def __init__(self) -> None:
        self.id = "fake"
        self.seq = 0
        self.reads = 0
        self._newest: dict[tuple[str, str], Change] = {}
        self._changed = asyncio.Event()

    def publish(self, kind: str, id: str, record: msgspec.Struct | None) -> None:  # noqa: A002 - the contract's word
        """Say what a record is now."""
        self.seq += 1
        raw = msgspec.Raw(_encoder.encode(record))
        self._newest[(kind, id)] = Change(seq=self.seq, kind=kind, id=id, record=raw)
        self._changed.set()
        self._changed = asyncio.Event()

    def since(self, since: Since) -> Changes:
        """What is newer, in one page."""
        self.reads += 1
        is_whole = since.directory != self.id or since.seq > self.seq
        read = 0 if is_whole else since.seq
        newer = sorted((one for one in self._newest.values() if one.seq > read), key=lambda one: one.seq)
        return Changes(directory=self.id, seq=self.seq, changes=tuple(newer), is_whole=is_whole)

    async def get(self, request: Since, call: Call) -> Changes:
        """What is newer now."""
        return self.since(request)

    async def watch(self, request: Since, call: Call) -> Nothing:
        """What is newer, and then what comes, until cancelled."""
        while True:
            changed = self._changed
            page = self.since(request)
            await call.stream([_encoder.encode(page)])
            request = Since(directory=page.directory, seq=page.seq)
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await changed.wait()


class FakeAuth:
    """Accounts by e-mail and API keys in memory; `PASSWORD` is everybody's password. `usage` and `noted` are what it was told of, `aliases` are models with
    blanks between them."""

    def __init__(self, *, clock: Clock | None = None, tiers: dict[str, Limits] | None = None, **aliases: str) -> None:
        self.accounts: dict[str, Principal] = {}
        self.keys: dict[str, Principal] = {}
        self.usage: dict[str, UsageRecord] = {}
        self.noted: list[tuple[str, Operation]] = []
        self.directory = FakeDirectory()
        self._clock = clock or SystemClock()
        self._signing = Ed25519PrivateKey.generate()
        signing = directory.SigningRecord(jwk=session_tokens.public_jwk(self._signing, KEY_ID))
        self.directory.publish(directory.SIGNING, KEY_ID, signing)
        for name, limits in {"unlimited": Limits(), **(tiers or {"default": DEFAULT_TIER})}.items():
            self.directory.publish(directory.TIER, name, TierRecord(limits=limits))
        for alias, models in aliases.items():
            self.directory.publish(directory.ALIAS, alias, AliasRecord(models=tuple(models.split())))

    def person(self, name: str, *, tier: str = "unlimited", role: str = "user", limits: Limits | None = None) -> str:
        """Add a person; returns an API key."""
        email = f"{name}@example.com"
        who = self.accounts[email] = Principal(user_id=f"id-{name}", username=name, email=email, role=role, tier=tier)
        record = UserRecord(username=name, email=email, role=role, tier=tier, limits=limits)
        self.directory.publish(directory.USER, who.user_id, record)
        return self._new_key(who, people.GenerateApiKey(name="default", scopes=people.SCOPES)).key

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

    def revoke(self, key: str) -> None:
        """End a key."""
        who = self.keys.pop(key)
        assert who.key_id is not None
        record = KeyRecord(user_id=who.user_id, digest=api_keys.digest(key), is_active=False)
        self.directory.publish(directory.KEY, who.key_id, record)

    def worker(self) -> WorkerType[WorkerSettings]:
        """The worker, to be run in a swarm."""
        return WorkerType(name="auth", settings=WorkerSettings, observe_port=9101, open=self._open)

    @asynccontextmanager
    async def _open(self, context: Context[WorkerSettings], own: Caller) -> AsyncIterator[Service]:
        yield Service(
            routes=(
                route(contract.REGISTER, self._register),
                route(contract.LOGIN, self._login),
                route(contract.JWKS, self._jwks),
                route(directory.GET_DIRECTORY, self.directory.get),
                route(directory.WATCH_DIRECTORY, self.directory.watch),
                route(at_auth(people.GENERATE_API_KEY), self._generate),
                route(at_auth(people.LIST_API_KEYS), self._list),
                route(at_auth(people.REVOKE_API_KEY), self._revoke),
                route(RECORD_USAGE, self._record),
                route(NOTE_OPERATION, self._note),
            ),
            announces=("auth",),
        )

    async def _register(self, request: contract.Register, call: Call) -> contract.Registered:
        if request.email in self.accounts:
            raise Conflict("This e-mail has an account already.")
        name = request.username or request.email.partition("@")[0]
        who = self.accounts[request.email] = Principal(user_id=f"id-{name}", username=name, email=request.email)
        self.directory.publish(directory.USER, who.user_id, UserRecord(username=name, email=request.email))
        return contract.Registered(account=_account(who), key=self._new_key(who, people.GenerateApiKey(name="default")))

    async def _login(self, request: contract.Login, call: Call) -> Session:
        named = {request.email, request.username}
        for who in self.accounts.values():
            if named & {who.email, who.username} and request.password == PASSWORD:
                return Session(access_token=self.token(who.username), expires_in_s=SESSION_S, account=_account(who))
        raise Unauthenticated("The name or the password is wrong.")

    async def _generate(self, request: As[people.GenerateApiKey], call: Call) -> NewApiKey:
        return self._new_key(self._by_id(request.actor.user_id), request.wanted)

    async def _list(self, request: As[Nothing], call: Call) -> ApiKeys:
        return ApiKeys(keys=tuple(_shown(who) for who in self.keys.values() if who.user_id == request.actor.user_id))

    async def _revoke(self, request: As[people.OfKey], call: Call) -> ApiKey:
        for key, who in self.keys.items():
            if (who.key_id, who.user_id) == (request.wanted.id, request.actor.user_id):
                self.revoke(key)
                return msgspec.structs.replace(_shown(who), is_active=False)
        raise NotFound("You have no such key.")

    async def _jwks(self, request: Nothing, call: Call) -> Jwks:
        return Jwks(keys=(session_tokens.public_jwk(self._signing, KEY_ID),))

    async def _record(self, request: RecordUsage, call: Call) -> Recorded:
        for record in request.records:
            self.usage.setdefault(record.id, record)
        return Recorded(ids=tuple(record.id for record in request.records))

    async def _note(self, request: As[Operation], call: Call) -> Nothing:
        self.noted.append((request.actor.user_id, request.wanted))
        return Nothing()

    def _by_id(self, user_id: str) -> Principal:
        return next(who for who in self.accounts.values() if who.user_id == user_id)

    def _new_key(self, who: Principal, wanted: people.GenerateApiKey) -> NewApiKey:
        key = api_keys.mint()
        key_id = f"key-{len(self.keys) + 1}"
        self.keys[key.text] = msgspec.structs.replace(who, key_id=key_id)
        record = KeyRecord(
            user_id=who.user_id,
            digest=key.digest,
            scopes=wanted.scopes,
            models=wanted.models,
            limits=wanted.limits,
        )
        self.directory.publish(directory.KEY, key_id, record)
        return NewApiKey(id=key_id, name=wanted.name, prefix=key.prefix, created_at=CREATED_AT, key=key.text)


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
