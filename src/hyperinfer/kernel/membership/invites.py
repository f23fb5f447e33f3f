"""Invites on auth's machine: made, told, taken back, and spent by the first worker that joins with one.

What is kept of an invite is the public key of its seed, so the file lets nobody in. An invite is spent by the very change
of the member list that admits its worker: no crash leaves one spent for nobody, or open for a second.
"""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec

from hyperinfer.contracts.membership import Hex, Join, Member, Moment
from hyperinfer.errors import BadRequest, Conflict, Forbidden, NotFound, StartError
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net import Identity
from hyperinfer.kernel import swarm
from hyperinfer.kernel.files import write_atomic
from hyperinfer.kernel.identity import from_seed
from hyperinfer.kernel.membership import file
from hyperinfer.protocol import join_code, membership

FILE = "invites.json"
SEED_BYTES = 32
DEFAULT_EXPIRY = timedelta(hours=1)
LONGEST_EXPIRY = timedelta(days=7)
MAX_OPEN = 64
MAX_KEPT = 500
"""Invites that are remembered, the newest of those that are no longer open."""
LOOK_EVERY_S = 0.5
PARTING_S = 1.0
"""How long the connection that has spent an invite is left to hear the answer."""


class Invite(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One invite. `id` is the public key of its seed, in hex."""

    id: Hex
    role: str
    created: Moment
    expires: Moment
    name: Annotated[str, msgspec.Meta(max_length=64)] = ""
    revoked: Moment | None = None
    spent: Moment | None = None
    spent_by: Hex | None = None

    def state(self, now: datetime) -> str:
        """`open`, `spent`, `revoked` or `expired`."""
        if self.spent:
            return "spent"
        return "revoked" if self.revoked else "expired" if self.expires <= now else "open"


class InviteFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it stands on the disk, oldest first."""

    invites: tuple[Invite, ...] = ()


def read(folder: Path) -> tuple[Invite, ...]:
    """Every invite that is remembered. Raises `StartError` if the file makes no sense."""
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=InviteFile).invites
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StartError(f"Cannot read {path}: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise StartError(f"{path} cannot be understood: {error}") from error


def create(folder: Path, *, role: str, name: str, lasts: timedelta, now: datetime) -> tuple[Invite, Identity]:
    """A new invite, and the key pair of its seed, which is kept nowhere. Raises `BadRequest`, `Conflict`."""
    if role not in join_code.ROLES:
        raise BadRequest(f"No invite gives the role {role}. Roles are {', '.join(join_code.ROLES)}.", param="role")
    if not timedelta(0) < lasts <= LONGEST_EXPIRY:
        raise BadRequest(f"An invite lasts {LONGEST_EXPIRY.days} days at most.", param="expires")
    seed = from_seed(os.urandom(SEED_BYTES))
    expires = (now + lasts).replace(microsecond=0)  # a code holds whole seconds
    invite = Invite(id=seed.public_key.hex(), role=role, name=name, created=now, expires=expires)
    with file.locked(folder):
        known = read(folder)
        if sum(one.state(now) == "open" for one in known) >= MAX_OPEN:
            raise Conflict(f"{MAX_OPEN} invites are open; revoke some, or let them expire.")
        _write(folder, (*known, invite), now)
    return invite, seed


def revoke(folder: Path, start: str, *, now: datetime) -> Invite:
    """Take back an open invite, named by the start of its id. Raises `NotFound`, `Conflict`."""
    with file.locked(folder):
        known = read(folder)
        found = [one for one in known if one.id.startswith(start.lower()) and one.state(now) == "open"]
        if not found:
            raise NotFound("No open invite has this id. `hyperinfer invite list` shows all.")
        if len(found) > 1:
            raise Conflict("Several invites begin so; give more of the id.")
        revoked = msgspec.structs.replace(found[0], revoked=now)
        _write(folder, tuple(revoked if one.id == revoked.id else one for one in known), now)
    return revoked


def spend(folder: Path, invite_key: bytes, request: Join, *, auth: Identity, now: datetime) -> Member:
    """Admit the worker that asks by an invite. The first one gets in; whoever lost the race, and a replay, does not.

    Raises `Forbidden` for an invite that is not open or a signature that is not the worker's own.
    """
    with file.locked(folder):
        known = _settled(folder, now)
        invite = next((one for one in known if one.id == invite_key.hex()), None)
        state = invite.state(now) if invite else "unknown"
        if invite is None or state != "open":
            raise Forbidden(f"This invite is {state}; ask for another.")
        root = swarm.root_public_key(folder) or b""
        key = bytes.fromhex(request.public_key)
        signed = membership.is_joining(request.signature, key=key, invite=invite_key, root=root, role=invite.role)
        if not signed or key in (invite_key, auth.public_key):
            raise Forbidden("The request to join is not signed by the worker that it names.")
        member: list[Member] = []

        def admitted(members: tuple[Member, ...]) -> tuple[Member, ...]:
            member.append(_member(invite, request, members, now))
            return (*(one for one in members if one.key != key), member[0])

        file.change_locked(folder, admitted, now=now, auth=auth)
        _settled(folder, now)
    return member[0]


class Invites:
    """The keys that may connect to auth in order to join, as they are now; `follow` keeps it so."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._parting: dict[bytes, float] = {}
        self._keys: frozenset[bytes] = frozenset()
        self._listeners: list[Callable[[], None]] = []
        self.refresh()

    @property
    def keys(self) -> frozenset[bytes]:
        """Public keys of the seeds of open invites, and of those just spent whose answer is under way."""
        return self._keys

    def on_change(self, listener: Callable[[], None]) -> None:
        """Be told of every change."""
        self._listeners.append(listener)

    def part(self, key: bytes) -> None:
        """An invite is being spent: leave its connection a moment to hear the answer, however often it asks."""
        self._parting.setdefault(key, self._clock.monotonic() + PARTING_S)

    def refresh(self) -> None:
        """Look which are open now. Raises `StartError` if the file makes no sense."""
        now, moment = self._clock.now(), self._clock.monotonic()
        self._parting = {key: until for key, until in self._parting.items() if until > moment}
        opened = {bytes.fromhex(one.id) for one in read(self._folder) if one.state(now) == "open"}
        keys = frozenset(opened | self._parting.keys())
        if keys != self._keys:
            self._keys = keys
            for listener in self._listeners:
                listener()

    async def follow(self) -> None:
        """Keep looking until cancelled."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            try:
                self.refresh()
            except StartError:
                # Nobody joins by a file that makes no sense; the next look, or the next start, says so again.
                self._keys = frozenset()


def _settled(folder: Path, now: datetime) -> tuple[Invite, ...]:
    """The invites, those marked as spent that the member list shows to be: a crash may have come in between."""
    known = read(folder)
    joined = {member.invite: member for member in file.read(folder).members if member.invite}
    settled = tuple(
        msgspec.structs.replace(one, spent=joined[one.id].since or now, spent_by=joined[one.id].public_key)
        if one.spent is None and one.id in joined
        else one
        for one in known
    )
    if settled != known:
        _write(folder, settled, now)
    return settled


def _member(invite: Invite, request: Join, members: tuple[Member, ...], now: datetime) -> Member:
    """The new member. One that is a member already, as something else, becomes this too."""
    known = next((one for one in members if one.public_key == request.public_key and one.revoked is None), None)
    wanted = invite.name or (request.name.strip() if request.name.isprintable() else "") or invite.role
    taken = {one.name for one in members if one.public_key != request.public_key and one.revoked is None}
    return Member(
        public_key=request.public_key,
        roles=tuple(sorted({invite.role, *(known.roles if known else ())})),
        name=_free(wanted, taken),
        since=now,
        invite=invite.id,
    )


def _free(wanted: str, taken: set[str]) -> str:
    """The name, with a number where another member has it: two of one name could not be told apart by it."""
    if wanted not in taken:
        return wanted
    numbers = range(2, len(taken) + 3)
    return next(name for name in (f"{wanted}-{number}" for number in numbers) if name not in taken)


def _write(folder: Path, invites: tuple[Invite, ...], now: datetime) -> None:
    opened = [one for one in invites if one.state(now) == "open"]
    others = [one for one in invites if one.state(now) != "open"][-MAX_KEPT:]
    kept = InviteFile(invites=tuple(sorted((*others, *opened), key=lambda one: one.created)))
    write_atomic(folder / FILE, msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n", mode=0o600)
