"""Why a peer could not be reached, from what Hyperswarm says of the connection that failed."""

from collections.abc import Mapping

from hyperinfer.errors import PeerUnreachable

NOT_FOUND = "not_found"
REFUSED = "refused"
NOT_PUNCHED = "not_punched"
NO_ANSWER = "no_answer"

SENTENCES: Mapping[str, str] = {
    NOT_FOUND: "it is offline, or unknown to the DHT",
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
        "REMOTE_NOT_HOLEPUNCHABLE",
        "REMOTE_NOT_HOLEPUNCHING",
    }
)
"""Codes of hyperdht, and our own where a try was given up, that mean a hole which was not punched."""
REASONS: Mapping[str, str] = {
    "PEER_NOT_FOUND": NOT_FOUND,
    "TIMEOUT": NO_ANSWER,
    **dict.fromkeys(PUNCHING, NOT_PUNCHED),
}
"""By code (hyperdht's `lib/errors.js`); any other means that it was known and the connection was ended."""


def unreachable(code: str) -> PeerUnreachable:
    """The error for a connection that failed with this code; details: `reason`."""
    reason = REASONS.get(code, REFUSED)
    return PeerUnreachable(f"The peer cannot be reached: {SENTENCES[reason]}.", reason=reason)
