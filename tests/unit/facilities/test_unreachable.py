import pytest

from hyperinfer.facilities.net.driver.unreachable import unreachable


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("PEER_NOT_FOUND", "offline"),
        ("PEER_CONNECTION_FAILED", "refused"),
        ("CLOSED", "refused"),
        ("", "refused"),
        ("TIMEOUT", "no_answer"),
        ("NOT_PUNCHED", "not_punched"),
        ("UNANSWERED", "no_answer"),
        ("REMOTE_ABORTED", "not_punched"),
        ("HOLEPUNCH_DOUBLE_RANDOMIZED_NATS", "not_punched"),
    ],
)
def test_the_reason_is_told_by_the_code_and_said_in_a_sentence(code: str, reason: str) -> None:
    error = unreachable(code)
    assert error.details["reason"] == reason
    assert error.message.startswith("The peer cannot be reached: ")
    assert error.message.endswith(".")


def test_what_the_routers_do_is_told_where_they_stood_between_and_whether_the_peer_answered_where_time_ran_out() -> (
    None
):
    assert unreachable("NOT_PUNCHED", "steady", "random").details == {
        "reason": "not_punched",
        "router": "steady",
        "remote_router": "random",
    }
    assert "(NOT_PUNCHED)." in unreachable("NOT_PUNCHED", "steady", "random").message
    assert unreachable("TIMEOUT", "steady", "steady").details == {"reason": "no_answer", "answered": True}
    assert unreachable("UNANSWERED").details == {"reason": "no_answer", "answered": False}
    assert unreachable("PEER_NOT_FOUND", "unknown", "unknown").details == {"reason": "offline"}
