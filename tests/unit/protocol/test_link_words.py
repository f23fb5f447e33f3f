"""Why a member is not reached, judged from what failed and what the DHT tells."""

from typing import Any

import pytest

from hyperinfer.protocol.link_words import REASONS, Whereabouts, judged


@pytest.mark.parametrize(
    ("reason", "where", "details", "expected", "said"),
    [
        ("offline", "unknown", {}, "offline", "Nobody in the DHT knows it"),
        ("refused", "unknown", {}, "refused", "it has just gone, has no room, or admits other keys"),
        ("refused", "refused", {}, "refused", "does not admit this worker"),
        ("refused", "full", {}, "refused", "no room"),
        ("refused", "absent", {}, "offline", "Nobody in the DHT knows it"),
        ("refused", "silent", {}, "offline", "within the last 20 minutes"),
        ("no_answer", "silent", {"answered": False}, "offline", "within the last 20 minutes"),
        ("no_answer", "silent", {"answered": True}, "no_answer", "no connection came about"),
        ("no_answer", "refused", {"answered": False}, "refused", "does not admit this worker"),
        ("no_answer", "unknown", {"answered": False}, "no_answer", "did not answer"),
        ("not_announced", "silent", {}, "not_announced", "nobody finds it by its role"),
        ("not_announced", "absent", {}, "offline", "Nobody in the DHT knows it"),
        (
            "not_punched",
            "unknown",
            {"router": "random", "remote_router": "random"},
            "not_punched",
            "ours: it gives every flow another port; its: it gives every flow another port",
        ),
        (
            "not_punched",
            "unknown",
            {"router": "steady", "remote_router": "unknown"},
            "not_punched",
            "(ours: it keeps its ports)",
        ),
        ("not_punched", "unknown", {}, "not_punched", "no direct connection through."),
    ],
)
def test_the_reason_is_as_precise_as_what_is_known(
    reason: str, where: Whereabouts, details: dict[str, Any], expected: str, said: str
) -> None:
    why = judged(reason, where, details)
    assert why.reason == expected
    assert why.reason in REASONS
    assert said in why.trouble
    assert why.trouble.endswith(".")
    assert why.do


@pytest.mark.parametrize(
    ("reason", "expected"), [("offline", "no_answer"), ("no_answer", "no_answer"), ("not_punched", "not_punched")]
)
def test_where_this_machine_is_out_of_reach_itself_the_others_are_not_blamed(reason: str, expected: str) -> None:
    why = judged(reason, "unknown", {}, net_trouble="no node of the DHT answers")
    assert why.reason == expected
    assert ("no node of the DHT answers" in why.trouble) is (reason != "not_punched")
