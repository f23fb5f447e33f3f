"""Session tokens: what auth signs and gateways verify. JWT (RFC 7519) with EdDSA over Ed25519 (RFC 8037). Pure."""

from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hyperinfer.contracts.auth import Principal
from hyperinfer.errors import Unauthenticated

ALGORITHM = "EdDSA"
ISSUER = "hyperinfer"
AUDIENCE = "hyperinfer"
LEEWAY_S = 30.0
"""How far the clocks of two machines may be apart."""


class Claims(msgspec.Struct, frozen=True):
    """What a token says: whose it is, which session, and from when until when, in seconds since the epoch."""

    sub: str
    jti: str
    iat: int
    nbf: int
    exp: int
    username: str
    email: str
    role: str
    tier: str
    iss: str = ISSUER
    aud: str = AUDIENCE

    @property
    def principal(self) -> Principal:
        """Who the holder is."""
        return Principal(
            user_id=self.sub,
            username=self.username,
            email=self.email,
            role=self.role,
            tier=self.tier,
            session_id=self.jti,
        )


def sign(who: Principal, *, session_id: str, key: Ed25519PrivateKey, key_id: str, now: float, lifetime_s: int) -> str:
    """A token for a session that begins now (seconds since the epoch)."""
    claims = Claims(
        sub=who.user_id,
        jti=session_id,
        iat=int(now),
        nbf=int(now),
        exp=int(now) + lifetime_s,
        username=who.username,
        email=who.email,
        role=who.role,
        tier=who.tier,
    )
    return jwt.encode(msgspec.to_builtins(claims), key, algorithm=ALGORITHM, headers={"kid": key_id})


def public_jwk(key: Ed25519PrivateKey, key_id: str) -> dict[str, str]:
    """The public half of a signing key, as a JWK set holds it."""
    return jwk_of(key.public_key().public_bytes_raw(), key_id)


def jwk_of(public: bytes, key_id: str) -> dict[str, str]:
    """The same of a public key of 32 bytes."""
    jwk: dict[str, Any] = jwt.algorithms.OKPAlgorithm.to_jwk(Ed25519PublicKey.from_public_bytes(public), as_dict=True)
    return {**{name: str(value) for name, value in jwk.items()}, "kid": key_id, "alg": ALGORITHM, "use": "sig"}


def public_key(jwk: dict[str, str]) -> jwt.PyJWK:
    """The key in a JWK, for this one algorithm whatever the JWK says of itself."""
    return jwt.PyJWK(jwk, ALGORITHM)


def key_id_of(token: str) -> str:
    """Which key a token says it was signed with. Raises `Unauthenticated` for what is no token."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, UnicodeError) as error:
        raise not_valid() from error
    if header.get("alg") != ALGORITHM or not header.get("kid"):
        raise not_valid()
    return str(header["kid"])


def verify(token: str, key: jwt.PyJWK, *, now: float) -> Claims:
    """What a token says, once signature, algorithm, issuer, audience and times are right.

    Raises `Unauthenticated`.
    """
    try:
        payload = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},  # below, by the time we are given
        )
        claims = msgspec.convert(payload, Claims)
    except (jwt.PyJWTError, UnicodeError, msgspec.ValidationError) as error:
        raise not_valid() from error
    if claims.exp <= now:
        raise expired()
    if max(claims.nbf, claims.iat) > now + LEEWAY_S:
        raise Unauthenticated("This session begins in the future: the clocks of two machines are apart.")
    return claims


def not_valid() -> Unauthenticated:
    """The error for a token that is not one of ours."""
    return Unauthenticated("This session token is not valid; log in again.")


def expired() -> Unauthenticated:
    """The error for a token whose time is over."""
    return Unauthenticated("This session has expired; log in again.")
