"""Answers of a fake gateway to chat requests, in OpenAI's shape."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from hyperinfer.contracts.gateway import Head, Infer, Inferred
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.contracts.method import Meta
from hyperinfer.kernel.calls import Send
from hyperinfer.testing.gateway import Answer

HEAD = Head(worker="ab" * 32)
MODEL = "m"


def chunk(content: str = "", *, finish_reason: str | None = None, **fields: Any) -> bytes:
    """One chunk of a streamed answer."""
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish_reason}
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return msgspec.json.encode({**frame, "choices": [choice], **fields})


def saying(
    words: Sequence[str], *, then: Exception | None = None, hold: asyncio.Event | None = None, reason: str = "stop"
) -> Answer:
    """Says these words, streamed or whole as the caller likes it; `then` breaks it off, `hold` is waited for first."""
    usage = Usage(prompt_tokens=3, completion_tokens=len(words))

    async def answer(request: Infer, meta: Meta, sink: Send | None) -> Inferred:
        completion = b"null"
        if sink is None:
            message = {"role": "assistant", "content": "".join(words)}
            counts = {"prompt_tokens": 3, "completion_tokens": len(words), "total_tokens": 3 + len(words)}
            choices = [{"index": 0, "message": message, "finish_reason": reason}]
            completion = msgspec.json.encode({"id": "chatcmpl-1", "model": MODEL, "choices": choices, "usage": counts})
        else:
            await sink([msgspec.json.encode(HEAD)])
            for word in words:
                await sink([chunk(word)])
        if hold is not None:
            await hold.wait()
        if then is not None:
            raise then
        if sink is not None:
            counts = {"prompt_tokens": 3, "completion_tokens": len(words), "total_tokens": 3 + len(words)}
            await sink([chunk(finish_reason=reason), chunk(choices=[], usage=counts)])
        processed = Processed(usage=usage, finish_reason=reason, model=MODEL, completion=msgspec.Raw(completion))
        return Inferred(processed=processed, head=HEAD)

    return answer
