"""Recovery: the root key as words on paper (BIP 39), and another auth in place of one that is gone."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from mnemonic import Mnemonic

from hyperinfer.contracts.membership import Member
from hyperinfer.errors import BadRequest, Conflict, NotFound
from hyperinfer.facilities.net import Identity
from hyperinfer.kernel import swarm
from hyperinfer.kernel.identity import from_seed
from hyperinfer.kernel.membership import epochs, file

WORDS = 24
ROLE = "auth"


def words(folder: Path) -> str:
    """The root key of this machine as 24 English words. Raises `NotFound` where it is not kept."""
    root = swarm.root(folder)
    if root is None:
        raise NotFound(f"The root key is not on this machine: {folder / swarm.ROOT_KEY_FILE} is not there.")
    return str(Mnemonic("english").to_mnemonic(root.seed))


def root_of(text: str) -> Identity:
    """The root key that the words stand for. Raises `BadRequest` for words that were not written down so."""
    given = " ".join(text.lower().split())
    book = Mnemonic("english")
    if len(given.split()) != WORDS:
        raise BadRequest(f"The recovery words are {WORDS}; these are {len(given.split())}.", param="words")
    if unknown := [word for word in given.split() if word not in book.wordlist]:
        raise BadRequest(f"{unknown[0]!r} is none of the words that recovery words are made of.", param="words")
    if not book.check(given):
        raise BadRequest("These words do not belong together: one may be wrong, or in the wrong place.", param="words")
    return from_seed(bytes(book.to_entropy(given)))


def recover(folder: Path, root: Identity, *, expected: bytes | None = None) -> None:
    """Bring the root key to this machine. Raises `Conflict` if it is not the one expected, or this swarm's."""
    known = swarm.root_public_key(folder)
    for wanted, whose in ((expected, "that was given"), (known, f"of the swarm in {folder}")):
        if wanted is not None and wanted != root.public_key:
            raise Conflict(f"These words are another root key's: {root.public_key.hex()} is not the one {whose}.")
    if swarm.exists(folder) and known is None:
        raise Conflict(f"{folder} holds a swarm whose root key is not known here; move it away first.")
    if not swarm.exists(folder):
        swarm.restore(folder, root.seed)
    elif swarm.root(folder) is None:
        swarm.keep_root(folder, root)


def take_over(folder: Path, auth: Identity, *, now: datetime, copy: bytes | None = None) -> file.MemberFile:
    """Begin an epoch in which this machine's auth is the swarm's, and sign the member list for it.

    The list is the newest of this machine's own and `copy`, the content of a `members.json` from another machine. The auth
    of before is taken off it. Raises `Untrusted` for a copy that is not this swarm's.
    """
    known = max((_listed(folder), *((_copied(folder, copy),) if copy else ())), key=lambda one: one.order)

    def succeeded(_: tuple[Member, ...]) -> tuple[Member, ...]:
        others = tuple(one for one in known.members if one.key != auth.public_key)
        new = Member(public_key=auth.public_key.hex(), roles=(ROLE,), name=ROLE, since=now)
        return (*(_retired(one, now) for one in others), new)

    with file.locked(folder):
        epochs.succeed(folder, auth.public_key, last=known.order[0], now=now)
        return file.change_locked(folder, succeeded, now=now, auth=auth)


@dataclass(frozen=True, slots=True)
class _Known:
    """Members, and by epoch and version how new that is."""

    order: tuple[int, int]
    members: tuple[Member, ...]


def _listed(folder: Path) -> _Known:
    """What this machine knows."""
    own, epoch = file.read(folder), epochs.current(folder)
    signed = own.signed.epoch if own.signed else 0
    return _Known((max(signed, epoch.epoch if epoch else 0), own.version), own.members)


def _copied(folder: Path, copy: bytes) -> _Known:
    try:
        published = msgspec.json.decode(copy, type=file.MemberFile).published
    except msgspec.DecodeError as error:
        raise BadRequest(f"The copy of the member list cannot be understood: {error}.") from error
    proven = file.prove(folder, published)
    return _Known(proven.order, proven.list.members)


def _retired(member: Member, now: datetime) -> Member:
    if ROLE not in member.roles or member.revoked is not None:
        return member
    left = tuple(role for role in member.roles if role != ROLE)
    return msgspec.structs.replace(member, roles=left) if left else msgspec.structs.replace(member, revoked=now)
