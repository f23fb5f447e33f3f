"""The Python client library: `Client`, `AsyncClient` and what they answer with."""

from hyperinfer.sdk.blocking import Client, TextStream
from hyperinfer.sdk.client import AnswerStream, AsyncClient
from hyperinfer.sdk.replies import Answer, Key, Model, NewKey, Registered, Session, Usage, User
from hyperinfer.sdk.requests import ChatOptions, Message

__all__ = [
    "Answer",
    "AnswerStream",
    "AsyncClient",
    "ChatOptions",
    "Client",
    "Key",
    "Message",
    "Model",
    "NewKey",
    "Registered",
    "Session",
    "TextStream",
    "Usage",
    "User",
]
