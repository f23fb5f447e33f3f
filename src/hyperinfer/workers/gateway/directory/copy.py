"""What a gateway knows of people, keys and sessions. Pure: pages of changes go in, principals come out."""

from collections.abc import Mapping
from typing import Any

import jwt
import msgspec
import structlog

from hyperinfer.contracts import directory as contract
from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.directory import Change, Changes, KeyRecord, Since, UserRecord
from hyperinfer.contracts.limits import Limits, Subject
from hyperinfer.errors import Unauthenticated
from hyperinfer.protocol import session_tokens
from hyperinfer.protocol.session_tokens import Claims

log = structlog.get_logger(__name__)

REVOKED = "This API key has been revoked."
EXPIRED = "This API key has expired."
DEACTIVATED = "This account has been deactivated; ask an administrator."
ENDED = "This session has ended; log in again."

_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    contract.USER: msgspec.json.Decoder(contract.UserRecord),
    contract.KEY: msgspec.json.Decoder(contract.KeyRecord),
    contract.SESSION: msgspec.json.Decoder(contract.SessionRecord),
    contract.SIGNING: msgspec.json.Decoder(contract.SigningRecord),
    contract.TIER: msgspec.json.Decoder(contract.TierRecord),
    contract.ALIAS: msgspec.json.Decoder(contract.AliasRecord),
}

Records = dict[str, Any]


class DirectoryCopy:
    """The directory up to `read`. Principals are made once and kept until something changes."""

    def __init__(self) -> None:
        self.read = Since()
        self.version = 0
        """Another number after every change: what was worked out before it is to be worked out again."""
        self._kinds: dict[str, Records] = {kind: {} for kind in _decoders}
        self._by_digest: dict[bytes, str] = {}
        self._principals: dict[str, Principal] = {}

    @property
    def known(self) -> bool:
        """Whether anything has ever been read."""
        return self.version > 0

    @property
    def jwks(self) -> tuple[dict[str, str], ...]:
        """The public keys that verify session tokens."""
        return tuple(record.jwk for record in self._signing_records.values())

    @property
    def aliases(self) -> Mapping[str, contract.AliasRecord]:
        """The names that stand for models."""
        return self._kinds[contract.ALIAS]

    def apply(self, page: Changes) -> None:
        """Take in a page of changes. One that is `is_whole` begins anew."""
        if page.is_whole:
            for records in self._kinds.values():
                records.clear()
            self._by_digest.clear()
        for change in page.changes:
            self._take(change)
        self.read = Since(directory=page.directory, seq=page.seq)
        if page.is_whole or page.changes:
            self.version += 1
            self._principals.clear()

    def by_key(self, digest: bytes, *, now: float) -> Principal | None:
        """Whose an API key is, by its SHA-256; nothing if it is not known. `now` is in seconds since the epoch.

        Raises `Unauthenticated` for a key that is no longer valid.
        """
        key_id = self._by_digest.get(digest)
        if key_id is None:
            return None
        key: KeyRecord = self._kinds[contract.KEY][key_id]
        if not key.is_active:
            raise Unauthenticated(REVOKED)
        if key.expires_at is not None and key.expires_at <= now:
            raise Unauthenticated(EXPIRED)
        who = self._principals.get(key_id)
        if who is None:
            user = self._user(key.user_id)
            if user is None:
                return None
            who = self._principals[key_id] = self._with_key(self._with_limits(key.user_id, user), key_id, key)
        return who

    def by_claims(self, claims: Claims) -> Principal | None:
        """Whose a verified session is; nothing if the person is not known. Raises `Unauthenticated` if it has ended."""
        if claims.jti in self._kinds[contract.SESSION]:
            raise Unauthenticated(ENDED)
        user = self._user(claims.sub)
        if user is None:
            return None
        return msgspec.structs.replace(self._with_limits(claims.sub, user), session_id=claims.jti)

    def signing_key(self, key_id: str) -> jwt.PyJWK | None:
        """The public key that a token names."""
        record = self._signing_records.get(key_id)
        return session_tokens.public_key(record.jwk) if record else None

    def forget_expired(self, now: float) -> None:
        """Drop ended sessions whose tokens have expired by themselves."""
        ended = self._kinds[contract.SESSION]
        for session_id in [one for one, record in ended.items() if record.expires_at <= now]:
            del ended[session_id]

    @property
    def _signing_records(self) -> dict[str, contract.SigningRecord]:
        return self._kinds[contract.SIGNING]

    def _user(self, user_id: str) -> UserRecord | None:
        """A person. Raises `Unauthenticated` for one who has been deactivated."""
        user: UserRecord | None = self._kinds[contract.USER].get(user_id)
        if user is not None and not user.is_active:
            raise Unauthenticated(DEACTIVATED)
        return user

    def _with_limits(self, user_id: str, user: UserRecord) -> Principal:
        tiers = self._kinds[contract.TIER]
        tier = tiers.get(user.tier) or tiers.get(contract.DEFAULT_TIER)  # nobody is unlimited by a name that is gone
        limits = tier.limits if tier else Limits()
        if user.limits is not None:
            limits = user.limits.over(limits)
        return Principal(
            user_id=user_id,
            username=user.username,
            email=user.email,
            role=user.role,
            tier=user.tier,
            subjects=(Subject(id=f"user:{user_id}", limits=limits),),
        )

    def _with_key(self, who: Principal, key_id: str, key: KeyRecord) -> Principal:
        own = () if key.limits is None else (Subject(id=f"key:{key_id}", limits=key.limits),)
        return msgspec.structs.replace(
            who, key_id=key_id, scopes=key.scopes, models=key.models, subjects=(*who.subjects, *own)
        )

    def _take(self, change: Change) -> None:
        decoder = _decoders.get(change.kind)
        if decoder is None:
            return  # of a newer auth: nothing that this gateway could use
        records = self._kinds[change.kind]
        before = records.pop(change.id, None)
        if isinstance(before, KeyRecord):
            self._by_digest.pop(bytes.fromhex(before.digest), None)
        if change.is_gone:
            return
        try:
            record = decoder.decode(change.record)
            if isinstance(record, KeyRecord):
                self._by_digest[bytes.fromhex(record.digest)] = change.id
        except (msgspec.DecodeError, ValueError) as error:
            log.error("directory_record_unreadable", kind=change.kind, id=change.id, error=error)
            return
        records[change.id] = record
