"""The Python client library: `Client`, `AsyncClient` and what they answer with."""

from hyperinfer.sdk.answers import AnswerStream
from hyperinfer.sdk.blocking import Client, TextStream
from hyperinfer.sdk.client import AsyncClient
from hyperinfer.sdk.people import (
    CreatedUser,
    Invite,
    Key,
    Limits,
    NewKey,
    NewReset,
    OpenSession,
    Registered,
    Session,
    Tier,
    User,
)
from hyperinfer.sdk.replies import Answer, Model, Placed, SwarmWorker, Usage, WorkerBackend, WorkerModel
from hyperinfer.sdk.reports import AuditRow, Page, Quota, QuotaRow, RequestRow, UsageReport, UsageRow
from hyperinfer.sdk.requests import ChatOptions, Message

__all__ = [
    "Answer",
    "AnswerStream",
    "AsyncClient",
    "AuditRow",
    "ChatOptions",
    "Client",
    "CreatedUser",
    "Invite",
    "Key",
    "Limits",
    "Message",
    "Model",
    "NewKey",
    "NewReset",
    "OpenSession",
    "Page",
    "Placed",
    "Quota",
    "QuotaRow",
    "Registered",
    "RequestRow",
    "Session",
    "SwarmWorker",
    "TextStream",
    "Tier",
    "Usage",
    "UsageReport",
    "UsageRow",
    "User",
    "WorkerBackend",
    "WorkerModel",
]
