"""How full the disk is that a worker keeps its data on."""

from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client.core import GaugeMetricFamily, Metric


class DiskMeters:
    """The file system of one folder, read whenever somebody looks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """What is free, for who is not root, and its size; nothing where the folder is gone."""
        try:
            usage = psutil.disk_usage(str(self._folder))
        except OSError:
            return
        yield GaugeMetricFamily("ai_platform_disk_free_bytes", "Room on the disk with the worker's data.", usage.free)
        yield GaugeMetricFamily("ai_platform_disk_size_bytes", "Size of that disk.", usage.total)
