"""An operator's first evening: a request is made, and seen in every place where one looks, by words and by programs."""

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hyperinfer.testing.servers.prometheus import PrometheusServer

from .conftest import ECHO, Child, Starter, environment, free_port, ran

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
WORKERS = {"auth", "gateway", "inference", "metrics"}
TOKEN = "what-prometheus-sends-along"
PROMPT = "the heron waits by the water"
REQUEST, TRACE = "first-of-the-evening", "0af7651916cd43dd8448eb211c80319c"
TOLD = {
    "collect": {"interval_s": 0.5, "timeout_s": 0.4},
    "observe": {"token": TOKEN},
    "alerts": {"rules": {"latency": {"threshold": 0.001, "hold_s": 0}}},
}
"""Of the metrics worker: it looks often, shows nothing without a token, and holds any answer to be a slow one."""
SEEN_S, PAUSE_S = 20.0, 0.2


@dataclass(frozen=True)
class House:
    """Everything in one process, used from one terminal by its administrator."""

    child: Child
    home: Path
    env: dict[str, str]

    def run(self, *words: str) -> str:
        """A command that ends well; gives what it prints."""
        done = ran(*words, env=self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *words: str) -> Any:
        """The same as JSON."""
        return json.loads(self.run(*words, "--json"))

    def until(self, look: Callable[[], Any], holds: Callable[[Any], object]) -> Any:
        """Look again and again until this holds; gives what was seen."""
        deadline = time.monotonic() + SEEN_S
        while not holds(seen := look()):
            assert time.monotonic() < deadline, seen
            time.sleep(PAUSE_S)
        return seen

    @property
    def metrics(self) -> str:
        """Where the metrics worker shows what it has collected."""
        told = json.loads((self.home / "status" / "metrics.json").read_text(encoding="utf-8"))
        address: str = told["addresses"]["observe"]
        return address


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("operator")
    (home / "config").mkdir()
    (home / "config" / "metrics.json").write_text(json.dumps(TOLD))
    env = environment(home, PORT=str(free_port()), HYPERINFER_COMMON__OBSERVE__PORT="0", **ECHO)
    start = Starter()
    try:
        one = House(start("up", env=env), home, env)
        one.child.until_ready()
        logged_in = ran("login", "admin", env=env, stdin=one.child.fact("password").split()[0])
        assert logged_in.returncode == 0, logged_in.stderr
        ask(one)
        yield one
    finally:
        start.close()


def ask(house: House) -> None:
    """The first request, by an application that traces."""
    content = {"model": "echo", "messages": [{"role": "user", "content": PROMPT}]}
    headers = {
        "Authorization": f"Bearer {house.child.fact('key')}",
        "Content-Type": "application/json",
        "X-Request-Id": REQUEST,
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    }
    url = f"{house.child.fact('API')}/chat/completions"
    with urllib.request.urlopen(
        urllib.request.Request(url, json.dumps(content).encode(), headers), timeout=10
    ) as reply:
        assert PROMPT in json.load(reply)["choices"][0]["message"]["content"]


def test_it_is_in_the_live_view(house: House) -> None:
    def was_timed(health: Any) -> bool:
        return any(one["wtype"] == "gateway" and one["figures"]["latency_s"] for one in health["workers"])

    health = house.until(lambda: house.json("top", "--once"), was_timed)
    assert {one["name"]: one["state"] for one in health["workers"]} == dict.fromkeys(WORKERS, "ready")
    assert len({one["process"] for one in health["workers"]}) == 1
    assert [model["name"] for one in health["workers"] for model in one["models"]] == ["echo"]
    shown = house.run("top", "--once")
    assert all(re.search(rf"^{name} .* ready ", shown, re.MULTILINE) for name in WORKERS)
    assert re.search(r"^echo +inference +ready ", shown, re.MULTILINE)


def test_its_lines_are_in_the_log_of_every_worker_that_it_touched(house: House) -> None:
    asked = house.until(lambda: house.run("logs", "--trace", TRACE), lambda seen: seen.count("\n") >= 2)
    assert re.search(r"inference +processRequest ok .* echo ", asked)
    assert re.search(r"gateway +processInferenceRequest ok .* asked=inference", asked)
    through = house.run("logs", "--gateway", "--request", REQUEST, "--json")
    lines = [json.loads(line) for line in through.splitlines()]
    assert {line["worker"] for line in lines} == {"gateway", "inference"}
    assert {line["trace_id"] for line in lines} == {TRACE}
    assert PROMPT not in (house.home / "logs" / "event.log").read_text(encoding="utf-8")


def test_what_is_not_well_is_told_with_what_helps_until_somebody_works_on_it(house: House) -> None:
    def slow() -> Any:
        return [
            one for one in house.json("alerts") if one["rule"] == "latency" and one["labels"]["worker"] == "gateway"
        ]

    [alert] = house.until(slow, lambda found: found and found[0]["state"] == "firing")
    assert "gateway" in alert["summary"]
    assert alert["do"]
    assert re.search(r"^alerts: \d warning; `hyperinfer alerts` shows them$", house.run("status"), re.MULTILINE)
    listed = ran("alerts", env=house.env)
    assert alert["id"] in listed.stdout
    assert alert["do"] in listed.stderr
    house.run("alerts", "silence", alert["id"][:8], "--for", "2h")
    [quiet] = [one for one in house.json("alerts", "--past") if one["id"] == alert["id"]]
    assert quiet["silenced_until"]


def test_it_is_in_the_report_of_the_day(house: House) -> None:
    today = datetime.now(UTC).date().isoformat()
    told = house.until(lambda: house.run("usage", "report", "--day", today), lambda seen: "echo" in seen)
    assert "So far" in told
    rows = house.run("usage", "report", "--day", today, "--csv", "-").splitlines()
    assert rows[0].startswith("day,user,api_key,model,")
    assert rows[1].startswith(f"{today},admin,")
    assert "echo" in house.run("usage", "report", "--day", today, "--html", "-")


def test_a_machine_tells_how_it_is_without_an_account(house: House) -> None:
    assert {one["name"]: one["state"] for one in house.json("status")} == dict.fromkeys(WORKERS, "ready")
    for route, words in (("/healthz", "alive"), ("/readyz", "ready")):
        with urllib.request.urlopen(house.metrics + route, timeout=10) as reply:
            assert words in reply.read().decode()


@pytest.mark.needs_prometheus
def test_a_prometheus_of_theirs_sees_it_with_the_files_in_deploy(house: House) -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in DEPLOY.glob("*.yml")}
    told = files["prometheus.yml"].replace("127.0.0.1:9105", house.metrics.removeprefix("http://"))
    told = re.sub(r"# (authorization:|  type:|  credentials_file:)", r"\1", told)
    told, times = re.subn(r"(?<=interval: )\d+s", "1s", told)
    assert times == 3
    with PrometheusServer.configured(files | {"prometheus.yml": told, "hyperinfer.token": TOKEN}) as server:
        asked = 'sum by (worker) (ai_platform_requests_total{method="processInferenceRequest",status="ok"})'
        assert house.until(lambda: server.by("worker", asked), dict.__len__) == {"gateway": 1.0}
        up = house.until(lambda: server.by("worker", "ai_platform_worker_up"), lambda seen: len(seen) == len(WORKERS))
        assert up == dict.fromkeys(WORKERS, 1.0)
        targets = server.ask("targets")["activeTargets"]
        assert {one["labels"]["instance"] for one in targets} > WORKERS
        assert {one["lastError"] for one in targets} == {""}

        def rules() -> list[Any]:
            return [one for group in server.ask("rules")["groups"] for one in group["rules"]]

        assert len(house.until(rules, lambda found: all(one["health"] == "ok" for one in found))) > len(WORKERS)
    checked = subprocess.run(
        ["promtool", "check", "config", DEPLOY / "prometheus.yml"], capture_output=True, timeout=20, check=False
    )
    assert checked.returncode == 0, checked.stdout
