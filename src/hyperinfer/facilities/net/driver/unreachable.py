"""Why a peer could not be reached, from what Hyperswarm says of the connection that failed."""

from collections.abc import Mapping
from typing import Any

from hyperinfer.errors import PeerUnreachable
from hyperinfer.protocol.link_words import NO_ANSWER, NOT_PUNCHED, OFFLINE, REFUSED

SENTENCES: Mapping[str, str] = {
    OFFLINE: "it is offline, or unknown to the DHT",
    REFUSED: "it is known and did not let us in: it has just gone, has no room, or admits other keys",
    NOT_PUNCHED: "it answers, and the routers between us let no direct connection through",
    NO_ANSWER: "it did not answer in time",
}
"""By reason, which the error's details hold."""

PUNCHING = frozenset(
    {
        "NOT_PUNCHED",
        "CANNOT_HOLEPUNCH",
        "HOLEPUNCH_ABORTED",
        "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS",
        "HOLEPUNCH_INVALID",
        "HOLEPUNCH_PROBE_TIMEOUT",
        "REMOTE_ABORTED",
        "REMOTE_NOT_HOLEPUNCHABLE",
        "REMOTE_NOT_HOLEPUNCHING",
    }
)
"""Codes of hyperdht, and our own where a try was given up, that mean a hole which was not punched."""
REASONS: Mapping[str, str] = {
    "PEER_NOT_FOUND": OFFLINE,
    "TIMEOUT": NO_ANSWER,
    "UNANSWERED": NO_ANSWER,
    **dict.fromkeys(PUNCHING, NOT_PUNCHED),
}
"""By code (hyperdht's `lib/errors.js`); any other means that it was known and the connection was ended."""


def unreachable(code: str, router: str = "", remote_router: str = "") -> PeerUnreachable:
    """The error for a connection that failed with this code. Details: `reason`; where a hole was not punched, what the routers
    of both sides do (`surroundings.Router`); where time ran out, whether the peer had `answered` at all."""
    reason = REASONS.get(code, REFUSED)
    details: dict[str, Any] = {}
    sentence = SENTENCES[reason]
    if reason == NOT_PUNCHED:
        sentence = (
            f"{sentence} ({code})"  # upstream's word for what went wrong: there are nine, for whoever looks into it
        )
        details = {"router": router, "remote_router": remote_router}
    elif reason == NO_ANSWER:
        details = {"answered": code != "UNANSWERED"}
    return PeerUnreachable(f"The peer cannot be reached: {sentence}.", reason=reason, **details)
