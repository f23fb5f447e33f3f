"""Whose a credential is, told from the copy of the directory, by the clock."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperinfer.contracts import directory
from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.directory import GET_DIRECTORY, KeyRecord, SessionRecord, SigningRecord, UserRecord
from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.method import NO_META, Meta, Method, Reply, Request
from hyperinfer.errors import HyperinferError, Overloaded, PeerUnreachable, RateLimited, Unauthenticated, Unavailable
from hyperinfer.kernel.calls import Send
from hyperinfer.protocol import api_keys, session_tokens
from hyperinfer.testing.auth import FakeDirectory
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.gateway import credentials as module
from hyperinfer.workers.gateway.credentials import Credentials
from hyperinfer.workers.gateway.directory import DirectoryCopy, Follower, follow, following

ADA = Principal(user_id="u", username="ada", email="ada@example.com")
GRACE_S = 100.0


class Auth:
    """Answers questions for the directory, unless it is away; it pushes nothing by itself."""

    def __init__(self, tree: FakeDirectory) -> None:
        self.tree = tree
        self.away: HyperinferError | None = None
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def call(
        self,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float = 30.0,
        sink: Send | None = None,
    ) -> Reply:
        if method.name != GET_DIRECTORY.name:
            raise PeerUnreachable("Nobody watches here.")
        self.asked += 1
        page = self.tree.since(cast(Any, request))
        await self.gate.wait()
        if self.away:
            raise self.away
        return cast(Reply, page)


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tree = FakeDirectory()
        self.auth = Auth(self.tree)
        self.copy = DirectoryCopy()
        self.follower = Follower(self.auth, self.copy, clock=self.clock)
        self.credentials = Credentials(self.copy, self.follower, clock=self.clock, grace_s=GRACE_S)
        self.signing = Ed25519PrivateKey.generate()
        self.checks = 0
        self.may_check = 1000
        self.tree.publish(directory.USER, "u", UserRecord(username="ada", email="ada@example.com"))
        self.sign_with("k1")

    def sign_with(self, key_id: str) -> None:
        jwk = session_tokens.public_jwk(self.signing, key_id)
        self.tree.publish(directory.SIGNING, key_id, SigningRecord(jwk=jwk))

    def key(self, name: str = "a", **changes: Any) -> str:
        """A key of Ada's in the directory."""
        text = api_keys.mint().text
        self.tree.publish(directory.KEY, name, KeyRecord(user_id="u", digest=api_keys.digest(text), **changes))
        return text

    def token(self, kid: str = "k1", lifetime_s: int = 600, session_id: str = "s") -> str:
        now = self.clock.now().timestamp()
        return session_tokens.sign(
            ADA, session_id=session_id, key=self.signing, key_id=kid, now=now, lifetime_s=lifetime_s
        )

    async def who(self, key: str) -> Principal:
        return await self.credentials.principal(key, before_check=self._check)

    def _check(self) -> None:
        self.checks += 1
        if self.checks > self.may_check:
            raise RateLimited("Too many tries.", retry_after_s=1.0)


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(follow, "ASK_PAUSE_S", 0.0)
    one = Scene()
    async with following(one.follower, tmp_path):
        yield one


async def test_a_key_that_is_known_costs_no_question(scene: Scene) -> None:
    key = scene.key(scopes=("usage",), models=("m",))
    await scene.follower.catch_up()
    asked = scene.auth.asked
    who = await scene.who(key)
    assert (who.user_id, who.key_id, who.scopes, who.models) == ("u", "a", ("usage",), ("m",))
    assert await scene.who(key) is who
    assert (scene.auth.asked, scene.checks) == (asked, 0)


async def test_a_key_made_a_moment_ago_is_looked_for(scene: Scene) -> None:
    await scene.follower.catch_up()
    assert (await scene.who(scene.key("new"))).key_id == "new"
    assert scene.checks == 1


async def test_a_question_under_way_is_not_taken_for_an_answer(scene: Scene) -> None:
    scene.auth.gate.clear()
    early = asyncio.create_task(scene.follower.catch_up())
    await asyncio.sleep(0)
    late = asyncio.create_task(scene.who(scene.key("late")))
    await asyncio.sleep(0)
    scene.auth.gate.set()
    await early
    assert (await late).key_id == "late"


async def test_many_who_ask_at_once_make_few_questions(scene: Scene) -> None:
    key = scene.key()
    await asyncio.gather(*(scene.who(key) for _ in range(50)))
    assert scene.auth.asked <= 2


async def test_one_who_goes_away_does_not_take_the_answer_from_the_others(scene: Scene) -> None:
    key = scene.key()
    scene.auth.gate.clear()
    first, second = (asyncio.create_task(scene.who(key)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    scene.auth.gate.set()
    assert (await second).user_id == "u"


async def test_those_who_wait_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "MAX_WAITING", 2)
    scene.auth.gate.clear()
    key = scene.key()
    waiting = [asyncio.create_task(scene.who(key)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await scene.who(scene.key("more"))
    scene.auth.gate.set()
    await asyncio.gather(*waiting)


async def test_who_tries_too_many_is_refused_before_auth_is_asked(scene: Scene) -> None:
    scene.may_check = 3
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await scene.who(api_keys.mint().text)
    asked = scene.auth.asked
    with pytest.raises(RateLimited):
        await scene.who(api_keys.mint().text)
    with pytest.raises(RateLimited):
        await scene.who(scene.token())
    assert scene.auth.asked == asked


async def test_a_revoked_key_is_refused(scene: Scene) -> None:
    key = scene.key()
    await scene.who(key)
    scene.tree.publish(directory.KEY, "a", KeyRecord(user_id="u", digest=api_keys.digest(key), is_active=False))
    await scene.follower.catch_up()
    with pytest.raises(Unauthenticated, match="revoked"):
        await scene.who(key)


async def test_a_key_ends_when_it_says_so(scene: Scene) -> None:
    key = scene.key(expires_at=scene.clock.now().timestamp() + 10)
    await scene.who(key)
    scene.clock.advance(9.9)
    await scene.who(key)
    scene.clock.advance(0.1)
    with pytest.raises(Unauthenticated, match="expired"):
        await scene.who(key)


async def test_a_deactivated_person_gets_in_by_nothing(scene: Scene) -> None:
    key, token = scene.key(), scene.token()
    await scene.who(key)
    await scene.who(token)
    scene.tree.publish(directory.USER, "u", UserRecord(username="ada", email="a@example.com", is_active=False))
    await scene.follower.catch_up()
    for credential in (key, token, scene.token(session_id="another")):
        with pytest.raises(Unauthenticated, match="deactivated"):
            await scene.who(credential)


async def test_a_person_who_is_gone_takes_keys_and_sessions_along(scene: Scene) -> None:
    key, token = scene.key(), scene.token()
    await scene.who(key)
    await scene.who(token)
    scene.tree.publish(directory.USER, "u", None)
    await scene.follower.catch_up()
    for credential in (key, token):
        with pytest.raises(Unauthenticated):
            await scene.who(credential)


async def test_role_and_tier_are_what_they_are_now_not_what_the_token_says(scene: Scene) -> None:
    token = scene.token()
    assert (await scene.who(token)).role == "user"
    scene.tree.publish(directory.USER, "u", UserRecord(username="ada", email="e", role="admin", tier="premium"))
    await scene.follower.catch_up()
    who = await scene.who(token)
    assert (who.role, who.tier, who.session_id, who.scopes) == ("admin", "premium", "s", None)


async def test_limits_are_the_tiers_with_the_persons_own_laid_over_and_the_keys_beside(scene: Scene) -> None:
    tier = Limits(requests_per_minute=10, requests_per_hour=100)
    scene.tree.publish(directory.TIER, "default", directory.TierRecord(limits=tier))
    own = Limits(requests_per_minute=5)
    scene.tree.publish(directory.USER, "u", UserRecord(username="ada", email="e", limits=own))
    key = scene.key(limits=Limits(tokens_per_day=7))
    person, of_key = (await scene.who(key)).subjects
    assert (person.id, person.limits) == ("user:u", Limits(requests_per_minute=5, requests_per_hour=100))
    assert (of_key.id, of_key.limits) == ("key:a", Limits(tokens_per_day=7))
    assert [subject.id for subject in (await scene.who(scene.token())).subjects] == ["user:u"]


async def test_an_ended_session_is_refused_and_others_are_not(scene: Scene) -> None:
    ended, other = scene.token(session_id="1"), scene.token(session_id="2")
    await scene.who(ended)
    scene.tree.publish(directory.SESSION, "1", SessionRecord(expires_at=scene.clock.now().timestamp() + 600))
    await scene.follower.catch_up()
    with pytest.raises(Unauthenticated, match="ended"):
        await scene.who(ended)
    assert (await scene.who(other)).session_id == "2"


async def test_a_token_ends_when_it_says_so_however_often_it_was_used(scene: Scene) -> None:
    token = scene.token(lifetime_s=10)
    await scene.who(token)
    scene.clock.advance(9.9)
    await scene.who(token)
    scene.clock.advance(0.1)
    with pytest.raises(Unauthenticated, match="expired"):
        await scene.who(token)


async def test_a_new_signing_key_is_fetched(scene: Scene) -> None:
    await scene.who(scene.token())
    scene.sign_with("k2")
    assert (await scene.who(scene.token("k2"))).user_id == "u"
    with pytest.raises(Unauthenticated):
        await scene.who(scene.token("k3"))


async def test_while_auth_is_away_what_is_known_is_good_and_what_is_not_cannot_be_told(scene: Scene) -> None:
    key, token = scene.key(), scene.token()
    await scene.who(key)
    scene.auth.away = PeerUnreachable("Away.")
    scene.clock.advance(GRACE_S)
    await scene.who(key)
    await scene.who(token)
    for unknown in (scene.key("b"), scene.token("k2")):
        with pytest.raises(Unavailable):
            await scene.who(unknown)


async def test_after_the_grace_time_nobody_is_let_in_until_auth_is_back(scene: Scene) -> None:
    key, token = scene.key(), scene.token()
    await scene.who(key)
    await scene.who(token)
    scene.auth.away = PeerUnreachable("Away.")
    scene.clock.advance(GRACE_S + 0.1)
    for credential in (key, token):
        with pytest.raises(Unavailable, match="too long"):
            await scene.who(credential)
    scene.auth.away = None
    assert (await scene.who(key)).user_id == "u"


async def test_tokens_that_are_remembered_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 3)
    tokens = [scene.token(session_id=str(n)) for n in range(5)]
    for token in tokens:
        await scene.who(token)
    await scene.who(tokens[4])
    assert scene.checks == 5
    await scene.who(tokens[0])
    assert scene.checks == 6


@pytest.mark.parametrize("key", ["", "nonsense", "hi_nothing", "hi_" + "a" * 58, "eyJ", "eyJhbGciOiJub25lIn0.e30."])
async def test_what_cannot_be_a_credential_is_refused_without_asking_auth(scene: Scene, key: str) -> None:
    with pytest.raises(Unauthenticated):
        await scene.who(key)
    assert scene.auth.asked == 0


async def test_the_attacks_on_tokens(scene: Scene) -> None:
    import jwt

    await scene.follower.catch_up()
    now = int(scene.clock.now().timestamp())
    good = {
        "sub": "u", "jti": "s", "iat": now, "nbf": now, "exp": now + 600, "username": "ada", "email": "e",
        "role": "admin", "tier": "t", "iss": session_tokens.ISSUER, "aud": session_tokens.AUDIENCE,
    }  # fmt: skip
    headers = {"kid": "k1"}
    public = scene.copy.jwks[0]["x"]
    forged = [
        jwt.encode(good, "", algorithm="none", headers=headers),
        jwt.encode(good, public.ljust(64, "x"), algorithm="HS256", headers=headers),
        jwt.encode(good, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=headers),
        jwt.encode(good | {"aud": "another"}, scene.signing, algorithm="EdDSA", headers=headers),
        jwt.encode(good | {"iss": "another"}, scene.signing, algorithm="EdDSA", headers=headers),
        jwt.encode(good | {"exp": now}, scene.signing, algorithm="EdDSA", headers=headers),
        jwt.encode(good | {"nbf": now + 3600}, scene.signing, algorithm="EdDSA", headers=headers),
        jwt.encode(good | {"iat": now + 3600}, scene.signing, algorithm="EdDSA", headers=headers),
        jwt.encode(good | {"sub": "nobody"}, scene.signing, algorithm="EdDSA", headers=headers),
        jwt.encode({}, scene.signing, algorithm="EdDSA", headers=headers),
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            await scene.who(token)
    assert (await scene.who(jwt.encode(good, scene.signing, algorithm="EdDSA", headers=headers))).role == "user"
