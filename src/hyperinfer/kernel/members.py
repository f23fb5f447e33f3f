"""The members of the swarm: a file that the firewall follows. Missing or empty, it admits nobody."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import msgspec
import structlog
from filelock import FileLock

from hyperinfer.contracts.method import ANY_MEMBER
from hyperinfer.errors import BadRequest, NotFound, StartError
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.files import write_atomic

log = structlog.get_logger(__name__)

ROLES = ANY_MEMBER.roles
FILE = "members.json"
LOCK_TIMEOUT_S = 10.0
POLL_S = 1.0


class Member(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A worker key that the swarm admits. `public_key` is hex; `since` and `revoked` are RFC 3339 in UTC."""

    public_key: str
    roles: tuple[str, ...]
    name: str = ""
    since: datetime | None = None
    revoked: datetime | None = None

    @property
    def key(self) -> bytes:
        """The public key as 32 bytes."""
        return bytes.fromhex(self.public_key)


class MemberFile(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The file as it stands on the disk."""

    members: tuple[Member, ...] = ()


class Members:
    """The member list of this machine as it is now; `follow` keeps it so while the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._active: dict[bytes, Member] = {}
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

    def with_role(self, role: str) -> frozenset[bytes]:
        """Every member that has a role."""
        return frozenset(key for key, member in self._active.items() if role in member.roles)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Be told of every change of the list."""
        self._listeners.append(listener)

    def refresh(self) -> bool:
        """Read the file again if it has changed; says whether the list has.

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
        before = self._active
        self._take(file)
        if self._active == before:
            return False
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


def read(folder: Path) -> MemberFile:
    """The member file of a swarm folder, empty where there is none. Raises `StartError` if it makes no sense."""
    path = folder / FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return MemberFile()
    except OSError as error:
        raise StartError(f"Cannot read {path}: {error.strerror}.") from error
    try:
        file = msgspec.json.decode(content, type=MemberFile)
        for member in file.members:
            parse_key(member.public_key)
    except (msgspec.DecodeError, BadRequest) as error:
        raise StartError(f"{path} cannot be understood: {error}") from error
    return file


def parse_key(text: str) -> bytes:
    """A public key from its 64 hexadecimal digits. Raises `BadRequest`."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise BadRequest("A public key is 64 hexadecimal digits, as `hyperinfer identity` prints it.", param="key")
    return key


def add(folder: Path, key: bytes, *, roles: Iterable[str], name: str, now: datetime) -> Member:
    """Admit a key with these roles, or change what is known of it. Raises `BadRequest` for an unknown role."""
    wanted = tuple(sorted(set(roles)))
    if unknown := [role for role in wanted if role not in ROLES]:
        raise BadRequest(f"No such role: {unknown[0]}. Roles are {', '.join(sorted(ROLES))}.", param="role")
    member = Member(public_key=key.hex(), roles=wanted, name=name, since=now)
    _change(folder, lambda old: (*(one for one in old if one.key != key), member))
    return member


def revoke(folder: Path, key: bytes, *, now: datetime) -> Member:
    """Stop admitting a key. Raises `NotFound` for a key that is no member."""
    member = next((one for one in read(folder).members if one.key == key), None)
    if member is None:
        raise NotFound("No member has this key; `hyperinfer members list` shows all.")
    revoked = msgspec.structs.replace(member, revoked=member.revoked or now)
    _change(folder, lambda old: tuple(revoked if one.key == key else one for one in old))
    return revoked


def _change(folder: Path, edit: Callable[[tuple[Member, ...]], tuple[Member, ...]]) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(folder / ".members.lock", timeout=LOCK_TIMEOUT_S):
        content = msgspec.json.encode(MemberFile(members=edit(read(folder).members)))
        write_atomic(folder / FILE, msgspec.json.format(content, indent=2) + b"\n", mode=0o600)
