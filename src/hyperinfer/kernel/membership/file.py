"""The member list as a file: read, changed where auth lives, taken from auth everywhere else; one writer at a time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from hyperinfer.contracts.membership import Member, MemberList, Published
from hyperinfer.errors import Conflict, StartError, Unavailable, Untrusted
from hyperinfer.facilities.net import Identity
from hyperinfer.kernel import swarm
from hyperinfer.kernel.files import write_atomic
from hyperinfer.kernel.membership import epochs
from hyperinfer.protocol import membership

FILE = "members.json"
LOCK_TIMEOUT_S = 10.0
MAX_MEMBERS = 2000
"""Members of a swarm, revoked ones included; of these the longest revoked make room."""
INTRODUCED = frozenset({"gateway", "web"})
"""Roles whose members strangers meet."""

Edit = Callable[[tuple[Member, ...]], tuple[Member, ...]]


class MemberFile(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The file as it stands on the disk.

    Where auth lives, `members` is what holds, and `published` what has last been signed of it. Everywhere else
    `published` is what holds, and `members` shows it to people.
    """

    version: int = 0
    members: tuple[Member, ...] = ()
    published: Published | None = None

    @property
    def signed(self) -> MemberList | None:
        """The list as it was last signed."""
        return msgspec.json.decode(self.published.members.statement, type=MemberList) if self.published else None


def read(folder: Path) -> MemberFile:
    """The member list that holds on this machine, empty where there is none.

    Raises `StartError` if it makes no sense or, on a machine that follows auth, is not signed from the root key down.
    """
    path = folder / FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return MemberFile()
    except OSError as error:
        raise StartError(f"Cannot read {path}: {error.strerror}.") from error
    try:
        file = msgspec.json.decode(content, type=MemberFile)
        if swarm.follows(folder):
            return _as_proven(file, prove(folder, file.published))
    except (msgspec.DecodeError, Untrusted) as error:
        raise StartError(f"{path} cannot be understood: {error}") from error
    return file


def prove(folder: Path, published: Published | None) -> membership.Proven:
    """What a list says, once its signatures are right for this machine's swarm. Raises `Untrusted`."""
    root_key = swarm.root_public_key(folder)
    if published is None or root_key is None:
        raise Untrusted("The member list is not signed, and this machine takes one from auth alone.")
    return membership.verify(published, root=root_key)


def take(folder: Path, published: Published) -> bool:
    """Take a list that auth has published, if it is newer than the one here; says whether it was.

    Raises `Untrusted` for one that is not signed from this swarm's root key down.
    """
    new = prove(folder, published)
    with locked(folder):
        if new.order <= newest(folder):
            return False
        _write(folder, _as_proven(MemberFile(published=published), new))
        return True


def newest(folder: Path) -> tuple[int, int]:
    """Epoch and version of the list here; zeros for none, and for one that makes no sense, which any good one replaces."""
    try:
        return prove(folder, read(folder).published).order
    except (StartError, Untrusted):
        return 0, 0


def change(folder: Path, edit: Edit, *, now: datetime, auth: Identity | None = None) -> MemberFile:
    """Change who is a member, and sign that where auth's identity is at hand; otherwise auth does it when it runs.

    Raises `Conflict` on a machine that follows auth, or if there would be too many members.
    """
    with locked(folder):
        return change_locked(folder, edit, now=now, auth=auth)


def change_locked(folder: Path, edit: Edit, *, now: datetime, auth: Identity | None = None) -> MemberFile:
    """The same for who holds the lock already."""
    if swarm.follows(folder):
        raise Conflict("This machine takes its member list from auth; change it on the machine where auth lives.")
    file = read(folder)
    members = _bounded(edit(file.members))
    changed = msgspec.structs.replace(file, version=membership.following(file.version, now), members=members)
    if auth is not None and epochs.current(folder) is not None:
        changed = _sign(folder, changed, auth=auth, now=now, extra=_extra(file))
    _write(folder, changed)
    return changed


def issue(folder: Path, *, auth: Identity, now: datetime, extra: Mapping[str, msgspec.Raw]) -> MemberFile:
    """Sign the list anew as it stands, with this to go along. Raises `StartError` if this auth is not the swarm's."""
    with locked(folder):
        file = read(folder)
        file = msgspec.structs.replace(file, version=membership.following(file.version, now))
        issued = _sign(folder, file, auth=auth, now=now, extra=extra)
        _write(folder, issued)
        return issued


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the one writer of the swarm folder. Raises `Unavailable` where another keeps it for too long."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / ".members.lock", timeout=LOCK_TIMEOUT_S)
    try:
        lock.acquire()
    except Timeout as error:
        raise Unavailable(f"Another process is changing {folder}; try again shortly.") from error
    try:
        yield
    finally:
        lock.release()


def _sign(
    folder: Path, file: MemberFile, *, auth: Identity, now: datetime, extra: Mapping[str, msgspec.Raw]
) -> MemberFile:
    epoch = epochs.name_auth(folder, auth.public_key)
    number = membership.verify_epoch(epoch, root=swarm.root_public_key(folder) or b"").epoch
    members = MemberList(epoch=number, version=file.version, issued_at=now, members=file.members, extra=dict(extra))
    published = membership.publish(members, epoch=epoch, auth_seed=auth.seed, introduced=INTRODUCED)
    return msgspec.structs.replace(file, published=published)


def _extra(file: MemberFile) -> Mapping[str, msgspec.Raw]:
    return file.signed.extra if file.signed else {}


def _as_proven(file: MemberFile, proven: membership.Proven) -> MemberFile:
    return msgspec.structs.replace(file, version=proven.list.version, members=proven.list.members)


def _bounded(members: tuple[Member, ...]) -> tuple[Member, ...]:
    too_many = max(0, len(members) - MAX_MEMBERS)
    revoked = sorted((one.revoked, one.public_key) for one in members if one.revoked)
    if too_many > len(revoked):
        raise Conflict(f"A swarm has {MAX_MEMBERS} members at most; revoke one first.")
    forgotten = {key for _, key in revoked[:too_many]}
    return tuple(one for one in members if one.public_key not in forgotten)


def _write(folder: Path, file: MemberFile) -> None:
    write_atomic(folder / FILE, msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n", mode=0o600)
