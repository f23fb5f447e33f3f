"""Our figure: two Python processes, each with its own driver. Run by `python -m bench.net`."""

import asyncio
import json
import sys
import time

import psutil
import uvloop

from hyperinfer.facilities.net import Admission, Link
from hyperinfer.facilities.net.hyperswarm import HyperswarmNet, hyperswarm
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel.identity import from_seed

SERVER, CLIENT = from_seed(b"s" * 32), from_seed(b"c" * 32)
PAYLOAD = b"x" * 1024
EVENT = b'"%b"' % (b"x" * 98)
ROUND = 1000


class Bench:
    """Echoes calls; counts events; pushes `n` events of 100 bytes when asked to."""

    def __init__(self, net: HyperswarmNet) -> None:
        self.net = net
        self.counted = 0
        self.wanted = 0
        self.done = asyncio.Event()

    async def on_request(self, link: Link, method: str, payload: bytes) -> bytes:
        if method == "cpu":
            return json.dumps(cpu(self.net)).encode()
        if method == "push":
            await push(link, int(payload))
        return payload

    def on_event(self, link: Link, method: str, payload: bytes) -> None:
        self.counted += 1
        if self.counted >= self.wanted:
            self.done.set()

    def on_open(self, link: Link) -> None:
        pass

    def on_close(self, link: Link) -> None:
        pass


async def push(link: Link, events: int) -> None:
    for start in range(0, events, ROUND):
        for _ in range(min(ROUND, events - start)):
            link.event("event", EVENT)
        await asyncio.sleep(0)
        await link.writable()


def cpu(net: HyperswarmNet) -> list[float]:
    """Milliseconds of CPU so far: this process, and its driver."""
    assert net.driver is not None
    driver = psutil.Process(net.driver.pid).cpu_times()
    return [time.process_time() * 1000, (driver.user + driver.system) * 1000]


def settings(bootstrap: str) -> NetSettings:
    return NetSettings(bootstrap=(bootstrap,), host="127.0.0.1", firewalled=False)


async def server(bootstrap: str) -> None:
    async with hyperswarm(settings(bootstrap)) as net:
        endpoint = await net.open(SERVER)
        await endpoint.listen(Bench(net), methods=["echo", "cpu", "push"], admission=Admission(everyone=True))
        print("listening", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def client(bootstrap: str, calls: int, events: int, levels: list[int]) -> None:
    async with hyperswarm(settings(bootstrap)) as net:
        bench = Bench(net)
        link = await (await net.open(CLIENT)).connect(SERVER.public_key, bench, timeout_s=10)
        await link.request("echo", PAYLOAD, timeout_s=10)
        result = {"calls": {str(level): await measure(link, net, calls, level) for level in levels}}
        print(json.dumps({**result, "events": await measure_events(link, bench, events)}), flush=True)


async def measure(link: Link, net: HyperswarmNet, calls: int, level: int) -> dict[str, float]:
    times: list[float] = []
    each = -(-calls // level // (8 if level == 1 else 1))

    async def loop() -> None:
        for _ in range(each):
            started = time.perf_counter()
            await link.request("echo", PAYLOAD, timeout_s=30)
            times.append(time.perf_counter() - started)

    async def spent() -> tuple[float, float]:
        near, far = cpu(net), json.loads(await link.request("cpu", b"{}", timeout_s=30))
        return near[0] + far[0], near[1] + far[1]

    before = await spent()
    started = time.perf_counter()
    await asyncio.gather(*(loop() for _ in range(level)))
    seconds = time.perf_counter() - started
    after = await spent()
    times.sort()
    return {
        "rate": len(times) / seconds,
        "p50": times[len(times) // 2] * 1000,
        "p99": times[int(len(times) * 0.99)] * 1000,
        "python": (after[0] - before[0]) / len(times),
        "driver": (after[1] - before[1]) / len(times),
    }


async def measure_events(link: Link, bench: Bench, events: int) -> float:
    """Events a second from the server to us, as chunks of a stream come."""
    bench.wanted = events
    started = time.perf_counter()
    await link.request("push", b"%d" % events, timeout_s=120)
    await bench.done.wait()
    return events / (time.perf_counter() - started)


def main(arguments: list[str]) -> None:
    role, bootstrap, *rest = arguments
    if role == "server":
        uvloop.run(server(bootstrap))
    else:
        calls, events, *levels = map(int, rest)
        uvloop.run(client(bootstrap, calls, events, levels))


if __name__ == "__main__":
    main(sys.argv[1:])
