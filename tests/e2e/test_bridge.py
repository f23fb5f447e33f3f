"""The bridge in a process of its own, on a machine outside the swarm: as people use it, while gateways and drivers die."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import openai
import psutil
import pytest
from openai.types.chat import ChatCompletionMessageParam

from .conftest import Child, environment
from .processes import LOOPBACK, PASSWORD, Machine, done, machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

AT_ONCE = 20
WORDS = 150
SLOW = {
    "HYPERINFER_INFERENCE__ECHO__TOKENS": str(WORDS),
    "HYPERINFER_INFERENCE__ECHO__TOKEN_S": "0.01",
    "HYPERINFER_INFERENCE__ECHO__SLOTS": "64",
}
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello there"}]
WAIT_S = 20.0


@dataclass
class Outside:
    """A machine that knows a link and an account, and nothing else of the swarm."""

    swarm: Machine
    home: Path
    link: str
    bridge: Child
    url: str

    @property
    def client(self) -> openai.OpenAI:
        """The official client, which tries nothing twice by itself."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.swarm.key, max_retries=0, timeout=60)

    def until_answers(self) -> float:
        """Wait until a prompt is answered; gives how long that took, in seconds."""
        began = time.monotonic()
        self.swarm.until_answers(url=self.url)
        return time.monotonic() - began


def bridge_env(swarm: Machine, home: Path, *, wait_s: float) -> dict[str, str]:
    """The environment of a bridge."""
    net = {"HYPERINFER_COMMON__NET__BOOTSTRAP": swarm.bootstrap, **LOOPBACK, "HYPERINFER_COMMON__DRAIN_S": "2"}
    return environment(home, **net, PORT="0", HYPERINFER_CLIENT__WAIT_S=str(wait_s))


def start_bridge(swarm: Machine, home: Path, link: str) -> Outside:
    """Run `hyperinfer bridge` and wait for what it prints."""
    child = swarm.start("bridge", "--gateway", link, env=bridge_env(swarm, home, wait_s=WAIT_S))
    child.until_ready()
    return Outside(swarm, home, link, child, child.fact("API").removesuffix("/v1"))


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("swarm"), "auth", "inference", "gateway", **SLOW) as one:
        yield one


@pytest.fixture(scope="module")
def outside(swarm: Machine, tmp_path_factory: pytest.TempPathFactory) -> Outside:
    [link, *_] = done("link", env=swarm.env).splitlines()
    assert link.startswith("hyper://swarm/")
    return start_bridge(swarm, tmp_path_factory.mktemp("outside"), link)


def stream(outside: Outside, heard: list[str]) -> str:
    """Have an answer streamed; gives how it ended."""
    try:
        for chunk in outside.client.chat.completions.create(model="echo", messages=ASKED, stream=True):
            for choice in chunk.choices:
                heard.append(choice.delta.content or "")
                if choice.finish_reason:
                    return "whole"
    except openai.APIError as error:
        return f"error: {error.message}"
    return "cut without a word"


def many(outside: Outside, strike: "threading.Event") -> list[str]:
    """Have so many answers streamed at once; sets the event once all have begun, and gives how each ended."""
    heard: list[list[str]] = [[] for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = [pool.submit(stream, outside, one) for one in heard]
        deadline = time.monotonic() + 30
        while not all(len(one) > 3 for one in heard):
            assert time.monotonic() < deadline, heard
            time.sleep(0.01)
        strike.set()
        return [end.result(60) for end in ends]


def test_it_says_where_it_serves_and_what_it_found(outside: Outside) -> None:
    said = outside.bridge.out
    assert outside.bridge.fact("gateway").startswith(outside.swarm.children["gateway"].said.split('"key":"')[1][:12])
    assert "ms there and back" in outside.bridge.fact("link")
    assert any(line.startswith(f"curl {outside.url}/v1/chat/completions") for line in said)
    assert outside.swarm.key not in outside.bridge.said


def test_the_official_client_streams_an_answer_through_it(outside: Outside) -> None:
    heard: list[str] = []
    assert stream(outside, heard) == "whole"
    assert len([word for word in heard if word]) == WORDS


def test_two_people_behind_it_are_two(swarm: Machine, outside: Outside) -> None:
    swarm.person("eve")
    for email, wanted in (("eve@example.org", 200), ("nobody@example.org", 401)):
        body = {"email": email, "password": PASSWORD}
        assert swarm.call("POST", "/login", body, url=outside.url)[0] == wanted
    status, whose, _ = swarm.call("POST", "/verify-session", {}, url=outside.url)
    assert (status, whose["email"]) == (200, "admin@hyperinfer.local")


def test_a_gateway_that_is_killed_cuts_its_streams_with_a_word_and_is_found_again(
    swarm: Machine, outside: Outside
) -> None:
    struck = threading.Event()

    def kill() -> None:
        struck.wait(40)
        swarm.children["gateway"].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    ends = many(outside, struck)
    killer.join()
    assert [end for end in ends if end != "whole" and not end.startswith("error: ")] == []
    assert any(end.startswith("error: The connection to the gateway was lost") for end in ends)
    outside.bridge.until_said("gateway: gone.")
    swarm.run("gateway")
    assert outside.until_answers() < 15
    outside.bridge.until_said("gateway: back,")


def test_a_request_made_while_the_gateway_restarts_is_answered_by_the_next(swarm: Machine, outside: Outside) -> None:
    outside.until_answers()
    assert swarm.children["gateway"].stop() == 0
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(stream, outside, []) for _ in range(4)]
        swarm.run("gateway")
        assert [one.result(60) for one in waiting] == ["whole"] * 4


def test_its_own_driver_may_die(outside: Outside) -> None:
    outside.until_answers()
    [driver] = psutil.Process(outside.bridge.process.pid).children()
    struck = threading.Event()

    def kill() -> None:
        struck.wait(40)
        driver.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    ends = many(outside, struck)
    killer.join()
    assert all(end == "whole" or end.startswith("error: ") for end in ends)
    assert outside.until_answers() < 15


def test_a_link_to_another_root_gives_nothing_away(swarm: Machine, outside: Outside, tmp_path: Path) -> None:
    """The topic is right, and whoever announces it cannot prove to be of that root: as good as away."""
    scheme, _, rest = outside.link.partition("swarm/")
    swarm_key, _, _ = rest.partition("/")
    wrong = f"{scheme}swarm/{swarm_key}/{'ab' * 32}"
    child = swarm.start("bridge", "--gateway", wrong, env=bridge_env(swarm, tmp_path, wait_s=2.0))
    child.until_said("cannot prove")
    line = next(line for line in child.err if "worker_running" in line)
    url = json.loads(line)["http"]
    began = time.monotonic()
    status, body, headers = swarm.call("POST", "/v1/chat/completions", {"messages": ASKED}, url=url)
    assert time.monotonic() - began < 5
    assert status == 503
    assert f"the swarm {'ab' * 6}… has been out of reach for" in body["error"]["message"]
    assert "cannot prove" in body["error"]["message"]
    assert int(headers["retry-after"]) > 0
    assert swarm.call("GET", "/readyz", url=url)[0] == 503
    assert child.stop() == 0


def test_it_stops_in_good_order(outside: Outside) -> None:
    assert outside.bridge.stop() == 0
    assert not list((outside.home / "status").glob("*.json"))
