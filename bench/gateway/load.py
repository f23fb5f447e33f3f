"""A load generator that costs little itself: raw keep-alive connections, each with one request in flight."""

import asyncio
import gc
import sys
import time
from typing import Any

import msgspec
import uvloop

WARM_UP_S = 0.5


class Plan(msgspec.Struct, frozen=True):
    """What to do: `concurrency` connections for `seconds`, streamed or whole."""

    host: str
    port: int
    key: str
    model: str
    stream: bool
    concurrency: int
    seconds: float


class Measured(msgspec.Struct, frozen=True):
    """What came of it. `total` counts the warm-up too; latencies are in milliseconds."""

    requests: int
    total: int
    seconds: float
    chunks: int
    first_p50_ms: float
    p50_ms: float
    p99_ms: float


class Connection(asyncio.Protocol):
    """Sends the same request again as soon as it has been answered."""

    def __init__(self, load: "Load", request: bytes) -> None:
        self._load = load
        self._request = request
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._wanted = -1
        self._began = 0.0
        self._first = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        if not self._first:
            self._first = time.perf_counter()
        self._received += data
        if self._wanted < 0:
            head, found, _ = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self._load.fail(bytes(self._received[:500]))
                return
            _, has_length, rest = head.partition(b"content-length: ")
            self._wanted = len(head) + 4 + int(rest.split(b"\r\n", 1)[0]) if has_length else 0
        if self._wanted == 0:
            if not self._received.endswith(b"0\r\n\r\n"):
                return
        elif len(self._received) < self._wanted:
            return
        chunks = self._received.count(b"data: {")
        if self._load.done(self._began, self._first, chunks):
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.closed()

    def _send(self) -> None:
        self._received.clear()
        self._wanted = -1
        self._first = 0.0
        self._began = time.perf_counter()
        self._transport.write(self._request)


class Load:
    """Runs one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._total = 0
        self._chunks = 0
        self._latencies: list[float] = []
        self._firsts: list[float] = []
        self._open = 0
        self._ended = asyncio.Event()
        self._failure: bytes | None = None
        self._begins = self._ends = 0.0

    async def run(self) -> Measured:
        """Load until the time is over."""
        plan = self._plan
        loop = asyncio.get_running_loop()
        self._begins = time.perf_counter() + WARM_UP_S
        self._ends = self._begins + plan.seconds
        for _ in range(plan.concurrency):
            self._open += 1
            await loop.create_connection(lambda: Connection(self, request_of(plan)), plan.host, plan.port)
        async with asyncio.timeout(plan.seconds + 30):
            await self._ended.wait()
        if self._failure is not None:
            raise SystemExit(f"The server refused: {self._failure.decode(errors='replace')}")
        latencies, firsts = sorted(self._latencies), sorted(self._firsts)
        return Measured(
            requests=len(latencies),
            total=self._total,
            seconds=plan.seconds,
            chunks=self._chunks,
            first_p50_ms=firsts[len(firsts) // 2] * 1000,
            p50_ms=latencies[len(latencies) // 2] * 1000,
            p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
        )

    def done(self, began: float, first: float, chunks: int) -> bool:
        """A request has been answered; says whether to send another."""
        now = time.perf_counter()
        self._total += 1
        if self._begins <= began and now <= self._ends:
            self._latencies.append(now - began)
            self._firsts.append(first - began)
            self._chunks += chunks
        return now < self._ends

    def fail(self, answer: bytes) -> None:
        """A request was refused: the figures would mean nothing."""
        self._failure = answer
        self._ended.set()

    def closed(self) -> None:
        """A connection has ended."""
        self._open -= 1
        if not self._open:
            self._ended.set()


def request_of(plan: Plan) -> bytes:
    """One request as it goes over the wire."""
    content = "The quick brown fox jumps over the lazy dog. " * 20
    body: dict[str, Any] = {"model": plan.model, "messages": [{"role": "user", "content": content}]}
    if plan.stream:
        body["stream"] = True
    encoded = msgspec.json.encode(body)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {plan.host}:{plan.port}\r\nauthorization: Bearer {plan.key}\r\n"
        f"content-type: application/json\r\naccept: */*\r\nuser-agent: bench\r\ncontent-length: {len(encoded)}\r\n\r\n"
    )
    return head.encode() + encoded


def main() -> None:
    """Run the plan that is given as JSON, and print what was measured as JSON."""
    plan = msgspec.json.decode(sys.argv[1].encode(), type=Plan)
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(Load(plan).run())
    print(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    main()
