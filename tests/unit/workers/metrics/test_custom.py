"""What members record of their own accord: shown as they are, and bounded."""

import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.metrics import RecordMetric
from hyperinfer.errors import BadRequest, Conflict, TooLarge
from hyperinfer.workers.metrics.custom import MAX_NAMES_EACH, MAX_SERIES_EACH, SERIES, CustomMetrics

A, B = b"a", b"b"


class Recorded:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.custom = CustomMetrics(self.registry, lambda key: key.decode())

    def __call__(self, name: str, value: float = 1.0, kind: str = "gauge", by: bytes = A, **labels: str) -> None:
        self.custom.record(RecordMetric(name=name, value=value, kind=kind, labels=labels), by)  # type: ignore[arg-type]

    def value(self, name: str, by: str = "a", **labels: str) -> float | None:
        return self.registry.get_sample_value(f"ai_platform_custom_{name}", {**labels, "recorded_by": by})


@pytest.fixture
def record() -> Recorded:
    return Recorded()


def test_each_kind(record: Recorded) -> None:
    for value in (2.0, 3.0):
        record("jobs", value, "counter", queue="night")
        record("heat", value)
        record("wait_seconds", value, "histogram")
    assert record.value("jobs_total", queue="night") == 5
    assert record.value("heat") == 3
    assert record.value("wait_seconds_sum") == 5
    assert record.value("wait_seconds_count") == 2


def test_members_do_not_overwrite_each_other(record: Recorded) -> None:
    record("heat", 1.0)
    record("heat", 2.0, by=B)
    assert (record.value("heat"), record.value("heat", by="b")) == (1.0, 2.0)


def test_a_metric_stays_what_it_is(record: Recorded) -> None:
    record("heat", room="a")
    with pytest.raises(Conflict, match="gauge with the labels room"):
        record("heat", kind="counter", room="a")
    with pytest.raises(Conflict):
        record("heat")
    record("jobs", kind="counter")
    with pytest.raises(Conflict, match="too much like"):
        record("jobs_total")


def test_what_cannot_be_recorded(record: Recorded) -> None:
    with pytest.raises(BadRequest, match="only grows"):
        record("jobs", -1.0, "counter")
    for label in ("worker", "wtype", "le", "__name__", "recorded_by"):
        with pytest.raises(BadRequest, match="label"):
            record.custom.record(RecordMetric(name="heat", value=1.0, labels={label: "x"}), A)


def test_one_member_may_have_so_many(record: Recorded) -> None:
    for number in range(MAX_NAMES_EACH):
        record(f"m{number}")
    with pytest.raises(TooLarge):
        record("one_more")
    record("m0")
    for number in range(MAX_SERIES_EACH):
        record("sets", by=B, of=str(number))
    with pytest.raises(TooLarge):
        record("sets", by=B, of="one more")
    record("sets", by=B, of="0")


def test_series_are_counted_as_they_are_shown(record: Recorded) -> None:
    for number in range(MAX_SERIES_EACH // SERIES["histogram"]):
        record("took", kind="histogram", of=str(number))
    with pytest.raises(TooLarge, match="histogram"):
        record("took", kind="histogram", of="one more")
    shown = [sample.name for family in record.registry.collect() for sample in family.samples]
    assert MAX_SERIES_EACH - 20 < sum(not name.endswith("_created") for name in shown) <= MAX_SERIES_EACH


def test_what_a_former_member_recorded_goes(record: Recorded) -> None:
    record("heat", by=A)
    record("heat", by=B)
    record("own", by=A)
    record.custom.forget(frozenset({B}))
    assert (record.value("heat"), record.value("heat", by="b"), record.value("own")) == (None, 1.0, None)
    record("own", kind="counter", by=B)
    for number in range(MAX_NAMES_EACH - 1):
        record(f"m{number}", by=B)
