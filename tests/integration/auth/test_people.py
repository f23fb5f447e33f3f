"""Accounts and sessions on a real database."""

import asyncio
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update

from hyperinfer.contracts.auth import Login, Register
from hyperinfer.errors import BadRequest, Conflict, Forbidden, Unauthenticated
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.protocol import session_tokens
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import User
from hyperinfer.workers.auth.parts import parts_on

from .conftest import PASSWORD, Office


async def deactivate(office: Office, user_id: str) -> None:
    async with office.store._database.write() as session:
        await session.execute(update(User).where(User.id == user_id).values(is_active=False))


# --- registering ---------------------------------------------------------------------------------------------


async def test_registering_makes_an_account_and_a_first_key(office: Office) -> None:
    made = await office.person()
    assert (made.account.username, made.account.role, made.account.tier) == ("ada", "user", "default")
    assert made.account.created_at == "2026-11-01T00:00:00Z"
    assert made.key.name == "default"
    who = (await office.keys.validate(made.key.key)).principal
    assert (who.user_id, who.key_id) == (made.account.id, made.key.id)


async def test_a_taken_name_is_told_and_a_made_up_one_is_avoided(office: Office) -> None:
    await office.person()
    with pytest.raises(Conflict):
        await office.person()
    with pytest.raises(Conflict):
        await office.people.register(Register(email="ADA@example.org ", password=PASSWORD))
    with pytest.raises(Conflict):
        await office.people.register(Register(email="b@example.org", password=PASSWORD, username="ADA"))
    other = await office.people.register(Register(email="ada@other.org", password=PASSWORD))
    assert other.account.username.startswith("ada")
    assert other.account.username != "ada"


async def test_two_who_register_one_name_at_once(office: Office) -> None:
    results = await asyncio.gather(*(office.person() for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 3
    chosen = [Register(email=f"eve@{host}.org", password=PASSWORD, username="eve") for host in "xyz"]
    results = await asyncio.gather(*(office.people.register(one) for one in chosen), return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 2
    same_start = [Register(email=f"bob@{host}.org", password=PASSWORD) for host in "xyz"]
    made = await asyncio.gather(*(office.people.register(one) for one in same_start))
    assert len({one.account.username for one in made}) == 3


async def test_two_processes_that_register_one_name_at_once(office: Office) -> None:
    async with parts_on(office.data, AuthSettings(), SystemClock()) as other:
        request = Register(email="ada@example.org", password=PASSWORD)
        asked = [service.register(request) for service in (office.people, other.service, office.people, other.service)]
        results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 3


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (Register(email="nonsense", password=PASSWORD), "email"),
        (Register(email="a@b.c", password="short"), "password"),
        (Register(email="a@b.c", password="12345678"), "password"),
        (Register(email="adalovelace@b.c", password="adalovelace"), "password"),
        (Register(email="a@b.c", password=PASSWORD, username="a b"), "username"),
        (Register(email="a@b.c", password=PASSWORD, username="admin"), "username"),
        (Register(email="admin@hyperinfer.local", password=PASSWORD), "email"),
    ],
)
async def test_what_cannot_be_an_account_is_told_by_field(office: Office, request_: Register, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await office.people.register(request_)
    assert caught.value.details == {"param": param}


async def test_closed_registration_makes_no_account(tmp_path: Path) -> None:
    async with parts_on(tmp_path, AuthSettings(registration="closed"), SystemClock()) as parts:
        with pytest.raises(Forbidden, match="closed"):
            await parts.service.register(Register(email="ada@example.org", password=PASSWORD))
        assert await parts.store.user_named("ada@example.org") is None


# --- sessions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "login", [{"email": "ada@example.org"}, {"username": "ada"}, {"email": " ADA "}, {"username": "ada@example.org"}]
)
async def test_either_name_logs_in(office: Office, login: dict[str, str]) -> None:
    made = await office.person()
    session = await office.people.login(Login(password=PASSWORD, **login))
    assert (session.account, session.expires_in_s) == (made.account, 24 * 3600)
    validated = await office.people.verify_session(session.access_token)
    assert validated.principal.user_id == made.account.id
    assert validated.principal.session_id


@pytest.mark.parametrize("login", [Login(password=PASSWORD), Login(password="", username="ada")])
async def test_a_log_in_without_name_or_password_is_told(office: Office, login: Login) -> None:
    with pytest.raises(BadRequest):
        await office.people.login(login)


async def test_a_wrong_name_and_a_wrong_password_are_told_alike(office: Office) -> None:
    await office.person()
    refusals, times = set(), []
    for login in (
        Login(password="wrong password", email="ada@example.org"),
        Login(password=PASSWORD, email="no@x.org"),
        Login(password=PASSWORD, username="\ud800"),
        Login(password=PASSWORD, username="' OR 1=1 --"),
    ):
        started = time.process_time()
        with pytest.raises(Unauthenticated) as caught:
            await office.people.login(login)
        times.append(time.process_time() - started)
        refusals.add((caught.value.message, caught.value.code, *caught.value.details))
    assert len(refusals) == 1
    assert min(times) > 0.005  # each has hashed; a look-up alone takes a fifth of that


async def test_only_who_knows_the_password_learns_that_an_account_is_deactivated(office: Office) -> None:
    made = await office.person()
    token = (await office.session()).access_token
    await deactivate(office, made.account.id)
    with pytest.raises(Unauthenticated):
        await office.people.login(Login(password="wrong password", username="ada"))
    with pytest.raises(Forbidden, match="deactivated"):
        await office.session()
    with pytest.raises(Unauthenticated):
        await office.people.verify_session(token)
    with pytest.raises(Unauthenticated):
        await office.keys.validate(made.key.key)


async def test_sessions_end_and_forged_ones_never_begin(office: Office) -> None:
    await office.person()
    token = (await office.session()).access_token
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "EdDSA"
    stranger = Ed25519PrivateKey.generate()
    kid = {"kid": header["kid"]}
    forged = [
        jwt.encode(claims, stranger, algorithm="EdDSA", headers=kid),
        jwt.encode(claims, "", algorithm="none", headers=kid),
        jwt.encode(claims, b"x" * 32, algorithm="HS256", headers=kid),
        jwt.encode(claims, stranger, algorithm="EdDSA", headers={"kid": "another"}),
        token[:-4] + "AAAA",
        *("", "a.b.c", "hi_nonsense", "\ud800"),
    ]
    for text in forged:
        with pytest.raises(Unauthenticated):
            await office.people.verify_session(text)
    await office.people.verify_session(token)
    office.clock.advance(24 * 3600)
    with pytest.raises(Unauthenticated, match="expired"):
        await office.people.verify_session(token)


@pytest.mark.parametrize("changed", [{"aud": "another"}, {"iss": "another"}, {"iat": 2e9, "nbf": 2e9, "exp": 2.1e9}])
async def test_our_own_signature_does_not_excuse_the_rest(office: Office, changed: dict[str, object]) -> None:
    await office.person()
    token = (await office.session()).access_token
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = session_tokens.key_id_of(token)
    key = Ed25519PrivateKey.from_private_bytes((office.data / "jwt" / f"{kid}.key").read_bytes())
    await office.people.verify_session(jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid}))
    for forged in (
        jwt.encode({**claims, **changed}, key, algorithm="EdDSA", headers={"kid": kid}),
        jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": "another"}),
        jwt.encode(claims, key, algorithm="EdDSA"),
    ):
        with pytest.raises(Unauthenticated):
            await office.people.verify_session(forged)


async def test_the_published_key_verifies_a_session_and_holds_no_secret(office: Office) -> None:
    await office.person()
    token = (await office.session()).access_token
    [jwk] = office.people.jwks().keys
    assert set(jwk) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert jwk["kid"] == session_tokens.key_id_of(token)
    now = office.clock.now().timestamp()
    assert session_tokens.verify(token, session_tokens.public_key(jwk), now=now).username == "ada"
