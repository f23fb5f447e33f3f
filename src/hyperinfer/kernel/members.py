"""The members of the swarm: a list that the firewall follows. Missing or empty, it admits nobody."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hyperinfer.contracts.membership import MAX_NAME, Member, Published
from hyperinfer.contracts.method import ANY_MEMBER
from hyperinfer.errors import BadRequest, NotFound, StartError
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net import Identity
from hyperinfer.kernel.membership.file import FILE, MemberFile, change, read

log = structlog.get_logger(__name__)

ROLES = ANY_MEMBER.roles
POLL_S = 0.5


class Members:
    """The member list of this machine as it is now; `follow` keeps it so while the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._active: dict[bytes, Member] = {}
        self._names: Mapping[bytes, str] = {}
        self._held = MemberFile()
        self._extra: Mapping[str, msgspec.Raw] = {}
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def load(cls, folder: Path) -> "Members":
        """The members in a swarm folder. Raises `StartError` for a file that cannot be understood."""
        members = cls(folder / FILE)
        members._stamp = members._look()
        members._take(read(folder))
        return members

    @property
    def keys(self) -> frozenset[bytes]:
        """Every key that is admitted."""
        return frozenset(self._active)

    def roles(self, key: bytes) -> frozenset[str]:
        """A peer's roles; none for a stranger or a revoked member."""
        member = self._active.get(key)
        return frozenset(member.roles) if member else frozenset()

    def name(self, key: bytes) -> str:
        """What the member is called, or the start of its key."""
        member = self._active.get(key)
        return member.name if member and member.name else key.hex()[:12]

    @property
    def names(self) -> Mapping[bytes, str]:
        """What every member is called, each otherwise: where two have the same name, the start of the key is added."""
        return self._names

    def with_role(self, role: str) -> frozenset[bytes]:
        """Every member that has a role."""
        return frozenset(key for key, member in self._active.items() if role in member.roles)

    @property
    def held(self) -> MemberFile:
        """The list as it stands on the disk."""
        return self._held

    @property
    def published(self) -> Published | None:
        """The list as auth signed it last, with the certificates; nothing where none has been signed yet."""
        return self._held.published

    @property
    def extra(self) -> Mapping[str, msgspec.Raw]:
        """What auth sends along with the list, by name."""
        return self._extra

    def on_change(self, listener: Callable[[], None]) -> None:
        """Be told of every change of the list, and whenever auth has signed it anew."""
        self._listeners.append(listener)

    def refresh(self) -> bool:
        """Read the file again if it has changed; says whether the list has, or its signature.

        A file that is gone admits nobody; one that cannot be understood leaves the list as it was and is logged, so
        that a slip of the pen does not stop the swarm.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            file = read(self._path.parent)
        except StartError as error:
            log.error("members_unreadable", reason=error.message)
            return False
        before = self._active, self._held.published
        self._take(file)
        if (self._active, self._held.published) == before:
            return False
        if self._active != before[0]:
            log.info("members_changed", members=len(self._active))
        for listener in self._listeners:
            listener()
        return True

    async def follow(self, clock: Clock) -> None:
        """Watch the file until cancelled; a change takes effect within about a second."""
        while True:
            await clock.sleep(POLL_S)
            self.refresh()

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _take(self, file: MemberFile) -> None:
        self._active = {member.key: member for member in file.members if member.revoked is None}
        self._names = unique((key, self.name(key)) for key in sorted(self._active))
        if file.published != self._held.published:
            self._extra = file.signed.extra if file.signed else {}
        self._held = file


def unique(named: Iterable[tuple[bytes, str]]) -> Mapping[bytes, str]:
    """A name for each; where two have the same, the first eight digits of the key are added."""
    pairs = list(named)
    often = Counter(name for _, name in pairs)
    return {key: name if often[name] == 1 else f"{name}-{key.hex()[:8]}" for key, name in pairs}


def parse_key(text: str) -> bytes:
    """A public key from its 64 hexadecimal digits. Raises `BadRequest`."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise BadRequest("A public key is 64 hexadecimal digits, as `hyperinfer identity` prints it.", param="key")
    return key


def parse_name(text: str) -> str:
    """What a member may be called. Raises `BadRequest`."""
    name = text.strip()
    if len(name) > MAX_NAME or not name.isprintable():
        raise BadRequest(f"A member's name has up to {MAX_NAME} characters, all of them printable.", param="name")
    return name


def add(
    folder: Path, key: bytes, *, roles: Iterable[str], name: str, now: datetime, auth: Identity | None = None
) -> Member:
    """Admit a key with these roles, or change what is known of it; `auth` signs it, where its identity is at hand.

    Raises `BadRequest` for an unknown role, `Conflict` on a machine that follows an auth elsewhere.
    """
    wanted = tuple(sorted(set(roles)))
    if unknown := [role for role in wanted if role not in ROLES]:
        raise BadRequest(f"No such role: {unknown[0]}. Roles are {', '.join(sorted(ROLES))}.", param="role")
    member = Member(public_key=key.hex(), roles=wanted, name=parse_name(name), since=now)

    def admitted(members: tuple[Member, ...]) -> tuple[Member, ...]:
        known = next((one.invite for one in members if one.key == key), None)
        new = msgspec.structs.replace(member, invite=known)
        return (*(one for one in members if one.key != key), new)

    change(folder, admitted, now=now, auth=auth)
    return member


def revoke(folder: Path, key: bytes, *, now: datetime, auth: Identity | None = None) -> Member:
    """Stop admitting a key. Raises `NotFound` for a key that is no member, `Conflict` as `add` does."""
    return _edit(folder, key, now=now, auth=auth, edit=lambda member: {"revoked": member.revoked or now})


def rename(folder: Path, key: bytes, name: str, *, now: datetime, auth: Identity | None = None) -> Member:
    """Call a member something else. Raises `BadRequest`, `NotFound`, `Conflict` as the others do."""
    wanted = parse_name(name)
    return _edit(folder, key, now=now, auth=auth, edit=lambda _: {"name": wanted})


def _edit(
    folder: Path, key: bytes, *, now: datetime, auth: Identity | None, edit: Callable[[Member], Mapping[str, Any]]
) -> Member:
    edited: list[Member] = []

    def edits(members: tuple[Member, ...]) -> tuple[Member, ...]:
        found = next((one for one in members if one.key == key), None)
        if found is None:
            raise NotFound("No member has this key; `hyperinfer members list` shows all.")
        edited.append(msgspec.structs.replace(found, **edit(found)))
        return tuple(edited[0] if one.key == key else one for one in members)

    change(folder, edits, now=now, auth=auth)
    return edited[0]
