"""Limits as arithmetic: exact sliding windows for requests, fixed UTC windows for tokens, places for what is under way."""

from hyperinfer.protocol.limits.ledger import Bucket, Hold, Ledger
from hyperinfer.protocol.limits.log import GRAINS, Log, Window
from hyperinfer.protocol.limits.rules import Rules, rules_of
from hyperinfer.protocol.limits.sliding import SlidingLog, WindowStanding
from hyperinfer.protocol.limits.spans import KINDS, Kind, Span, Spent, span_of
from hyperinfer.protocol.limits.standing import NOT_LIMITED, Reading, Row, Standing, merged, refusal, rows_of

__all__ = [
    "GRAINS",
    "KINDS",
    "NOT_LIMITED",
    "Bucket",
    "Hold",
    "Kind",
    "Ledger",
    "Log",
    "Reading",
    "Row",
    "Rules",
    "SlidingLog",
    "Span",
    "Spent",
    "Standing",
    "Window",
    "WindowStanding",
    "merged",
    "refusal",
    "rows_of",
    "rules_of",
    "span_of",
]
