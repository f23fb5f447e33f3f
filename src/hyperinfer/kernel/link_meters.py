"""Metrics of the net: connections by how they were made, round trips, bytes, and members that are out of reach."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hyperinfer.facilities.net import LinkState
from hyperinfer.kernel.links import LinkTable

MAX_PEERS = 64
OTHER = "other"
"""The name of all members above that many."""
STRANGER = "stranger"
"""The name of all who are no members: bridges and other clients of a gateway."""
STRANGERS = b""
"""Their key, of all together."""
SENT, RECEIVED = "sent", "received"
OURS, THEIRS = "outbound", "inbound"


class LinkMeters(Collector):
    """Shows a table of links to Prometheus. What belongs to one peer goes when the member goes."""

    def __init__(self, table: LinkTable) -> None:
        self._table = table
        self._ended: dict[bytes, Counter[str]] = {}
        table.endpoint.on_end(self._count)

    def collect(self) -> Iterator[Metric]:
        """Every metric, from what is known now; nothing here waits."""
        states, names = self._table.endpoint.links(), self._names()
        yield _links(states)
        yield _round_trips(states, names)
        yield self._bytes(states, names)
        yield self._unreachable(states, names)
        yield self._connects()
        yield _gauge("calls_in_flight", "Calls to other workers under way.", sum(one.in_flight for one in states))
        net = self._table.net()
        yield _gauge("online", "Whether a node of the DHT is in reach of this process.", net.state != "offline")
        yield _gauge("dht_nodes", "Nodes of the DHT that this process knows.", net.nodes)
        restarts = CounterMetricFamily(
            "ai_platform_net_driver_restarts", "Swarm drivers of this process started again."
        )
        restarts.add_metric((), net.driver_restarts)
        yield restarts

    def _names(self) -> Mapping[bytes, str]:
        members = self._table.members
        others = enumerate(self._table.others)
        return {key: members.names[key] if at < MAX_PEERS else OTHER for at, key in others}

    def _count(self, state: LinkState) -> None:
        if state.how == "here":
            return
        key = state.remote_key if state.remote_key in self._table.members.names else STRANGERS
        self._ended.setdefault(key, Counter()).update({SENT: state.sent_bytes, RECEIVED: state.received_bytes})

    def _bytes(self, states: Sequence[LinkState], names: Mapping[bytes, str]) -> Metric:
        for key in self._ended.keys() - names.keys() - {STRANGERS}:
            del self._ended[key]
        total: dict[str, Counter[str]] = {}
        for key, ended in self._ended.items():
            total.setdefault(names.get(key, STRANGER), Counter()).update(ended)
        for state in states:
            if state.how == "here":
                continue  # nothing of it is ever on a wire
            carried = {SENT: state.sent_bytes, RECEIVED: state.received_bytes}
            total.setdefault(names.get(state.remote_key, STRANGER), Counter()).update(carried)
        family = CounterMetricFamily(
            "ai_platform_net_link_bytes", "Bytes on the wire by peer.", labels=("peer", "direction")
        )
        for peer, carried in sorted(total.items()):
            for direction in (SENT, RECEIVED):
                family.add_metric((peer, direction), carried[direction])
        return family

    def _unreachable(self, states: Sequence[LinkState], names: Mapping[bytes, str]) -> Metric:
        family = GaugeMetricFamily(
            "ai_platform_net_unreachable", "Members that were tried and are out of reach.", labels=("peer", "reason")
        )
        linked = {state.remote_key for state in states}
        found = ((names[key], self._table.why(key)) for key in names if key not in linked)
        for (peer, reason), count in sorted(Counter((peer, why.reason) for peer, why in found if why).items()):
            family.add_metric((peer, reason), count)
        return family

    def _connects(self) -> Metric:
        family = CounterMetricFamily(
            "ai_platform_net_connects", "Connections that this worker tried, by outcome.", labels=("outcome",)
        )
        for outcome, count in sorted(self._table.peers.connects.items()):
            family.add_metric((outcome,), count)
        return family


def _links(states: Sequence[LinkState]) -> Metric:
    family = GaugeMetricFamily(
        "ai_platform_net_links", "Open connections by how they were made and by whom.", labels=("how", "direction")
    )
    for (how, is_inbound), count in sorted(Counter((one.how, one.inbound) for one in states).items()):
        family.add_metric((how, THEIRS if is_inbound else OURS), count)
    return family


def _round_trips(states: Sequence[LinkState], names: Mapping[bytes, str]) -> Metric:
    family = GaugeMetricFamily(
        "ai_platform_net_link_round_trip_seconds", "How long a packet takes to a member and back.", labels=("peer",)
    )
    shortest: dict[str, float] = {}
    for state in states:
        if state.round_trip_s is not None and state.remote_key in names:
            peer = names[state.remote_key]
            shortest[peer] = min(state.round_trip_s, shortest.get(peer, state.round_trip_s))
    for peer, round_trip_s in sorted(shortest.items()):
        family.add_metric((peer,), round_trip_s)
    return family


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"ai_platform_net_{name}", documentation, value=value)
