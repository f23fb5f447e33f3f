"""Accounts, sessions and keys on a real database."""

import asyncio
import time
import uuid
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.integration.auth.conftest import PASSWORD, Office

from hyperinfer.contracts.auth import Login, Register
from hyperinfer.errors import BadRequest, Conflict, NotFound, Unauthenticated
from hyperinfer.protocol import api_keys, session_tokens
from hyperinfer.workers.auth.admin import admin_key, create_admin, has_admin
from hyperinfer.workers.auth.config import AuthSettings


async def test_registering_makes_an_account_and_a_first_key(office: Office) -> None:
    made = await office.person()
    assert (made.account.username, made.account.role, made.account.tier) == ("ada", "user", "default")
    assert made.key.name == "default"
    who = (await office.service.validate_key(made.key.key)).principal
    assert (who.user_id, who.key_id) == (made.account.id, made.key.id)


async def test_a_taken_name_is_told_and_a_made_up_one_is_avoided(office: Office) -> None:
    await office.person()
    with pytest.raises(Conflict):
        await office.person()
    with pytest.raises(Conflict):
        await office.service.register(Register(email="b@example.org", password=PASSWORD, username="ADA"))
    other = await office.service.register(Register(email="ada@other.org", password=PASSWORD))
    assert other.account.username == "ada2"


async def test_two_who_register_one_name_at_once(office: Office) -> None:
    results = await asyncio.gather(*(office.person() for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 3
    same_start = [Register(email=f"bob@{host}.org", password=PASSWORD) for host in ("x", "y")]
    made = await asyncio.gather(*(office.service.register(one) for one in same_start))
    assert {one.account.username for one in made} == {"bob", "bob2"}


@pytest.mark.parametrize("login", [{"email": "ada@example.org"}, {"username": "ada"}, {"email": " ADA "}])
async def test_either_name_logs_in(office: Office, login: dict[str, str]) -> None:
    made = await office.person()
    session = await office.service.login(Login(password=PASSWORD, **login))
    assert session.account == made.account
    validated = await office.service.verify_session(session.access_token)
    assert validated.principal.user_id == made.account.id
    assert validated.principal.session_id


async def test_a_wrong_name_and_a_wrong_password_are_told_alike(office: Office) -> None:
    await office.person()
    refusals, times = [], []
    for login in (
        Login(password="wrong password", email="ada@example.org"),
        Login(password=PASSWORD, email="no@x.org"),
    ):
        started = time.perf_counter()
        with pytest.raises(Unauthenticated) as caught:
            await office.service.login(login)
        times.append(time.perf_counter() - started)
        refusals.append(caught.value.message)
    assert refusals[0] == refusals[1]
    assert min(times) > 0.003  # both have hashed; without it a look-up takes a tenth of that


async def test_sessions_end_and_forged_ones_never_begin(office: Office) -> None:
    await office.person()
    token = (await office.service.login(Login(password=PASSWORD, username="ada"))).access_token
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
        "",
        "a.b.c",
        "hi_nonsense",
    ]
    for text in forged:
        with pytest.raises(Unauthenticated):
            await office.service.verify_session(text)
    await office.service.verify_session(token)
    office.clock.advance(24 * 3600)
    with pytest.raises(Unauthenticated, match="expired"):
        await office.service.verify_session(token)


@pytest.mark.parametrize("changed", [{"aud": "another"}, {"iss": "another"}, {"iat": 2e9, "nbf": 2e9, "exp": 2.1e9}])
async def test_our_own_signature_does_not_excuse_the_rest(
    office: Office, tmp_path: Path, changed: dict[str, object]
) -> None:
    await office.person()
    token = (await office.service.login(Login(password=PASSWORD, username="ada"))).access_token
    claims = jwt.decode(token, options={"verify_signature": False})
    key = Ed25519PrivateKey.from_private_bytes((tmp_path / "jwt" / "signing.key").read_bytes())
    kid = {"kid": session_tokens.key_id_of(token)}
    with pytest.raises(Unauthenticated):
        await office.service.verify_session(jwt.encode({**claims, **changed}, key, algorithm="EdDSA", headers=kid))


async def test_a_key_is_made_listed_and_revoked(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    office.clock.advance(1)
    made = await office.service.generate_key(ada.account.id, "laptop")
    listed = await office.service.list_keys(ada.account.id)
    assert [key.name for key in listed] == ["laptop", "default"]
    assert all(made.key not in str(key) for key in listed)
    with pytest.raises(NotFound):
        await office.service.revoke_key(bob.account.id, made.id)
    with pytest.raises(NotFound):
        await office.service.revoke_key(ada.account.id, "no uuid'; DROP TABLE users")
    assert not (await office.service.revoke_key(ada.account.id, made.id)).is_active
    with pytest.raises(Unauthenticated):
        await office.service.validate_key(made.key)
    await office.service.validate_key(ada.key.key)


async def test_a_key_with_one_letter_wrong_is_refused(office: Office) -> None:
    made = await office.person()
    other = api_keys.mint().text
    for text in (other, other.replace(other[3:11], made.key.prefix[3:]), made.key.key[:-1], "hi_", ""):
        with pytest.raises(Unauthenticated):
            await office.service.validate_key(text)


async def test_the_last_use_of_a_key_is_noted(office: Office) -> None:
    made = await office.person()
    office.clock.advance(60)
    await office.service.validate_key(made.key.key)
    await office.service.note_use()
    assert (await office.service.list_keys(made.account.id))[0].last_used_at == "2026-11-01T00:01:00Z"


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
async def test_a_key_needs_a_name(office: Office, name: str) -> None:
    made = await office.person()
    with pytest.raises(BadRequest):
        await office.service.generate_key(made.account.id, name)


async def test_a_key_for_nobody_is_refused(office: Office) -> None:
    with pytest.raises(NotFound):
        await office.service.generate_key(str(uuid.uuid4()), "x")


async def test_the_first_admin_is_made_once_and_a_lost_password_replaced(tmp_path: Path) -> None:
    settings = AuthSettings()
    made = await create_admin(tmp_path / "auth", settings)
    assert (made.account.role, made.account.tier) == ("admin", "unlimited")
    assert made.key
    assert made.password not in repr(made)
    assert await has_admin(tmp_path / "auth", settings)
    again = await create_admin(tmp_path / "auth", settings, password="another good password")
    assert again.account.id == made.account.id
    assert again.key is None
    assert (await admin_key(tmp_path / "auth", settings, name="cli") or "").startswith("hi_")
    with pytest.raises(BadRequest):
        await create_admin(tmp_path / "auth", settings, password="short")
