"""How this machine reaches the others of its swarm, for `hyperinfer status`: what its workers tell on their own ports."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from hyperinfer.cli import times
from hyperinfer.cli.manner import printable, say
from hyperinfer.cli.own_port import headers_of, token_of
from hyperinfer.cli.table import show_table, wrapped
from hyperinfer.facilities.http.reading import read_some
from hyperinfer.protocol.link_words import NOT_TRIED, ROUTERS
from hyperinfer.sdk.health import PeerLink

if TYPE_CHECKING:
    from hyperinfer.cli.workers_here import Seen

ASK_TIMEOUT_S = 3.0
MAX_REPLY_BYTES = 4 * 1024 * 1024
HERE, NONE = "here", "none"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker's own port shows of its links."""

    links: tuple[PeerLink, ...] = ()
    strangers: int = 0
    swarm: str = ""
    router: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """What the workers of this machine tell of their links, by the name of the worker."""

    told: Mapping[str, Told]
    own: frozenset[str]

    @property
    def peers(self) -> list[PeerLink]:
        """The best way from this machine to each member elsewhere, or why there is none from any of its workers."""
        best: dict[str, PeerLink] = {}
        for told in self.told.values():
            for link in told.links:
                if link.name and link.how != HERE and (link.key not in best or _rank(link) < _rank(best[link.key])):
                    best[link.key] = link
        shown = (link for link in best.values() if not (link.key in self.own and link.how == NONE))
        return sorted(shown, key=lambda link: (link.how == NONE, link.name))

    @property
    def strangers(self) -> int:
        """Connections of those who are no members."""
        return sum(told.strangers for told in self.told.values())

    def row(self, name: str) -> dict[str, object]:
        """What one worker tells, for programs."""
        told = self.told.get(name, Told())
        return {"links": told.links, "strangers": told.strangers, "router": told.router, "address": told.address}


async def look(seen: "Sequence[Seen]") -> Links:
    """Ask every worker that answers. One that shows its links to nobody without a token is asked with that of its settings."""
    import aiohttp

    async def ask(session: aiohttp.ClientSession, one: "Seen") -> Told | None:
        headers = headers_of(token_of(one.file.wtype))
        url = f"{one.file.addresses['observe']}/links"
        try:
            async with session.get(url, headers=headers, allow_redirects=False) as reply:
                content = await read_some(reply, MAX_REPLY_BYTES)
                return msgspec.json.decode(content, type=Told) if reply.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            return None

    asked = [one for one in seen if one.health is not None and "observe" in one.file.addresses]
    timeout = aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        answers = await asyncio.gather(*(ask(session, one) for one in asked))
    told = {one.file.name: answer for one, answer in zip(asked, answers, strict=True) if answer is not None}
    return Links(told, frozenset(one.file.public_key for one in seen))


def show(links: Links) -> None:
    """Show how the other machines are reached, and in yellow which are not and what helps."""
    if router := _router(links):
        say(router)
    peers = links.peers
    tried = [link for link in peers if link.reason != NOT_TRIED]
    if tried:
        say()
        rows = [(link.name, ",".join(link.roles), link.reason or link.how, _round_trip(link)) for link in tried]
        show_table(("peer", "type", "link", "round trip"), rows, spare=("type",))
    for link in tried:
        if link.how == NONE:
            say(wrapped(printable(f"{link.name}{_since(link)}: {link.trouble} {link.do}{_again(link)}")), fg="yellow")
    if untried := [link.name for link in peers if link.reason == NOT_TRIED]:
        say(wrapped(printable(f"not called from here yet: {', '.join(sorted(untried))}")), dim=True)
    if links.strangers:
        say(f"connected besides: {links.strangers} of bridges and other clients", dim=True)


def _rank(link: PeerLink) -> tuple[int, float]:
    """A link before a reason, a reason before nothing known."""
    if link.how != NONE:
        return 0, link.round_trip_s if link.round_trip_s is not None else float("inf")
    return (2 if link.reason == NOT_TRIED else 1), 0.0


def _router(links: Links) -> str:
    told = next((one for one in links.told.values() if one.router in ROUTERS), None)
    if told is None:
        return ""
    seen = f"; the DHT sees this machine as {told.address}" if told.address else ""
    return f"router: {ROUTERS[told.router]}{seen}"


def _round_trip(link: PeerLink) -> str:
    if link.round_trip_s is None:
        return ""
    milliseconds = 1000 * link.round_trip_s
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def _since(link: PeerLink) -> str:
    return f" (since {times.second(link.since)})" if link.since else ""


def _again(link: PeerLink) -> str:
    return f" It is tried again in {math.ceil(link.next_try_s)} s." if link.next_try_s else ""
