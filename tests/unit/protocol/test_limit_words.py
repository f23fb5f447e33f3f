"""What limits are called, and what is said to who is refused."""

from contextlib import suppress

import pytest

from hyperinfer.contracts.limits import Limits, Subject
from hyperinfer.errors import RateLimited
from hyperinfer.protocol.limits import Ledger, rules_of

NOON_S = 1_790_000_000 // 86_400 * 86_400 + 43_200


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(requests_per_minute=1), r"You have used your 1 request a minute\. Try again in 60 s\."),
        (Limits(requests_per_hour=1), r"You have used your 1 request an hour\. Try again in 60 min\."),
        (
            Limits(requests_per_interval=1, interval_minutes=15),
            r"You have used your 1 request in 15 minutes\. Try again in 15 min\.",
        ),
        (Limits(tokens_per_minute=9), r"You have used your 9 tokens a minute\. Try again in 60 s\."),
        (Limits(tokens_per_day=9), r"You have used your 9 tokens a day\. Try again in 12 h\."),
        (Limits(tokens_per_month=9), r"You have used your 9 tokens a month\. Try again in 10 days\."),
        (Limits(tokens_per_day=0), r"^You may use no more than 0 tokens a day\.$"),
    ],
)
def test_a_refusal_names_the_limit_and_when_to_come_again(limits: Limits, said: str) -> None:
    ledger, who = Ledger(max_entries=1000), [Subject(id="user:u", limits=limits)]
    with suppress(RateLimited):
        ledger.settle(ledger.admit(who, tokens=9, now=0.0, at_s=NOON_S), tokens=9)
    with pytest.raises(RateLimited, match=said):
        ledger.admit(who, tokens=9, now=0.0, at_s=NOON_S)


def test_the_longest_wait_is_told() -> None:
    ledger = Ledger(max_entries=1000)
    who = [
        Subject(id="user:u", limits=Limits(requests_per_minute=1, concurrent_requests=1)),
        Subject(id="key:k", limits=Limits(tokens_per_day=5)),
    ]
    hold = ledger.admit(who, tokens=9, now=0.0, at_s=NOON_S)
    with pytest.raises(RateLimited, match="your 1 request a minute") as refused:
        ledger.admit(who, tokens=9, now=20.0, at_s=NOON_S + 20)
    assert refused.value.details["retry_after_s"] == 40
    ledger.settle(hold, tokens=5)
    with pytest.raises(RateLimited, match="This API key has used its 5 tokens a day") as refused:
        ledger.admit(who, tokens=9, now=20.0, at_s=NOON_S + 20)
    assert refused.value.details["retry_after_s"] == 43_200 - 20


def test_limits_are_rules_once() -> None:
    assert rules_of(Limits(requests_per_hour=3)) is rules_of(Limits(requests_per_hour=3))
    assert not rules_of(Limits(interval_minutes=3)).has_any
    assert not rules_of(Limits(requests_per_hour=3)).follows
