"""Logging in, and sessions until their end, on a real database."""

from dataclasses import replace

import bcrypt
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select, update

from hyperinfer.contracts.acting import Actor
from hyperinfer.contracts.auth import Login
from hyperinfer.contracts.directory import SESSION
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import EndSessions
from hyperinfer.errors import BadRequest, Forbidden, NotFound, RateLimited, Unauthenticated
from hyperinfer.protocol import session_tokens
from hyperinfer.workers.auth.guesses import HERE
from hyperinfer.workers.auth.models import SessionRow, User
from hyperinfer.workers.auth.sessions import MAX_KEPT, MAX_OPEN

from .conftest import HOME, PASSWORD, Office, claims_of, from_

DAY_S = 24 * 3600


async def set_user(office: Office, **values: object) -> None:
    async with office.database.write() as rows:
        await rows.execute(update(User).values(**values))


async def hash_of(office: Office) -> str:
    async with office.database.read() as rows:
        return (await rows.scalars(select(User.password_hash))).one()


# --- logging in ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "login", [{"email": "ada@example.org"}, {"username": "ada"}, {"email": " ADA "}, {"username": "ada@example.org"}]
)
async def test_either_name_logs_in(office: Office, login: dict[str, str]) -> None:
    made = await office.register()
    office.clock.advance(60)
    session = await office.sessions.login(Login(password=PASSWORD, **login), from_(HOME))
    assert session.expires_in_s == DAY_S
    assert (session.account.id, session.account.last_login_at) == (made.account.id, "2026-11-01T00:01:00Z")
    validated = await office.sessions.verify(session.access_token)
    assert validated.principal.user_id == made.account.id
    assert validated.principal.session_id == claims_of(session.access_token).jti
    assert validated.valid_for_s < 2
    assert ("session.opened", "ok") in await office.audited()


@pytest.mark.parametrize("login", [Login(password=PASSWORD), Login(password="", username="ada")])
async def test_a_log_in_without_name_or_password_is_told(office: Office, login: Login) -> None:
    with pytest.raises(BadRequest):
        await office.sessions.login(login)


async def test_a_wrong_name_and_a_wrong_password_are_told_alike(office: Office) -> None:
    await office.register()
    refusals = set()
    for login in (
        Login(password="wrong password", email="ada@example.org"),
        Login(password=PASSWORD, email="no@x.org"),
        Login(password=PASSWORD, username="\ud800"),
        Login(password=PASSWORD, username="nul\0"),
        Login(password=PASSWORD, username="' OR 1=1 --"),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await office.sessions.login(login, from_(HOME))
        refusals.add((caught.value.message, caught.value.code, *caught.value.details))
    assert len(refusals) == 1
    assert (await office.audited()).count(("session.opened", "refused")) == 5


async def test_only_who_knows_the_password_learns_that_an_account_is_deactivated(office: Office) -> None:
    ada = await office.person()
    await set_user(office, is_active=False)
    with pytest.raises(Unauthenticated):
        await office.login(password="wrong password")
    with pytest.raises(Forbidden, match="deactivated"):
        await office.login()
    with pytest.raises(Unauthenticated):
        await office.sessions.verify(ada.session.access_token)
    with pytest.raises(Unauthenticated):
        await office.keys.validate(ada.key.key)


async def test_who_guesses_has_to_wait_in_the_same_way_whether_there_is_an_account(office: Office) -> None:
    await office.register()
    waits = []
    for name in ("ada", "nobody"):
        for _ in range(HERE.free):
            with pytest.raises(Unauthenticated):
                await office.login(name, "wrong password")
        with pytest.raises(RateLimited) as caught:
            await office.login(name)
        waits.append((caught.value.message, caught.value.details))
    assert waits[0] == waits[1]
    office.clock.advance(waits[0][1]["retry_after_s"])
    await office.login()


async def test_both_names_of_an_account_are_one_to_who_guesses(office: Office) -> None:
    await office.register()
    refusals = []
    for number in range(HERE.free + 1):
        name = "ada" if number % 2 else "ada@example.org"
        with pytest.raises((Unauthenticated, RateLimited)) as caught:
            await office.login(name, "wrong password")
        refusals.append(type(caught.value))
    assert refusals == [Unauthenticated] * HERE.free + [RateLimited]


async def test_an_attacker_elsewhere_does_not_lock_a_person_out(office: Office) -> None:
    await office.register()
    await office.login()
    for number in range(60):
        with pytest.raises((Unauthenticated, RateLimited)):
            await office.login(password="wrong password", remote=f"198.51.100.{number}")
    await office.login()
    with pytest.raises(RateLimited):
        await office.login(remote="203.0.113.9")  # an address where this person has never been


async def test_another_address_of_the_same_subscriber_is_known(office: Office) -> None:
    await office.register()
    await office.login(remote="2001:db8:1:2::1")
    for number in range(60):
        with pytest.raises((Unauthenticated, RateLimited)):
            await office.login(password="wrong password", remote=f"198.51.100.{number}")
    await office.login(remote="2001:db8:1:2:aaaa:bbbb:cccc:dddd")
    with pytest.raises(RateLimited):
        await office.login(remote="2001:db8:1:3::1")


async def test_a_hash_of_bcrypt_is_replaced_at_the_next_log_in(office: Office) -> None:
    await office.register()
    await set_user(office, password_hash=bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode())
    with pytest.raises(Unauthenticated):
        await office.login(password="wrong password")
    assert (await hash_of(office)).startswith("$2b$")
    await office.login()
    assert (await hash_of(office)).startswith("$argon2id$")
    await office.login()


async def test_a_password_that_changes_while_it_is_checked_opens_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = office.parts.passwords.verify

    async def changed_meanwhile(stored: str | None, password: str) -> bool:
        right = await check(stored, password)
        await set_user(office, password_hash="$argon2id$another")
        return right

    await office.register()
    monkeypatch.setattr(office.parts.passwords, "verify", changed_meanwhile)
    with pytest.raises(Unauthenticated):
        await office.login()


async def test_what_a_client_calls_itself_is_kept_harmless(office: Office) -> None:
    await office.register()
    agent = "curl/8\r\nSet-Cookie: x" + "x" * 500
    await office.sessions.login(Login(password=PASSWORD, username="ada", agent=agent), from_("z" * 200))
    async with office.database.read() as rows:
        row = (await rows.scalars(select(SessionRow))).one()
    assert row.agent.isprintable()
    assert (len(row.agent), len(row.remote)) == (200, 64)


# --- tokens ----------------------------------------------------------------------------------------------------


async def test_sessions_end_and_forged_ones_never_begin(office: Office) -> None:
    await office.register()
    token = (await office.login()).access_token
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "EdDSA"
    stranger = Ed25519PrivateKey.generate()
    kid = {"kid": header["kid"]}
    forged = [
        jwt.encode(claims, stranger, algorithm="EdDSA", headers=kid),
        jwt.encode(claims, "", algorithm="none", headers=kid),
        jwt.encode(claims, b"x" * 32, algorithm="HS256", headers=kid),
        *(
            jwt.encode(claims, stranger, algorithm="EdDSA", headers={"kid": name})
            for name in ("another", "x" * 300, "nul\0", "\ud83d\ude00", "' OR 1=1 --")
        ),
        token[:-4] + "AAAA",
        *("", "a.b.c", "hi_nonsense", "\ud800"),
    ]
    for text in forged:
        with pytest.raises(Unauthenticated):
            await office.sessions.verify(text)
    await office.sessions.verify(token)
    office.clock.advance(DAY_S)
    with pytest.raises(Unauthenticated, match="expired"):
        await office.sessions.verify(token)


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "another"},
        {"iss": "another"},
        {"iat": 2e9, "nbf": 2e9, "exp": 2.1e9},
        {"jti": "0" * 32},
        {"jti": "nul\0"},
        {"jti": "x" * 1000},
        {"sub": "00000000-0000-0000-0000-000000000000"},
        {"sub": "nul\0"},
    ],
)
async def test_our_own_signature_does_not_excuse_the_rest(office: Office, changed: dict[str, object]) -> None:
    await office.register()
    token = (await office.login()).access_token
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = session_tokens.key_id_of(token)
    key = Ed25519PrivateKey.from_private_bytes((office.data / "jwt" / f"{kid}.key").read_bytes())
    await office.sessions.verify(jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid}))
    for forged in (
        jwt.encode({**claims, **changed}, key, algorithm="EdDSA", headers={"kid": kid}),
        jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": "another"}),
        jwt.encode(claims, key, algorithm="EdDSA"),
    ):
        with pytest.raises(Unauthenticated):
            await office.sessions.verify(forged)


async def test_the_published_key_verifies_a_session_and_holds_no_secret(office: Office) -> None:
    await office.register()
    token = (await office.login()).access_token
    [jwk] = (await office.parts.signing.jwks()).keys
    assert set(jwk) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert jwk["kid"] == session_tokens.key_id_of(token)
    now = office.clock.now().timestamp()
    assert session_tokens.verify(token, session_tokens.public_key(jwk), now=now).username == "ada"


# --- until the end ---------------------------------------------------------------------------------------------


async def test_a_session_is_refreshed_under_its_own_id_up_to_its_last_day(office: Office) -> None:
    ada = await office.person()
    session, lasted = ada.session, 0
    while session.expires_in_s == DAY_S:
        office.clock.advance(DAY_S / 2)
        lasted += 1
        session = await office.sessions.refresh(Nothing(), ada.origin)
        assert claims_of(session.access_token).jti == ada.session_id
        assert (await office.sessions.verify(session.access_token)).principal.user_id == ada.id
    assert lasted / 2 + session.expires_in_s / DAY_S == 30
    office.clock.advance(session.expires_in_s)
    with pytest.raises(Unauthenticated):
        await office.sessions.refresh(Nothing(), ada.origin)
    with pytest.raises(Unauthenticated):
        await office.sessions.verify(session.access_token)


async def test_who_logs_out_is_out_everywhere_at_once(office: Office) -> None:
    ada = await office.person()
    refreshed = await office.sessions.refresh(Nothing(), ada.origin)
    await office.sessions.logout(Nothing(), ada.origin)
    for token in (ada.session.access_token, refreshed.access_token):
        with pytest.raises(Unauthenticated):
            await office.sessions.verify(token)
    for again in (office.sessions.logout, office.sessions.refresh, office.sessions.listed):
        with pytest.raises(Unauthenticated):
            await again(Nothing(), ada.origin)
    told = (await office.told())[(SESSION, ada.session_id)]
    assert told == {"expiresAt": office.clock.now().timestamp() + DAY_S}
    await office.keys.validate(ada.key.key)


async def test_sessions_are_listed_and_ended_one_by_one_or_all(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    office.clock.advance(1)
    phone = await office.login("ada", remote="198.51.100.1")
    laptop = await office.login("ada", remote="198.51.100.2")
    listed = (await office.sessions.listed(Nothing(), ada.origin)).sessions
    assert {one.remote: one.current for one in listed} == {
        "198.51.100.1": False,
        "198.51.100.2": False,
        HOME: True,
    }
    assert listed[-1].current  # it is the oldest
    for id_ in (bob.session_id, "0" * 32, "nonsense", "nul\0"):
        with pytest.raises(NotFound):
            await office.sessions.end(EndSessions(id=id_), ada.origin)
    left = await office.sessions.end(EndSessions(id=claims_of(phone.access_token).jti), ada.origin)
    assert len(left.sessions) == 2
    left = await office.sessions.end(EndSessions(), ada.origin)
    assert [one.id for one in left.sessions] == [ada.session_id]
    for token in (phone.access_token, laptop.access_token):
        with pytest.raises(Unauthenticated):
            await office.sessions.verify(token)
    await office.sessions.verify(ada.session.access_token)
    await office.sessions.verify(bob.session.access_token)


async def test_no_key_acts_as_a_session(office: Office) -> None:
    ada = await office.person()
    for ask in (office.sessions.listed, office.sessions.refresh, office.sessions.logout):
        with pytest.raises(Forbidden, match="session"):
            await ask(Nothing(), ada.by_key)


async def test_another_persons_session_is_nobodys(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    for actor in (
        Actor(user_id=ada.id, session_id=bob.session_id),
        Actor(user_id=ada.id, key_id=bob.key.id),
        Actor(user_id=ada.id),
        Actor(user_id=ada.id, session_id="nul\0"),
        Actor(user_id="nul\0", session_id=ada.session_id),
        Actor(user_id="", session_id=""),
    ):
        with pytest.raises(Unauthenticated):
            await office.sessions.listed(Nothing(), replace(ada.origin, actor=actor))
    with pytest.raises(Unauthenticated):
        await office.sessions.listed(Nothing(), from_(HOME))


@pytest.mark.slow
async def test_of_too_many_sessions_the_oldest_ends_and_few_are_remembered(office: Office) -> None:
    ada = await office.person()
    async with office.database.write() as rows:
        for number in range(MAX_KEPT):
            office.clock.advance(1)
            rows.add(
                SessionRow(
                    id=f"{number:032}",
                    user_id=ada.id,
                    created_at=office.clock.now(),
                    expires_at=office.clock.now(),
                    ended_at=None,
                    agent="",
                    remote="",
                )
            )
    for number in range(MAX_OPEN):
        office.clock.advance(10)
        await office.login()
        listed = await office.sessions.listed(Nothing(), ada.origin) if number < MAX_OPEN - 1 else None
        assert listed is None or len(listed.sessions) == number + 2
    with pytest.raises(Unauthenticated):
        await office.sessions.verify(ada.session.access_token)
    async with office.database.read() as rows:
        kept = await rows.scalar(select(func.count()).select_from(SessionRow))
        assert kept == MAX_KEPT
