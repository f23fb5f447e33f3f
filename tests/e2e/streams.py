"""Many streams at once, and what became of each: answered in full, ended by an explicit error, or lost in silence."""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

ASK = {"messages": [{"role": "user", "content": "tell me"}], "stream": True, "stream_options": {"include_usage": True}}
FULL, ERROR, LOST = "full", "error", "lost"


@dataclass
class Stream:
    """One stream as its client sees it."""

    text: str = ""
    reason: str = ""
    done: bool = False
    error: str = ""
    tokens: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def end(self, expected: str | None) -> str:
        """What became of it; where it is known what is to be said, it has to be that to the letter."""
        if self.error:
            return ERROR
        whole = self.done and bool(self.reason) and (expected is None or self.text == expected)
        return FULL if whole else LOST


class Streams:
    """Asks for so many streams at once, all of them at the beginning."""

    def __init__(self, url: str, key: str, *, expected: str | None, body: dict[str, Any] | None = None) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._body = ASK | (body or {})
        self._expected = expected
        self.all: list[Stream] = []

    @property
    def counts(self) -> Counter[str]:
        """How many ended how."""
        return Counter(stream.end(self._expected) for stream in self.all)

    @property
    def begun(self) -> int:
        """How many have said something."""
        return sum(bool(stream.text) for stream in self.all)

    async def run(self, number: int) -> None:
        """Ask, and read every stream to its end."""
        self.all += [Stream() for _ in range(number)]
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            await asyncio.gather(*(self._one(session, stream) for stream in self.all[-number:]))

    async def _one(self, session: aiohttp.ClientSession, stream: Stream) -> None:
        try:
            async with session.post(
                f"{self._url}/v1/chat/completions", json=self._body, headers=self._headers
            ) as reply:
                stream.headers = dict(reply.headers)
                if reply.status != 200:
                    stream.error = await reply.text()
                    return
                async for line in reply.content:
                    self._take(stream, line)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return  # as it stands: not done, so lost

    def _take(self, stream: Stream, line: bytes) -> None:
        if not line.startswith(b"data: "):
            return
        if line.startswith(b"data: [DONE]"):
            stream.done = True
            return
        event = json.loads(line[6:])
        if "error" in event:
            stream.error = json.dumps(event["error"])
            return
        if event.get("usage"):
            stream.tokens = event["usage"]["completion_tokens"]
        for choice in event["choices"]:
            stream.text += choice["delta"].get("content") or ""
            stream.reason = choice["finish_reason"] or stream.reason


def told(streams: Streams, fault: str) -> None:
    """Say what became of them, for who runs the tests with `-s`."""
    counts = streams.counts
    sys.stdout.write(
        f"\n{fault}: {len(streams.all)} sent, {counts[FULL]} in full, {counts[ERROR]} ended by an explicit error, "
        f"{counts[LOST]} lost\n"
    )
