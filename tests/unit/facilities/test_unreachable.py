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
        ("HOLEPUNCH_DOUBLE_RANDOMIZED_NATS", "not_punched"),
    ],
)
def test_the_reason_is_told_by_the_code_and_said_in_a_sentence(code: str, reason: str) -> None:
    error = unreachable(code)
    assert error.details["reason"] == reason
    assert error.message.startswith("The peer cannot be reached: ")
    assert error.message.endswith(".")
