"""The Python client library: `Client`, `AsyncClient` and what they answer with."""

from hyperinfer.sdk.answers import AnswerStream
from hyperinfer.sdk.blocking import Client, TextStream
from hyperinfer.sdk.client import AsyncClient
from hyperinfer.sdk.messages import ImagePart, Message, Part, TextPart, Tool, image, text
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
from hyperinfer.sdk.replies import (
    Answer,
    Embeddings,
    Inference,
    Model,
    Placed,
    SwarmWorker,
    ToolCall,
    Usage,
    WorkerBackend,
    WorkerModel,
)
from hyperinfer.sdk.reports import AuditRow, Page, Quota, QuotaRow, RequestRow, UsageReport, UsageRow
from hyperinfer.sdk.requests import ChatOptions, EmbedOptions, ModelOptions, SampleOptions

__all__ = [
    "Answer",
    "AnswerStream",
    "AsyncClient",
    "AuditRow",
    "ChatOptions",
    "Client",
    "CreatedUser",
    "EmbedOptions",
    "Embeddings",
    "ImagePart",
    "Inference",
    "Invite",
    "Key",
    "Limits",
    "Message",
    "Model",
    "ModelOptions",
    "NewKey",
    "NewReset",
    "OpenSession",
    "Page",
    "Part",
    "Placed",
    "Quota",
    "QuotaRow",
    "Registered",
    "RequestRow",
    "SampleOptions",
    "Session",
    "SwarmWorker",
    "TextPart",
    "TextStream",
    "Tier",
    "Tool",
    "ToolCall",
    "Usage",
    "UsageReport",
    "UsageRow",
    "User",
    "WorkerBackend",
    "WorkerModel",
    "image",
    "text",
]
