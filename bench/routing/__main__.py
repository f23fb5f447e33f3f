"""Compare ways to choose a worker, in simulated time: how long requests take on workers that are equal, and on uneven ones.

Beside it stands what a choice costs the gateway.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from random import Random

from bench.routing.simulation import Choose, SimulatedWorker, Simulation
from hyperinfer.testing.fleet import ChoosingScene, model

REQUESTS, SEEDS = 20_000, (1, 2, 3)
SWARMS = {
    "4 equal workers": (1.0,) * 4,
    "4 workers, one 5 times slower": (1.0, 1.0, 1.0, 5.0),
    "2 workers, one 5 times slower": (1.0, 5.0),
    "20 equal workers": (1.0,) * 20,
    "20 workers, 5 of them 5 times slower": (1.0,) * 15 + (5.0,) * 5,
}
USES = (0.5, 0.8)


def round_robin(simulation: Simulation) -> Choose:
    """One after the other."""
    turns = cycle(simulation.workers)
    return lambda _: next(turns)


def least_loaded(_: Simulation) -> Choose:
    """The least requests for each slot, of all workers; any of those that are equal."""
    chance = Random(0)

    def load(worker: SimulatedWorker) -> tuple[float, float]:
        return worker.offer.load_estimate.load, chance.random()

    return lambda workers: min(workers, key=load)


def two_choices(_: Simulation) -> Choose:
    """The least requests for each slot, of two at random."""
    chance = Random(0)
    return lambda workers: min(chance.sample(workers, 2), key=lambda worker: worker.offer.load_estimate.load)


def ours(simulation: Simulation) -> Choose:
    """As the gateway chooses."""
    return simulation.ours


WAYS: dict[str, Callable[[Simulation], Choose]] = {
    "round robin": round_robin,
    "least loaded": least_loaded,
    "two choices": two_choices,
    "ours": ours,
}


def measured(swarm: Sequence[float], use: float, way: Callable[[Simulation], Choose]) -> tuple[float, float]:
    """The median and the 99th percentile of how long a request takes (s), over all seeds."""
    times_s: list[float] = []
    for seed in SEEDS:
        simulation = Simulation(swarm, use=use, seed=seed)
        times_s += simulation.run(way(simulation), REQUESTS)
    return statistics.median(times_s), statistics.quantiles(times_s, n=100)[-1]


def compare() -> None:
    """Print how long requests take, and how many times as long as with ours."""
    print(f"{'':38}{'slots used':>11}{'way':>14}{'p50, s':>8}{'p99, s':>9}{'p50':>8}{'p99':>8}")
    for name, swarm in SWARMS.items():
        for use in USES:
            figures = {way: measured(swarm, use, choose) for way, choose in WAYS.items()}
            our_p50, our_p99 = figures["ours"]
            for way, (p50, p99) in figures.items():
                print(f"{name:38}{use:11.0%}{way:>14}{p50:8.2f}{p99:9.2f}{p50 / our_p50:8.2f}{p99 / our_p99:8.2f}")


def cost() -> None:
    """Print what a choice costs (µs)."""
    print(f"\n{'workers':>10}{'a choice, µs':>16}")
    for workers in (1, 2, 10, 100):
        scene = ChoosingScene()
        for _ in range(workers):
            scene.fleet.add(model())
        for offer in scene.fleet.offers["m"]:
            offer.load_estimate.pace.answered(0.0, 1.0, crowd=1)
        wanted = scene.wanted("m")
        taken = []
        for _ in range(5):
            begun = time.perf_counter()
            for _ in range(5000):
                scene.balance.choose_now(wanted)
            taken.append((time.perf_counter() - begun) / 5000 * 1e6)
        print(f"{workers:10}{statistics.median(taken):16.1f}")


if __name__ == "__main__":
    compare()
    cost()
