"""Codes, links and signed statements: they come back as they were, and nothing else does."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.contracts.membership import (
    Certificate,
    Epoch,
    Introduction,
    Member,
    MemberList,
    Published,
    Signed,
)
from hyperinfer.errors import BadRequest, Untrusted
from hyperinfer.kernel.identity import from_seed
from hyperinfer.protocol import base58, join_code, links, membership
from hyperinfer.protocol.join_code import JoinCode
from hyperinfer.protocol.links import GatewayLink, SwarmLink

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ROOT, AUTH, GATEWAY, OTHER = (from_seed(letter * 32) for letter in (b"r", b"a", b"g", b"o"))

keys = st.binary(min_size=32, max_size=32)
nodes = st.lists(st.from_regex(r"[a-z0-9.]{1,20}:[0-9]{1,5}", fullmatch=True), max_size=8).map(tuple)
codes = st.builds(
    JoinCode,
    role=st.sampled_from(join_code.ROLES),
    expires=st.integers(0, 2**32 - 1).map(lambda second: datetime.fromtimestamp(second, UTC)),
    root_key=keys,
    auth_key=keys,
    swarm_key=keys,
    seed=keys,
    bootstrap=nodes,
)


@given(st.binary(max_size=200))
def test_base58_comes_back(content: bytes) -> None:
    assert base58.decode(base58.encode(content)) == content


@given(codes)
def test_a_code_comes_back(code: JoinCode) -> None:
    word = join_code.encode(code)
    assert word.isidentifier()  # a double click selects it whole
    assert join_code.decode(f" {word[:40]}\n {word[40:]} ") == code
    assert code.seed.hex() not in repr(code)


@given(codes, st.integers(0, 500), st.sampled_from(base58.ALPHABET))
def test_a_slip_in_a_code_is_noticed(code: JoinCode, at: int, char: str) -> None:
    word = join_code.encode(code)
    at = len(join_code.PREFIX) + at % (len(word) - len(join_code.PREFIX))
    slipped = word[:at] + char + word[at + 1 :]
    if slipped != word:
        with pytest.raises(BadRequest):
            join_code.decode(slipped)
    with pytest.raises(BadRequest):
        join_code.decode(word[:-1])


@given(st.text(max_size=300))
def test_any_text_is_a_code_or_is_refused(text: str) -> None:
    for tried in (text, join_code.PREFIX + text):
        with pytest.raises(BadRequest):
            join_code.decode(tried)


def test_a_code_of_any_length_is_refused_at_once() -> None:
    with pytest.raises(BadRequest):
        join_code.decode(join_code.PREFIX + "z" * 10_000_000)


@given(keys, keys)
def test_links_come_back(one: bytes, two: bytes) -> None:
    for link in (GatewayLink(one), SwarmLink(one, two)):
        assert links.parse(f" {str(link).upper()} ") == link


@given(st.text(max_size=200))
def test_any_text_is_a_link_or_is_refused(text: str) -> None:
    for tried in (text, links.SCHEME + text, f"{links.SCHEME}swarm/{text}"):
        with pytest.raises(BadRequest, match="hyperinfer link"):
            links.parse(tried)


# --- what is signed ----------------------------------------------------------------------------------------


def epoch(number: int = 1, auth: bytes = AUTH.public_key) -> Signed:
    return membership.sign_epoch(Epoch(epoch=number, auth=auth.hex()), root_seed=ROOT.seed)


def published(*, number: int = 1, issued_at: datetime = NOW, revoked: datetime | None = None) -> Published:
    members = MemberList(
        epoch=number,
        version=7,
        issued_at=issued_at,
        members=(Member(public_key=GATEWAY.public_key.hex(), roles=("gateway",), revoked=revoked),),
        extra={"head": msgspec.Raw(b'{"seq":1}')},
    )
    return membership.publish(members, epoch=epoch(number), auth_seed=AUTH.seed, introduced=frozenset({"gateway"}))


def introduction(**more: datetime) -> Introduction:
    made = published(**more)  # type: ignore[arg-type]  # the times among its arguments
    return Introduction(epoch=made.epoch, certificate=made.certificates[GATEWAY.public_key.hex()])


def test_a_list_is_proven_from_the_root_key_alone() -> None:
    # Over the wire and back, for what was signed must arrive byte by byte.
    arrived = msgspec.json.decode(msgspec.json.encode(published()), type=Published)
    proven = membership.verify(arrived, root=ROOT.public_key)
    assert proven.order == (1, 7)
    assert proven.list.members[0].key == GATEWAY.public_key
    assert bytes(proven.list.extra["head"]) == b'{"seq":1}'


@given(st.data())
def test_a_changed_bit_anywhere_is_noticed(data: st.DataObject) -> None:
    whole = published()
    part = data.draw(st.sampled_from(["epoch", "members"]))
    signed: Signed = getattr(whole, part)
    field = data.draw(st.sampled_from(["statement", "signature"]))
    content = bytearray(getattr(signed, field))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = msgspec.structs.replace(signed, **{field: bytes(content)})
    with pytest.raises(Untrusted):
        membership.verify(msgspec.structs.replace(whole, **{part: changed}), root=ROOT.public_key)


def test_what_another_signed_is_not_trusted() -> None:
    whole = published()
    with pytest.raises(Untrusted):
        membership.verify(whole, root=OTHER.public_key)
    with pytest.raises(Untrusted):
        membership.verify(msgspec.structs.replace(whole, epoch=epoch(2, OTHER.public_key)), root=ROOT.public_key)
    # The same auth in a later epoch: its lists of before are not taken for new.
    with pytest.raises(Untrusted, match="another epoch"):
        membership.verify(msgspec.structs.replace(whole, epoch=epoch(2)), root=ROOT.public_key)
    # An epoch is no member list, whoever signed it.
    with pytest.raises(Untrusted):
        membership.verify(msgspec.structs.replace(whole, members=whole.epoch), root=ROOT.public_key)


def test_unknown_fields_are_passed_over_and_still_signed() -> None:
    later = msgspec.json.decode(published().members.statement)
    statement = msgspec.json.encode(later | {"prices": {"a": 1}})
    signed = membership._sign(membership.MEMBERS, statement, AUTH.seed)
    whole = msgspec.structs.replace(published(), members=signed)
    assert membership.verify(whole, root=ROOT.public_key).order == (1, 7)


def test_a_member_introduces_itself_to_who_knows_the_root_key() -> None:
    def holds(shown: Introduction, *, peer: bytes = GATEWAY.public_key, role: str = "gateway", **more: int) -> bool:
        root = OTHER.public_key if more.pop("wrong_root", 0) else ROOT.public_key
        return membership.is_introduced(shown, root=root, peer=peer, role=role, now=NOW, **more)

    assert holds(introduction())
    assert holds(introduction(issued_at=NOW - timedelta(hours=23)))
    assert not holds(introduction(issued_at=NOW - timedelta(hours=25)))
    assert not holds(introduction(issued_at=NOW + timedelta(hours=1)))
    assert not holds(introduction(), peer=OTHER.public_key)
    assert not holds(introduction(), role="auth")
    assert not holds(introduction(), wrong_root=1)
    assert not holds(introduction(), least_epoch=2)
    assert not holds(msgspec.structs.replace(introduction(), epoch=epoch(2)))
    # What auth signs for a list is no certificate.
    assert not holds(msgspec.structs.replace(introduction(), certificate=published().members))


def test_a_revoked_member_gets_no_certificate() -> None:
    assert published(revoked=NOW).certificates == {}


def test_a_certificate_says_nothing_but_what_a_stranger_may_know() -> None:
    said = msgspec.json.decode(introduction().certificate.statement)
    assert set(said) == {"epoch", "publicKey", "roles", "issuedAt"}
    assert isinstance(msgspec.convert(said, Certificate), Certificate)


@given(keys, keys, st.sampled_from(join_code.ROLES))
def test_to_join_is_signed_for_one_invite_swarm_and_role(invite: bytes, root: bytes, role: str) -> None:
    signature = membership.sign_joining(OTHER.seed, invite=invite, root=root, role=role)

    def holds(key: bytes = OTHER.public_key, *, invite: bytes = invite, root: bytes = root, role: str = role) -> bool:
        return membership.is_joining(signature, key=key, invite=invite, root=root, role=role)

    assert holds()
    assert not holds(AUTH.public_key)
    assert not holds(invite=bytes(32)) or invite == bytes(32)
    assert not holds(root=bytes(32)) or root == bytes(32)
    assert not holds(role="auth")


@given(st.integers(0, 2**40))
def test_numbers_only_grow(last: int) -> None:
    assert membership.following(last, NOW) > last
    assert membership.following(last, NOW) >= NOW.timestamp()
