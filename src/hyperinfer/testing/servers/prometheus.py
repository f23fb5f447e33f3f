"""A Prometheus of one's own, asked over its API."""

import json
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from hyperinfer.testing.servers.process import HOST, ServerProcess, found, free_port

CONFIGURATION = "prometheus.yml"
READY = "Server is ready to receive web requests"
INTERVAL = "500ms"
ASK_S = 10.0

Labels = Mapping[str, str]


class PrometheusServer:
    """A running Prometheus with the configuration `prometheus.yml` in its folder
    (https://prometheus.io/docs/prometheus/latest/configuration/). What it has stored is gone when it stops."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self.url = f"http://{HOST}:{port}"
        self._process = ServerProcess(
            (
                str(found("prometheus")),
                f"--config.file={folder / CONFIGURATION}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.size=64MB",
                f"--web.listen-address={HOST}:{port}",
            ),
            ready=READY,
        )

    @staticmethod
    def is_installed() -> bool:
        """Whether this machine has the program."""
        return found("prometheus") is not None

    @classmethod
    @contextmanager
    def running(cls, *scrape: Mapping[str, Any]) -> Iterator[Self]:
        """A new server with these scrape configurations, for the length of the block."""
        # JSON is YAML too.
        told = json.dumps({"global": {"scrape_interval": INTERVAL}, "scrape_configs": list(scrape)})
        with cls.configured({CONFIGURATION: told}) as server:
            yield server

    @classmethod
    @contextmanager
    def configured(cls, files: Mapping[str, str]) -> Iterator[Self]:
        """A new server with these files in its folder, `prometheus.yml` and what that names, for the length of the block."""
        folder = Path(tempfile.mkdtemp(prefix="hi-prometheus-"))
        server = None
        try:
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
            server = cls(folder, port=free_port())
            yield server
        finally:
            if server is not None:
                server._process.kill()
            shutil.rmtree(folder, ignore_errors=True)

    def ask(self, route: str, **words: str) -> Any:
        """What its API answers (https://prometheus.io/docs/prometheus/latest/querying/api/)."""
        asked = urllib.parse.urlencode(words)
        with urllib.request.urlopen(f"{self.url}/api/v1/{route}?{asked}", timeout=ASK_S) as reply:  # noqa: S310 - our own, over HTTP
            return json.load(reply)["data"]

    def query(self, text: str, *, time: float | None = None) -> list[tuple[Labels, float]]:
        """What a query gives at a moment: labels and values, in no order."""
        told = self.ask("query", query=text, **({"time": str(time)} if time is not None else {}))
        return [(one["metric"], float(one["value"][1])) for one in told["result"]]

    def by(self, label: str, text: str) -> dict[str, float]:
        """The same where one label says it all."""
        return {labels.get(label, ""): value for labels, value in self.query(text)}
