"""A real Prometheus that reaches the metrics worker alone knows exactly what whoever made the requests has counted."""

import json
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest

from hyperinfer.testing.servers.prometheus import Labels, PrometheusServer
from hyperinfer.workers.metrics.collecting.histogram import quantile

from .conftest import ECHO, Child, Starter, environment, free_port, ran

pytestmark = [pytest.mark.slow, pytest.mark.needs_prometheus]

LOOPBACK = {"HYPERINFER_COMMON__NET__HOST": "127.0.0.1", "HYPERINFER_COMMON__NET__FIREWALLED": "false"}
QUICK = {
    "HYPERINFER_METRICS__COLLECT__INTERVAL_S": "0.5",
    "HYPERINFER_METRICS__COLLECT__TIMEOUT_S": "0.5",
    "HYPERINFER_METRICS__OBSERVE__PORT": "0",
    "HYPERINFER_INFERENCE__ECHO__TOKEN_S": "0.005",
}
HERE = ("auth", "gateway", "inference", "metrics")
JOINED = "far"
SWARM, EACH = "swarm", "each"
"""The two ways: everybody's metrics in one answer, and every worker as a target that service discovery has told of."""
SEEN_S = 20.0
LONG = " ".join(["word"] * 400)
REQUESTS = 'ai_platform_http_requests_total{{job="{}",route="/v1/chat/completions"}}'


@dataclass
class Stack:
    """`up` in one process, an inference worker that has joined in another, and a Prometheus that reaches the metrics worker alone."""

    url: str
    metrics: str
    key: str
    far: Child
    prometheus: PrometheusServer

    def until(self, text: str, holds: Callable[[list[tuple[Labels, float]]], bool]) -> None:
        """Wait until what a query gives makes this hold."""
        until(lambda: holds(self.prometheus.query(text)), lambda: str(self.prometheus.query(text)))

    def person(self) -> str:
        """Somebody who may ask ten times a minute; gives an API key."""
        content = json.dumps({"email": "somebody@example.org", "password": "correct horse battery"}).encode()
        asked = urllib.request.Request(f"{self.url}/api/auth/register", content, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=10) as reply:
            key: str = json.load(reply)["api_key"]["key"]
        return key

    def until_collected(self) -> None:
        """Wait until all that has happened so far has been collected and scraped, in both ways."""
        rounds = 'ai_platform_collect_rounds_total{{job="{}"}}'
        for job in (SWARM, EACH):
            [(_, before)] = self.prometheus.query(rounds.format(job))
            self.until(rounds.format(job), lambda found, before=before: found[0][1] >= before + 4)  # type: ignore[misc]


@dataclass
class Load:
    """What whoever makes the requests counts."""

    stack: Stack
    statuses: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)

    def client(self, key: str = "") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.stack.url}/v1", api_key=key or self.stack.key, max_retries=0)

    def ask(self, text: str = "one two three", *, key: str = "", **more: Any) -> None:
        """One request, however it ends."""
        with self.client(key) as client:
            asked: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": text}], **more}
            try:
                reply = client.chat.completions.create(**asked)
                usage = reply.usage if not more.get("stream") else [chunk.usage for chunk in reply][-1]
            except openai.APIStatusError as error:
                self.statuses[str(error.status_code)] += 1
                return
        assert usage is not None
        self.statuses["200"] += 1
        self.tokens["prompt"] += usage.prompt_tokens
        self.tokens["completion"] += usage.completion_tokens

    def hang_up(self) -> None:
        """One request whose client goes in the middle of the answer."""
        asked: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": LONG}], "stream": True}
        with self.client() as client, client.chat.completions.create(**asked) as stream:
            next(stream)
            next(stream)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    start = Starter()
    with ExitStack() as ending:
        ending.callback(start.close)
        dht = start("dht", "--port", "0", env=environment(folder / "dht"))
        dht.until(lambda: bool(dht.out))
        net = {"HYPERINFER_COMMON__NET__BOOTSTRAP": dht.out[0].removeprefix("net.bootstrap="), **LOOPBACK}
        env = environment(folder / "up", PORT=str(free_port()), **ECHO, **net, **QUICK)
        up = start("up", env=env)
        up.until_ready()
        far_env = environment(folder / "far", **ECHO, **net, **QUICK)
        code = ran("invite", "--role", "inference", "--name", JOINED, env=env).stdout.strip()
        far = start("join", code, "--run", env=far_env)
        until(lambda: observed(folder / "up"), lambda: up.said)
        host = observed(folder / "up").removeprefix("http://")
        prometheus = ending.enter_context(
            PrometheusServer.running(
                {"job_name": SWARM, "static_configs": [{"targets": [host]}]},
                {"job_name": EACH, "http_sd_configs": [{"url": f"http://{host}/sd", "refresh_interval": "1s"}]},
            )
        )
        one = Stack(up.fact("API").removesuffix("/v1"), f"http://{host}", up.fact("key"), far, prometheus)
        one.until(f'up{{job="{EACH}"}} == 1', lambda found: len(found) == len(HERE) + 1)
        one.until(f'ai_platform_worker_up{{job="{SWARM}"}} == 1', lambda found: len(found) == len(HERE) + 1)
        yield one


def observed(home: Path) -> str:
    """Where the metrics worker shows everything; empty until it does."""
    file = home / "status" / "metrics.json"
    url: str = json.loads(file.read_text())["addresses"]["observe"] if file.exists() else ""
    return url


def until(holds: Callable[[], object], what: Callable[[], str]) -> None:
    """Wait until this holds."""
    deadline = time.monotonic() + SEEN_S
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


def test_what_was_counted_is_known_exactly(stack: Stack) -> None:
    load = Load(stack)
    for _ in range(7):
        load.ask()
    for _ in range(5):
        load.ask("four words are said", stream=True, stream_options={"include_usage": True})
    for _ in range(3):
        load.ask(temperature=7)
    for _ in range(4):
        load.ask(key="hi_wrong")
    for _ in range(2):
        load.ask(model="nobody-has-this")
    person = stack.person()
    for _ in range(12):
        load.ask(key=person)
    assert load.statuses == {"200": 22, "400": 3, "401": 4, "404": 2, "429": 2}
    stack.until_collected()
    for job in (SWARM, EACH):
        assert stack.prometheus.by("status", REQUESTS.format(job)) == load.statuses
        calls = f'ai_platform_requests_total{{job="{job}",worker="gateway",method="processInferenceRequest"}}'
        assert stack.prometheus.by("status", calls) == {
            "ok": 22,
            "BAD_REQUEST": 3,
            "UNAUTHENTICATED": 4,
            "MODEL_NOT_FOUND": 2,
            "RATE_LIMITED": 2,
        }
        by_kind = f'sum by (kind) ({{}}{{{{job="{job}"}}}})'
        for tokens in ("ai_platform_tokens_total", "ai_platform_inference_tokens_total"):
            assert stack.prometheus.by("kind", by_kind.format(tokens)) == load.tokens, "as the replies have them"
        [(_, refused)] = stack.prometheus.query(f'sum(ai_platform_rate_limit_violations_total{{job="{job}"}})')
        assert refused == 2
    assert load.tokens["completion"] == 7 * 3 + 5 * 4 + 10 * 3


def test_requests_that_were_given_up_are_counted_once(stack: Stack) -> None:
    load = Load(stack)
    text = (
        'ai_platform_requests_total{job="swarm",worker="gateway",method="processInferenceRequest",status="cancelled"}'
    )
    for _ in range(3):
        load.hang_up()
    stack.until(text, lambda found: [value for _, value in found] == [3])
    stack.until_collected()
    assert [value for _, value in stack.prometheus.query(text)] == [3]


@pytest.mark.parametrize("q", [0.05, 0.5, 0.95, 0.99])
def test_a_quantile_is_what_prometheus_makes_of_it(stack: Stack, q: float) -> None:
    at = time.time()
    buckets = 'sum by (le) (ai_platform_http_request_duration_seconds_bucket{job="swarm"})'
    found = {float(labels["le"]): value for labels, value in stack.prometheus.query(buckets, time=at)}
    [(_, expected)] = stack.prometheus.query(f"histogram_quantile({q}, {buckets})", time=at)
    assert quantile(q, found) == pytest.approx(expected, rel=1e-9)


def test_all_of_it_is_as_the_format_demands(stack: Stack) -> None:
    with urllib.request.urlopen(f"{stack.metrics}/metrics", timeout=10) as reply:
        text = reply.read()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert not checked.stderr, checked.stderr.decode()


def test_a_worker_that_was_killed_is_down_and_the_rest_of_it_stale(stack: Stack) -> None:
    stack.far.kill()
    stack.until(
        f'ai_platform_worker_up{{worker="{JOINED}",job="swarm"}}', lambda found: [one for _, one in found] == [0]
    )
    stack.until(f'{{worker="{JOINED}",job="swarm",__name__!="ai_platform_worker_up"}}', lambda found: not found)
    stack.until(f'up{{instance="{JOINED}",job="each"}}', lambda found: [one for _, one in found] == [0])
    stack.until(f'{{instance="{JOINED}",job="each",__name__!~"up|scrape_.*"}}', lambda found: not found)
    [(_, others)] = stack.prometheus.query('sum(ai_platform_worker_up{job="swarm"})')
    assert others == len(HERE)
