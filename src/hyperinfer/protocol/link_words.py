"""Why a member is not reached, in a word, in a sentence, and what helps: judged from what failed and what the DHT tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

OFFLINE = "offline"
NOT_ANNOUNCED = "not_announced"
REFUSED = "refused"
NOT_PUNCHED = "not_punched"
NO_ANSWER = "no_answer"
NOT_TRIED = "not_tried"
REASONS = (OFFLINE, NOT_ANNOUNCED, REFUSED, NOT_PUNCHED, NO_ANSWER, NOT_TRIED)
"""Every reason that there is."""

Whereabouts = Literal["here", "absent", "silent", "refused", "full", "unknown"]
"""What the DHT tells of a peer: served by this process; nobody announces the key; somebody did within the last 20 minutes and
says nothing; it has refused us; it had no room for us; could not be asked."""

ROUTERS: Mapping[str, str] = {
    "none": "there is none",
    "steady": "it keeps its ports",
    "random": "it gives every flow another port",
}
"""What a router does, as `facilities.net.surroundings` names it."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the DHT told of a peer: when (monotonic), and since when it says the same."""

    where: Whereabouts
    at: float
    since: datetime


@dataclass(frozen=True, slots=True)
class Why:
    """Why a member is not reached: the reason, a sentence, and what helps."""

    reason: str
    trouble: str
    do: str


AWAY = Why(
    OFFLINE,
    "Nobody in the DHT knows it: it is switched off, or has no way out.",
    "Start it, or see what `hyperinfer status` says there.",
)
SILENT = Why(
    OFFLINE,
    "It was there within the last 20 minutes and says nothing now: switched off, or without network.",
    "Start it again, or look at its network.",
)
CLOSED = Why(
    REFUSED,
    "It is there and does not admit this worker: its member list is another one, or an older.",
    "`hyperinfer members list` on its machine: is this worker's key there?",
)
FULL = Why(
    REFUSED, "It is there and has no room for more connections.", "Wait, or raise net.max_stranger_connections there."
)
DOUBTFUL = Why(
    REFUSED,
    "It is known and did not let us in: it has just gone, has no room, or admits other keys.",
    "Is it running, and is this worker a member there (`hyperinfer members list`)?",
)
LATE = Why(
    NO_ANSWER, "It answered, and no connection came about in time.", "It is tried again; look at the network between."
)
UNHEARD = Why(NO_ANSWER, "It did not answer in time.", "It is tried again; look at the network between.")
HIDDEN = Why(
    NOT_ANNOUNCED,
    "Its machine is there, and nobody finds it by its role: it drains, or works for another swarm.",
    "`hyperinfer status` there; to join this swarm again, `hyperinfer join`.",
)

BY_SIGHT: Mapping[Whereabouts, Why] = {"absent": AWAY, "refused": CLOSED, "full": FULL}
"""What the DHT tells beyond doubt."""


def judged(reason: str, where: Whereabouts, details: Mapping[str, Any], *, net_trouble: str = "") -> Why:
    """Judge a peer that was not reached for this reason, with the error's details. Where this machine itself has no way to the
    DHT, `net_trouble` says why: then little can be told of others."""
    if net_trouble and reason in (OFFLINE, NO_ANSWER, NOT_ANNOUNCED):
        return Why(NO_ANSWER, f"This machine is out of the swarm's reach: {net_trouble}.", "`hyperinfer doctor` here.")
    if reason == NOT_PUNCHED:
        return _not_punched(str(details.get("router", "")), str(details.get("remote_router", "")))
    if where in BY_SIGHT:
        return BY_SIGHT[where]
    if reason == OFFLINE:
        return AWAY
    if reason == NOT_ANNOUNCED:
        return HIDDEN
    if reason == NO_ANSWER and details.get("answered"):
        return LATE
    if where == "silent":
        return SILENT
    return UNHEARD if reason == NO_ANSWER else DOUBTFUL


def _not_punched(ours: str, theirs: str) -> Why:
    known = [f"{whose}: {ROUTERS[kind]}" for whose, kind in (("ours", ours), ("its", theirs)) if kind in ROUTERS]
    routers = f" ({'; '.join(known)})" if known else ""
    return Why(
        NOT_PUNCHED,
        f"It answers, and the routers between let no direct connection through{routers}.",
        "Put one of the two behind another router, or where it has a public address.",
    )
