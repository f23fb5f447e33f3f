"""Asking every worker: nobody is held up by another, and what is refused is said."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.common import Health, MetricsText, PeerLink, PeerLinks
from hyperinfer.contracts.metrics import WorkerHealth
from hyperinfer.errors import Forbidden, PeerUnreachable, UnknownMethod
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel import swarm as swarms
from hyperinfer.kernel.members import Members
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.gateway import FakeGateway, always
from hyperinfer.workers.metrics.collecting.collector import MAX_SENTENCE_CHARS, Collector
from hyperinfer.workers.metrics.collecting.figures import MAX_MODELS
from hyperinfer.workers.metrics.collecting.meters import Meters
from hyperinfer.workers.metrics.collecting.worker import MAX_LINKS, MAX_LINKS_IN_ALL
from hyperinfer.workers.metrics.config import CollectSettings

HEALTH = Health(status="ready", service="inference", version="1", uptime_s=10.0, process="p")
OWN = b"o" * 32
SINCE = "2026-11-21T18:00:00.5+00:00"
COUNTED = "# TYPE n_total counter\nn_total 1\n"


class Asked:
    """Workers that answer what a test says, and a collector that asks them."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        swarms.create(folder)
        self.folder = folder
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.peers: dict[bytes, FakeGateway] = {}
        self.own = FakeGateway()
        self.members = Members.load(folder)
        self.collector = Collector(
            CollectSettings(**settings),
            members=self.members,
            peer=self.peers.__getitem__,
            own_key=OWN,
            own=self.own,
            clock=self.clock,
            meters=Meters(self.registry),
        )

    def worker(
        self, name: str, role: str = "inference", *, text: str = COUNTED, health: Health = HEALTH
    ) -> FakeGateway:
        key = secrets.token_bytes(32)
        member_file.add(self.folder, key, roles=(role,), name=name, now=datetime.now(UTC))
        self.members.refresh()
        peer = self.peers[key] = FakeGateway(
            getServiceHealth=always(replace(health, service=role)),
            getMetrics=always(MetricsText(text=text)),
            getLinks=always(PeerLinks(links=(PeerLink(key="k", name="x", roles=(), how="direct", round_trip_s=0.5),))),
        )
        return peer

    async def round(self) -> dict[str, WorkerHealth]:
        self.clock.advance(5.0)
        await self.collector.round()
        return {worker.name: worker for worker in self.collector.swarm.workers}

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    @property
    def text(self) -> str:
        return self.collector.swarm.text().decode()


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


def hanging() -> Callable[..., Awaitable[Any]]:
    async def answer(*_: Any) -> Any:
        await asyncio.Event().wait()

    return answer


async def test_who_answers_is_known(asked: Asked) -> None:
    asked.worker("gpu")
    workers = await asked.round()
    gpu = workers["gpu"]
    assert (gpu.wtype, gpu.state, gpu.version, gpu.process, gpu.uptime_s) == ("inference", "ready", "1", "p", 10.0)
    assert gpu.seen_at == asked.clock.now().isoformat()
    assert gpu.links[0].how == "direct"
    assert gpu.figures.round_trip_s == 0.5
    assert 'n_total{worker="gpu",wtype="inference"} 1' in asked.text
    assert 'ai_platform_worker_up{worker="gpu",wtype="inference"} 1' in asked.text


async def test_who_does_not_answer_is_lost_and_says_why(asked: Asked) -> None:
    gpu = asked.worker("gpu")
    asked.worker("other")
    before = await asked.round()
    gpu.answers["getServiceHealth"] = always(PeerUnreachable("The peer is offline."))
    after = await asked.round()
    assert (after["gpu"].state, after["gpu"].reasons) == ("lost", ("The peer is offline.",))
    assert after["gpu"].seen_at == before["gpu"].seen_at
    assert after["gpu"].figures.in_flight is None
    assert (before["gpu"].figures.answered, after["gpu"].figures.answered) == (1, 0)
    assert 'n_total{worker="gpu"' not in asked.text
    assert 'ai_platform_worker_up{worker="gpu",wtype="inference"} 0' in asked.text
    assert 'n_total{worker="other"' in asked.text
    assert asked.sample("ai_platform_collect_failures_total", code="PEER_UNREACHABLE") == 1
    assert asked.sample("ai_platform_collect_workers", state="lost") == 1


async def test_who_never_answered_was_never_seen(asked: Asked) -> None:
    asked.worker("gpu").answers["getServiceHealth"] = always(Forbidden("It admits other keys."))
    [gpu] = (await asked.round()).values()
    assert (gpu.state, gpu.reasons, gpu.seen_at) == ("never_seen", ("It admits other keys.",), None)


async def test_one_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    asked = Asked(tmp_path, timeout_s=0.1)
    slow = [asked.worker(f"slow-{number}") for number in range(60)]
    asked.worker("quick")
    await asked.round()
    for one in slow:
        one.answers["getMetrics"] = hanging()
    await asked.round()  # here they stand in one line with the quick one, from now on in a line of their own
    for _ in range(2):
        workers = await asked.round()
        assert workers["slow-0"].state == "lost"
        assert workers["slow-0"].reasons == ("It did not answer within 0.1 s.",)
        assert workers["quick"].state == "ready"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_samples": 2}, "too_many_samples"),
        ({"max_text_bytes": 1024}, "too_long"),
        ({"max_samples_in_all": 5}, "no_room"),
    ],
)
async def test_metrics_that_are_too_much_are_refused_and_said(
    tmp_path: Path, settings: dict[str, int], reason: str
) -> None:
    asked = Asked(tmp_path, **settings)
    asked.worker("huge", text="".join(f'n_total{{a="{number}"}} 1\n' for number in range(100)))
    asked.worker("small")
    workers = await asked.round()
    assert (workers["huge"].state, workers["huge"].figures.answered) == ("degraded", 1)
    assert "not collected" in workers["huge"].reasons[-1]
    assert workers["small"].state == "ready"
    assert asked.sample("ai_platform_collect_refused_total", reason=reason) == 1
    assert 'n_total{worker="huge"' not in asked.text
    assert 'ai_platform_worker_up{worker="huge",wtype="inference"} 1' in asked.text


async def test_lines_without_sense_are_counted(asked: Asked) -> None:
    asked.worker("odd", text="what is this?\nn 1\n")
    await asked.round()
    assert asked.sample("ai_platform_collect_refused_total", reason="malformed") == 1


async def test_a_worker_without_links_is_asked_for_them_once(asked: Asked) -> None:
    old = asked.worker("old")
    old.answers["getLinks"] = always(UnknownMethod("There is no method 'getLinks' here."))
    for _ in range(3):
        assert (await asked.round())["old"].state == "ready"
    assert sum(name == "getLinks" for name, _, _ in old.calls) == 1
    old.answers["getServiceHealth"] = always(replace(HEALTH, process="new"))
    await asked.round()
    assert sum(name == "getLinks" for name, _, _ in old.calls) == 2, "a newer one may have them"


async def test_a_restart_is_seen_by_the_process_or_the_time_that_it_is_up(asked: Asked) -> None:
    gpu = asked.worker("gpu")
    [key] = [key.hex() for key in asked.peers]
    swarm = asked.collector.swarm
    await asked.round()
    gpu.answers["getServiceHealth"] = always(replace(HEALTH, process="q", uptime_s=11.0))
    await asked.round()
    assert swarm.increase(key, "n_total", over_s=60) == 1
    gpu.answers["getServiceHealth"] = always(replace(HEALTH, process="q", uptime_s=1.0))
    await asked.round()
    assert swarm.increase(key, "n_total", over_s=60) == 2
    gpu.answers["getServiceHealth"] = always(replace(HEALTH, process="q", uptime_s=6.0))
    await asked.round()
    assert swarm.increase(key, "n_total", over_s=60) == 2
    assert swarm.rate(key, "n_total", over_s=60) == pytest.approx(2 / 15)


async def test_workers_of_one_name_are_told_apart_and_revoked_ones_forgotten(asked: Asked) -> None:
    asked.worker("gpu")
    asked.worker("gpu", role="gateway")
    asked.worker("alone")
    workers = await asked.round()
    first, second = asked.peers.keys() - {bytes.fromhex(workers["alone"].key)}
    assert set(workers) == {"alone", f"gpu-{first.hex()[:8]}", f"gpu-{second.hex()[:8]}"}
    member_file.revoke(asked.folder, first, now=datetime.now(UTC))
    asked.members.refresh()
    assert set(await asked.round()) == {"alone", "gpu"}


async def test_a_worker_says_what_it_is_as_far_as_it_may_be_that(asked: Asked) -> None:
    liar = asked.worker("liar")
    liar.answers["getServiceHealth"] = always(replace(HEALTH, service="auth"))
    assert (await asked.round())["liar"].wtype == "inference"


async def test_draining_and_degraded_are_told(asked: Asked) -> None:
    asked.worker("d", health=replace(HEALTH, status="draining"))
    asked.worker("g", health=replace(HEALTH, status="degraded", reasons=("Auth is away.",)))
    workers = await asked.round()
    assert workers["d"].state == "draining"
    assert (workers["g"].state, workers["g"].reasons) == ("degraded", ("Auth is away.",))


async def test_it_goes_on_collecting_at_its_pace(asked: Asked) -> None:
    gpu = asked.worker("gpu")
    rounds: asyncio.Queue[None] = asyncio.Queue()
    asked.collector.on_round(lambda _: rounds.put_nowait(None))
    running = asyncio.create_task(asked.collector.run())
    await asyncio.sleep(0)
    assert not gpu.calls, "not before it is told to"
    asked.collector.begin()
    async with asyncio.timeout(5):
        for _ in range(3):
            await rounds.get()
            asked.clock.advance(5.0)
    assert asked.collector.has_collected
    assert asked.sample("ai_platform_collect_rounds_total") == 3
    running.cancel()


async def test_links_are_told_up_to_a_number_and_how_many_more_there_are(asked: Asked) -> None:
    gpu = asked.worker("gpu")
    links = tuple(PeerLink(key=f"{number}", name="x", roles=(), how="direct") for number in range(MAX_LINKS + 3))
    gpu.answers["getLinks"] = always(PeerLinks(links=links))
    told = (await asked.round())["gpu"]
    assert (len(told.links), told.links_left_out) == (MAX_LINKS, 3)
    gpu.answers["getLinks"] = always(PeerLinks(links=links[:2]))
    assert (await asked.round())["gpu"].links_left_out == 0


async def test_itself_it_does_not_tell_that_it_has_asked_nobody(asked: Asked) -> None:
    heard: dict[str, bool] = {}

    def listening(name: str) -> Callable[..., Awaitable[Health]]:
        async def answer(*_: Any) -> Health:
            heard[name] = asked.collector.has_collected
            return HEALTH

        return answer

    asked.worker("gpu").answers["getServiceHealth"] = listening("gpu")
    member_file.add(asked.folder, OWN, roles=("metrics",), name="metrics", now=datetime.now(UTC))
    asked.members.refresh()
    asked.own.answers["getServiceHealth"] = listening("metrics")
    await asked.round()
    assert heard == {"gpu": False, "metrics": True}
    assert asked.collector.has_collected


async def test_of_many_workers_fewer_links_are_told_those_in_trouble_first(asked: Asked) -> None:
    """Each has links to all the others, and all of them go out in one message."""
    well = [PeerLink(key=f"{number}", name="x", roles=(), how="direct") for number in range(250)]
    links = PeerLinks(links=(*well, PeerLink(key="away", name="y", roles=(), how="none", reason="refused")))
    for number in range(100):
        asked.worker(f"gpu-{number}").answers["getLinks"] = always(links)
    workers = await asked.round()
    assert sum(len(worker.links) for worker in workers.values()) == MAX_LINKS_IN_ALL
    assert {worker.links[0].key for worker in workers.values()} == {"away"}
    assert workers["gpu-0"].links_left_out == 251 - MAX_LINKS_IN_ALL // 100


async def test_a_time_that_is_none_is_told_to_nobody(asked: Asked) -> None:
    """Clients read it as a time, and all that comes with it not at all where it is none."""
    links = [PeerLink(key="k", name="x", roles=(), how="direct", since=since) for since in ("yesterday", SINCE, None)]
    asked.worker("broken").answers["getLinks"] = always(PeerLinks(links=tuple(links)))
    [broken] = (await asked.round()).values()
    assert [link.since for link in broken.links] == [None, SINCE, None]


@pytest.mark.parametrize("what", ["health", "links"])
async def test_who_says_too_much_of_itself_is_taken_to_make_no_sense(asked: Asked, what: str) -> None:
    broken = asked.worker("broken")
    if what == "health":
        broken.answers["getServiceHealth"] = always(replace(HEALTH, reasons=("x" * 20_000,)))
    else:
        link = PeerLink(key="k", name="x" * 2_000_000, roles=(), how="direct")
        broken.answers["getLinks"] = always(PeerLinks(links=(link,)))
    asked.worker("silent").answers["getServiceHealth"] = always(PeerUnreachable("x" * 1_000_000))
    workers = await asked.round()
    assert workers["broken"].state == "never_seen"
    assert "longer than" in workers["broken"].reasons[0]
    assert len(workers["silent"].reasons[0]) == MAX_SENTENCE_CHARS


async def test_figures_that_are_no_numbers_end_no_round(asked: Asked) -> None:
    model = 'ai_platform_inference_model_state{model="m",state="ready"} 1\n'
    asked.worker("broken", text=model + 'ai_platform_inference_slots{model="m"} +Inf\nprocess_open_fds 1e999\n')
    asked.worker("gpu")
    await asked.round()
    workers = await asked.round()
    assert (workers["broken"].figures.slots, workers["broken"].figures.open_files) == (None, None)
    assert workers["gpu"].state == "ready"


async def test_models_are_told_up_to_a_number(asked: Asked) -> None:
    state = "ai_platform_inference_model_state"
    asked.worker("broken", text="".join(f'{state}{{model="{number:05}",state="ready"}} 1\n' for number in range(5000)))
    [broken] = (await asked.round()).values()
    assert [model.name for model in broken.models] == [f"{number:05}" for number in range(MAX_MODELS)]
