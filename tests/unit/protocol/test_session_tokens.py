"""Session tokens: one that was signed for us is accepted while it lasts, and nothing else ever is."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperinfer.contracts.auth import Principal
from hyperinfer.errors import Unauthenticated
from hyperinfer.protocol import session_tokens
from hyperinfer.protocol.session_tokens import LEEWAY_S

KEY = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()
PUBLIC = jwt.PyJWK(session_tokens.public_jwk(KEY, "k1"))
WHO = Principal(user_id="u", username="ada", email="ada@example.com", role="admin", tier="premium")
NOW = 1_800_000_000.0


def token(**changes: Any) -> str:
    given: dict[str, Any] = {"session_id": "s", "key": KEY, "key_id": "k1", "now": NOW, "lifetime_s": 60}
    return session_tokens.sign(WHO, **(given | changes))


def forged(header: dict[str, Any], **changes: Any) -> str:
    """Our own claims under another header, signed with nothing."""
    payload = jwt.decode(token(), options={"verify_signature": False}) | changes
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload)]
    return b".".join([*parts, b""]).decode()


def test_a_token_says_whose_it_is() -> None:
    claims = session_tokens.verify(token(), PUBLIC, now=NOW)
    assert claims.principal == Principal("u", "ada", "ada@example.com", "admin", "premium", session_id="s")
    assert session_tokens.key_id_of(token()) == "k1"


def test_it_lasts_as_long_as_it_says() -> None:
    session_tokens.verify(token(), PUBLIC, now=NOW + 59)
    with pytest.raises(Unauthenticated, match="expired"):
        session_tokens.verify(token(), PUBLIC, now=NOW + 60)


def test_one_from_the_future_is_refused_beyond_the_leeway() -> None:
    session_tokens.verify(token(), PUBLIC, now=NOW - LEEWAY_S)
    with pytest.raises(Unauthenticated, match="clocks"):
        session_tokens.verify(token(), PUBLIC, now=NOW - LEEWAY_S - 1)


def test_another_key_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="not valid"):
        session_tokens.verify(token(key=OTHER), PUBLIC, now=NOW)


def test_an_algorithm_of_the_senders_choice_is_refused() -> None:
    for name in ("none", "None", "HS256"):
        with pytest.raises(Unauthenticated, match="not valid"):
            session_tokens.verify(forged({"alg": name, "kid": "k1"}), PUBLIC, now=NOW)
    payload = jwt.decode(token(), options={"verify_signature": False})
    public = session_tokens.public_jwk(KEY, "k1")["x"]
    with pytest.raises(Unauthenticated, match="not valid"):
        session_tokens.verify(jwt.encode(payload, public.ljust(64, "x"), algorithm="HS256"), PUBLIC, now=NOW)


@pytest.mark.parametrize("changes", [{"aud": "other"}, {"iss": "other"}, {"aud": None}, {"sub": None}, {"exp": "soon"}])
def test_a_token_for_somebody_else_or_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    payload = jwt.decode(token(), options={"verify_signature": False}) | changes
    payload = {name: value for name, value in payload.items() if value is not None}
    with pytest.raises(Unauthenticated, match="not valid"):
        session_tokens.verify(jwt.encode(payload, KEY, algorithm="EdDSA"), PUBLIC, now=NOW)


@pytest.mark.parametrize("text", ["", "eyJ", "a.b.c", "eyJhbGciOiJFZERTQSJ9", "\ud800"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        session_tokens.key_id_of(text)
    with pytest.raises(Unauthenticated):
        session_tokens.verify(text, PUBLIC, now=NOW)
