"""Following auth: every machine that joined keeps the member list as auth last signed it, and keeps it while auth is away."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec
import structlog

from hyperinfer.contracts.membership import WATCH_MEMBERS, Newest, Published
from hyperinfer.errors import HyperinferError, Untrusted
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.membership import file
from hyperinfer.kernel.swarm import SwarmKeys
from hyperinfer.protocol.typed_json import UNREADABLE

log = structlog.get_logger(__name__)
_chance = Random()
"""Our own: what others seed is not to be moved by us, nor the other way round."""

ROLE = "auth"
WATCH_S = 3000.0
"""How long one watch lasts before it is made anew; a call may last an hour at most."""
ASK_S = 5.0
"""How long somebody may take who says to be the auth of a later epoch."""
MAX_ASKED = 4
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0

_published = msgspec.json.Decoder(Published)


class Follower:
    """Watches auth for one worker. Whoever answers, what counts is the chain of signatures from the root key."""

    def __init__(self, folder: Path, *, peers: Peers, members: Members, swarm: SwarmKeys, clock: Clock) -> None:
        self._folder = folder
        self._peers = peers
        self._members = members
        self._topic = swarm.topic(ROLE)
        self._clock = clock
        self._heard = False

    async def run(self) -> None:
        """Follow until cancelled; after a loss again, after longer and longer pauses."""
        pause_s = FIRST_PAUSE_S
        while True:
            self._heard = False
            await self._round()
            pause_s = FIRST_PAUSE_S if self._heard else min(pause_s * 2, LONGEST_PAUSE_S)
            await self._clock.sleep(pause_s * _chance.uniform(0.75, 1.25))

    async def _round(self) -> None:
        """Watch the auth that the newest epoch names; where it is away, look for one that a later epoch names."""
        auth = self._auth()
        if auth is not None:
            await self._watch(auth, timeout_s=WATCH_S)
        for key in await self._candidates(but=auth):
            await self._watch(key, timeout_s=ASK_S)
            if self._auth() != auth:
                return

    def _auth(self) -> bytes | None:
        published = self._members.published
        try:
            return bytes.fromhex(file.prove(self._folder, published).epoch.auth)
        except Untrusted:
            return None

    async def _candidates(self, *, but: bytes | None) -> Sequence[bytes]:
        try:
            found = await self._peers.find_now(self._topic)
        except HyperinferError as error:
            log.debug("auth_not_found", reason=error.message)
            return ()
        others = [key for key in found if key != but]
        return _chance.sample(others, min(len(others), MAX_ASKED))

    async def _watch(self, key: bytes, *, timeout_s: float) -> None:
        epoch, version = await asyncio.to_thread(file.newest, self._folder)
        try:
            await self._peers.call(
                key, WATCH_MEMBERS, Newest(epoch=epoch, version=version), timeout_s=timeout_s, sink=self._take
            )
        except Untrusted as error:
            log.error("member_list_refused", auth=key.hex(), reason=error.message)
        except HyperinferError as error:
            log.debug("member_watch_ended", auth=key.hex(), reason=error.message)

    async def _take(self, chunks: Sequence[bytes]) -> None:
        """Take the newest of what came; another worker of this machine may have been first."""
        try:
            published = _published.decode(chunks[-1])
        except UNREADABLE as error:
            raise Untrusted(f"What auth sent is no member list: {error}.") from error
        await asyncio.to_thread(file.take, self._folder, published)
        self._heard = True
        self._members.refresh()
