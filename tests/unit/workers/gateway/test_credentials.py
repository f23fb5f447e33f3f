"""Credentials by the clock: how long they are taken for granted, also while auth is away."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperinfer.contracts.auth import JWKS, VALIDATE_API_KEY, Jwks, Principal, Validated
from hyperinfer.contracts.method import NO_META, Meta, Method, Reply, Request
from hyperinfer.errors import HyperinferError, Overloaded, PeerUnreachable, Unauthenticated, Unavailable
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Send
from hyperinfer.protocol import api_keys, session_tokens
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.gateway import credentials as module
from hyperinfer.workers.gateway.credentials import REJECTED_S, Credentials
from hyperinfer.workers.gateway.sessions import ASK_AGAIN_S, Sessions

ADA = Principal(user_id="u", username="ada", email="ada@example.com")
VALID_S, GRACE_S = 2.0, 100.0
KEYS = {name: api_keys.mint().text for name in ("a", "b", "unknown", "one more", *"01234")}


class Auth:
    """Answers by `reply`, or raises it; counts what it is asked."""

    def __init__(self) -> None:
        self.reply: Any = Validated(ADA, VALID_S)
        self.signing = {"k1": Ed25519PrivateKey.generate()}
        self.asked: list[str] = []
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
        self.asked.append(method.name)
        await self.gate.wait()
        if isinstance(self.reply, HyperinferError):
            raise self.reply
        if method.name == JWKS.name:
            keys = tuple(session_tokens.public_jwk(key, name) for name, key in self.signing.items())
            return cast(Reply, Jwks(keys=keys))
        return cast(Reply, self.reply)

    def validations(self) -> int:
        return self.asked.count(VALIDATE_API_KEY.name)


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.auth = Auth()
        self.sessions = Sessions(self.auth, clock=self.clock)
        self.credentials = Credentials(self.auth, self.sessions, clock=self.clock, grace_s=GRACE_S)

    def token(self, kid: str = "k1", lifetime_s: int = 600) -> str:
        now = self.clock.now().timestamp()
        key = self.auth.signing[kid]
        return session_tokens.sign(ADA, session_id="s", key=key, key_id=kid, now=now, lifetime_s=lifetime_s)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    one = Scene()
    async with background(one.credentials.run(), name="credentials"):
        await asyncio.sleep(0)
        yield one


async def test_a_key_is_taken_for_granted_as_long_as_auth_says(scene: Scene) -> None:
    assert await scene.credentials.principal(KEYS["a"]) == ADA
    scene.clock.advance(VALID_S - 0.01)
    await scene.credentials.principal(KEYS["a"])
    assert scene.auth.validations() == 1
    scene.clock.advance(0.01)
    await scene.credentials.principal(KEYS["a"])
    assert scene.auth.validations() == 2


async def test_many_who_ask_at_once_make_one_question(scene: Scene) -> None:
    await asyncio.gather(*(scene.credentials.principal(KEYS["a"]) for _ in range(50)))
    assert scene.auth.validations() == 1


async def test_one_who_goes_away_does_not_take_the_answer_from_the_others(scene: Scene) -> None:
    scene.auth.gate.clear()
    first = asyncio.create_task(scene.credentials.principal(KEYS["a"]))
    second = asyncio.create_task(scene.credentials.principal(KEYS["a"]))
    await asyncio.sleep(0)
    first.cancel()
    scene.auth.gate.set()
    assert await second == ADA
    assert scene.auth.validations() == 1


async def test_questions_under_way_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ASKING", 2)
    scene.auth.gate.clear()
    waiting = [asyncio.create_task(scene.credentials.principal(KEYS[str(n)])) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await scene.credentials.principal(KEYS["one more"])
    scene.auth.gate.set()
    await asyncio.gather(*waiting)


async def test_a_wrong_key_is_remembered_as_such_for_a_moment(scene: Scene) -> None:
    scene.auth.reply = Unauthenticated("No.")
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await scene.credentials.principal(KEYS["a"])
    assert scene.auth.validations() == 1
    scene.auth.reply = Validated(ADA, VALID_S)
    scene.clock.advance(REJECTED_S)
    assert await scene.credentials.principal(KEYS["a"]) == ADA


async def test_while_auth_is_away_a_key_stays_good_for_the_grace_time_and_no_longer(scene: Scene) -> None:
    await scene.credentials.principal(KEYS["a"])
    scene.auth.reply = PeerUnreachable("Away.")
    scene.clock.advance(VALID_S + GRACE_S - 0.01)
    assert await scene.credentials.principal(KEYS["a"]) == ADA
    with pytest.raises(Unavailable):
        await scene.credentials.principal(KEYS["unknown"])
    scene.clock.advance(0.01)
    with pytest.raises(Unavailable):
        await scene.credentials.principal(KEYS["a"])


async def test_while_auth_is_silent_a_known_key_waits_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.02)
    for key in (KEYS["a"], KEYS["b"]):
        await scene.credentials.principal(key)
    scene.clock.advance(VALID_S)
    scene.auth.gate.clear()
    assert await scene.credentials.principal(KEYS["a"]) == ADA
    monkeypatch.setattr(module, "PATIENCE_S", 60.0)
    async with asyncio.timeout(1):
        assert await scene.credentials.principal(KEYS["a"]) == ADA
        assert await scene.credentials.principal(KEYS["b"]) == ADA
    scene.auth.gate.set()


async def test_a_key_revoked_while_auth_was_away_is_refused_when_it_is_back(scene: Scene) -> None:
    await scene.credentials.principal(KEYS["a"])
    scene.clock.advance(VALID_S)
    scene.auth.reply = PeerUnreachable("Away.")
    await scene.credentials.principal(KEYS["a"])
    scene.auth.reply = Unauthenticated("Revoked.")
    scene.auth.gate.clear()
    await scene.credentials.principal(KEYS["a"])  # while auth counts as away, it is asked without waiting
    scene.auth.gate.set()
    with pytest.raises(Unauthenticated):
        await scene.credentials.principal(KEYS["a"])


async def test_what_is_remembered_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 3)
    for n in range(5):
        await scene.credentials.principal(KEYS[str(n)])
    await scene.credentials.principal(KEYS["4"])
    assert scene.auth.validations() == 5
    await scene.credentials.principal(KEYS["0"])
    assert scene.auth.validations() == 6


async def test_a_token_is_verified_here(scene: Scene) -> None:
    who = await scene.credentials.principal(scene.token())
    assert (who.user_id, who.session_id) == ("u", "s")
    await scene.credentials.principal(scene.token())
    assert scene.auth.asked == [JWKS.name]


async def test_a_token_ends_when_it_says_so_however_often_it_was_used(scene: Scene) -> None:
    token = scene.token(lifetime_s=10)
    await scene.credentials.principal(token)
    scene.clock.advance(9.9)
    await scene.credentials.principal(token)
    scene.clock.advance(0.1)
    with pytest.raises(Unauthenticated, match="expired"):
        await scene.credentials.principal(token)


async def test_tokens_are_verified_while_auth_is_away_once_its_keys_are_known(scene: Scene) -> None:
    token = scene.token()
    scene.auth.reply = PeerUnreachable("Away.")
    with pytest.raises(Unavailable):
        await scene.credentials.principal(token)
    scene.auth.reply = Validated(ADA, VALID_S)
    await scene.credentials.principal(token)
    scene.auth.reply = PeerUnreachable("Away.")
    scene.clock.advance(300)
    await scene.credentials.principal(token)


async def test_a_new_signing_key_is_fetched_though_not_for_every_unknown_name(scene: Scene) -> None:
    await scene.credentials.principal(scene.token())
    scene.auth.signing["k2"] = Ed25519PrivateKey.generate()
    with pytest.raises(Unauthenticated):
        await scene.credentials.principal(scene.token("k2"))
    scene.clock.advance(ASK_AGAIN_S)
    assert (await scene.credentials.principal(scene.token("k2"))).user_id == "u"
    assert scene.auth.asked.count(JWKS.name) == 2


@pytest.mark.parametrize("key", ["", "nonsense", "hi_nothing", KEYS["a"][:-1], KEYS["a"][:-1] + "!", KEYS["a"] + " "])
async def test_what_cannot_be_a_key_is_refused_without_asking_auth(scene: Scene, key: str) -> None:
    with pytest.raises(Unauthenticated):
        await scene.credentials.principal(key)
    assert scene.auth.asked == []
