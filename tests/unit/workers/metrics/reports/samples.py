"""Summaries as auth makes them, for reports of all kinds."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from hyperinfer.contracts.reports import Cell, Failure, Hour, Percentiles, Share, Sums, UsageSummary
from hyperinfer.workers.metrics.reports.figures import Report
from hyperinfer.workers.metrics.reports.periods import Period, day_of, week_of

FRIDAY = date(2026, 11, 20)
GPU, LAPTOP, IDLE = "ef" * 32, "01" * 32, "77" * 32
NOON_AFTER = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=https://evil.example/x.png>',
    "=cmd|' /C calc'!A0",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "a\r\nb: c",
    "&amp;" * 40,
    "\N{GRINNING FACE}" * 100,
)


def sums(requests: int = 10, tokens: int = 1000, *, errors: int = 0, cost: float | None = None) -> Sums:
    return Sums(
        requests=requests, errors=errors, prompt_tokens=tokens // 4, completion_tokens=tokens - tokens // 4, cost=cost
    )


def summary(period: Period, **more: Any) -> UsageSummary:
    """A plausible one: two people, two models, two workers, every hour of working days."""
    days = [period.since + timedelta(days=at) for at in range((period.until - period.since).days + 1)]
    fields: dict[str, Any] = {
        "since": period.since,
        "until": period.until,
        "total": sums(1234 * len(days), 4_567_890 * len(days), errors=17, cost=12.345 * len(days)),
        "before": sums(1100 * len(days), 5_000_000 * len(days), errors=3, cost=11.0 * len(days)),
        "people": 12,
        "days": tuple(Share(str(day), str(day), sums(1234, 4_567_890, errors=2, cost=12.345)) for day in days),
        "models": (
            Share("llama3.1:70b", "llama3.1:70b", sums(834, 4_000_000, errors=14, cost=11.9)),
            Share("smollm2-135m", "smollm2-135m", sums(400, 567_890, errors=3, cost=0.445)),
        ),
        "users": (
            Share("u1", "ada", sums(1000, 4_100_000, errors=5, cost=11.1)),
            Share("u2", "bob", sums(200, 460_000, errors=12, cost=1.2)),
            Share("", "deleted accounts", sums(34, 7890, cost=0.045)),
        ),
        "keys": (
            Share("k1", "ada: work (hi_Ab12Cd34…)", sums(1000, 4_100_000, errors=5, cost=11.1)),
            Share("", "without a key", sums(234, 467_890, errors=12, cost=1.245)),
        ),
        "workers": (
            Share(GPU, GPU, sums(834, 4_000_000, errors=10, cost=11.9)),
            Share(LAPTOP, LAPTOP, sums(390, 567_890, errors=3, cost=0.445)),
            Share("", "", sums(10, 0, errors=4)),
        ),
        "hours": tuple(
            Hour(day=day, hour=hour, requests=(hour - 6) * (20 - hour) * (2 if day.weekday() < 5 else 1), tokens=4000)
            for day in days
            for hour in range(7, 20)
        ),
        "statuses": {"success": 1210, "error": 15, "timeout": 2, "cancelled": 7},
        "failures": (
            Failure("error", "BACKEND_FAILED", "llama3.1:70b", 12),
            Failure("timeout", "DEADLINE_EXCEEDED", "smollm2-135m", 5),
        ),
        "response_ms": Percentiles(2345.0, 8765.0, 61_000.0),
        "first_token_ms": Percentiles(123.4, 456.0, 2100.0),
        "currency": "EUR",
        "cells": tuple(
            cell
            for day in days
            for cell in (
                Cell(day, "u1", "k1", "llama3.1:70b", sums(1000, 4_100_000, errors=1, cost=11.1)),
                Cell(day, "u2", None, "smollm2-135m", sums(200, 460_000, errors=1, cost=1.2)),
                Cell(day, None, None, "smollm2-135m", sums(34, 7890, cost=0.045)),
            )
        ),
        "usernames": {"u1": "ada", "u2": "bob"},
        "key_names": {"k1": "ada: work (hi_Ab12Cd34…)"},
    }
    return UsageSummary(**{**fields, **more})


def report(
    period: Period | None = None,
    *,
    made_at: datetime = NOON_AFTER,
    present: Mapping[str, float] | None = None,
    **more: Any,
) -> Report:
    period = period or day_of(FRIDAY)
    return Report(
        period=period,
        summary=summary(period, **more),
        made_at=made_at,
        workers={GPU: "gpu-box", LAPTOP: "laptop", IDLE: "spare"},
        present={GPU: 0.9999, LAPTOP: 0.4321, IDLE: 1.0} if present is None else present,
    )


def hostile(period: Period | None = None) -> Report:
    """One in which everything that people choose is as bad as it may be, and there is as much of it as there can be."""
    named = tuple(Share(f"{at}", HOSTILE[at % len(HOSTILE)], sums(cost=0.1, errors=1)) for at in range(101))
    failures = tuple(Failure("error", text, text, 1) for text in HOSTILE)
    made = report(period or week_of(FRIDAY), models=named, users=named, keys=named, workers=named, failures=failures)
    names = {f"u{at}": text for at, text in enumerate(HOSTILE)}
    cells = tuple(Cell(FRIDAY, user, user, text, sums()) for (user, text) in names.items())
    told = msgspec.structs.replace(made.summary, cells=cells, usernames=names, key_names=names)
    return Report(made.period, told, made.made_at, {f"{at}": HOSTILE[at % len(HOSTILE)] for at in range(101)}, {})


def empty(period: Period | None = None) -> Report:
    """One of a time in which nothing was asked."""
    nothing: dict[str, Any] = {
        "models": (),
        "users": (),
        "keys": (),
        "workers": (),
        "hours": (),
        "failures": (),
        "days": (),
        "cells": (),
    }
    zero = Sums(0, 0, 0, 0)
    return report(
        period, total=zero, before=zero, people=0, statuses={}, response_ms=None, first_token_ms=None, **nothing
    )
