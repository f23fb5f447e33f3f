"""Retries are bounded by how many requests there are."""

import pytest

from hyperinfer.protocol.budget import EARNED, EARNED_A_SECOND, RESERVE, RetryBudget


def spent(budget: RetryBudget, now: float) -> int:
    count = 0
    while budget.spend(now):
        count += 1
    return count


def test_every_stream_of_a_worker_can_be_retried_at_once() -> None:
    assert spent(RetryBudget(0.0), 0.0) == RESERVE


def test_requests_and_time_earn_retries() -> None:
    budget = RetryBudget(0.0)
    spent(budget, 0.0)
    for _ in range(50):
        budget.earn(0.0)
    assert spent(budget, 0.0) == pytest.approx(50 * EARNED, abs=1)
    assert spent(budget, 4.0) == 4 * EARNED_A_SECOND
    budget.earn(1e9)
    assert spent(budget, 1e9) == RESERVE
