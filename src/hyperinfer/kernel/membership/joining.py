"""Joining: a machine with a code asks auth for membership, and keeps what it is given."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from hyperinfer.contracts.membership import JOIN, WATCH_MEMBERS, Join, Newest, Published
from hyperinfer.errors import BadRequest, Conflict, DeadlineExceeded, Forbidden, HyperinferError, Unavailable, Untrusted
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net import Identity
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel import swarm
from hyperinfer.kernel.identity import from_seed
from hyperinfer.kernel.membership import file
from hyperinfer.protocol import membership
from hyperinfer.protocol.join_code import JoinCode
from hyperinfer.protocol.typed_json import UNREADABLE

CALL_S = 15.0
ASK_S = 10.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 4.0

Say = Callable[[str], None]

_published = msgspec.json.Decoder(Published)


def check(folder: Path, code: JoinCode, *, clock: Clock) -> None:
    """See whether this machine can join by this code. Raises `BadRequest` for an expired one, `Conflict`."""
    if code.expires <= clock.now():
        raise BadRequest(f"This join code expired at {code.expires:%Y-%m-%d %H:%M} UTC; ask for another.", param="code")
    known = swarm.root_public_key(folder)
    if known is not None and known != code.root_key:
        raise Conflict(f"This machine belongs to another swarm already ({folder}). Move that folder away to leave it.")
    if known is not None and not swarm.follows(folder):
        raise Conflict("This is auth's own machine: `hyperinfer members add` admits its workers.")
    if known is None and swarm.exists(folder) and swarm.load(folder).key != code.swarm_key:
        raise Conflict(f"This machine belongs to another swarm already ({folder}). Move that folder away to leave it.")


def keep(folder: Path, code: JoinCode, published: Published) -> None:
    """Belong to the swarm from now on."""
    swarm.adopt(folder, root_key=code.root_key, swarm_key=code.swarm_key)
    file.take(folder, published)


class Joining:
    """One worker's way in. `invited` connects with the key pair of the code's seed, `own` with the worker's."""

    def __init__(self, code: JoinCode, worker: Identity, *, invited: Peers, own: Peers, clock: Clock) -> None:
        self._code = code
        self._worker = worker
        self._invited = invited
        self._own = own
        self._clock = clock

    async def join(self, *, name: str, say: Say, wait_s: float) -> Published:
        """Ask until admitted; gives the member list, which has been verified and names this worker.

        Raises `Forbidden` if auth refuses, `Untrusted` if it is not the auth it should be, `Unavailable` if it cannot
        be reached in time.
        """
        request = self._request(name)
        pause_s = FIRST_PAUSE_S
        refusal: Forbidden | None = None
        try:
            async with asyncio.timeout(wait_s):
                while refusal is None:
                    try:
                        return self._verified(
                            await self._invited.call(self._code.auth_key, JOIN, request, timeout_s=CALL_S)
                        )
                    except Untrusted:
                        raise
                    except Forbidden as error:
                        refusal = error
                    except (Unavailable, DeadlineExceeded):
                        say("Auth cannot be reached yet, or does not admit this code; trying again …")
                    # An answer may have been lost on its way: whoever was admitted is a member by now.
                    if published := await self._as_member():
                        return self._verified(published)
                    await self._clock.sleep(pause_s)
                    pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        except TimeoutError as error:
            raise Unavailable(
                f"Auth could not be reached within {wait_s:g} s. It may not be running or not be online; or the code was "
                "used or revoked. `hyperinfer status` and `hyperinfer invite list` on auth's machine tell."
            ) from error
        raise refusal

    def _request(self, name: str) -> Join:
        invite = from_seed(self._code.seed).public_key
        signature = membership.sign_joining(
            self._worker.seed, invite=invite, root=self._code.root_key, role=self._code.role
        )
        return Join(public_key=self._worker.public_key.hex(), signature=signature, name=name)

    def _verified(self, published: Published) -> Published:
        proven = membership.verify(published, root=self._code.root_key)
        for member in proven.list.members:
            if member.key == self._worker.public_key and member.revoked is None and self._code.role in member.roles:
                return published
        raise Untrusted("Auth answered with a member list that this worker is not on.")

    async def _as_member(self) -> Published | None:
        """The member list, asked for as a member; nothing where this worker is none, or auth is away."""
        first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def take(chunks: Sequence[bytes]) -> None:
            if not first.done():
                first.set_result(chunks[-1])

        async def watch() -> None:
            await self._own.call(self._code.auth_key, WATCH_MEMBERS, Newest(), timeout_s=ASK_S, sink=take)

        try:
            async with asyncio.timeout(ASK_S), background(watch(), name="asking as a member"):
                return _published.decode(await first)
        except (HyperinferError, TimeoutError, *UNREADABLE):
            return None
