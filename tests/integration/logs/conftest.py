"""A log that is written into a folder of the test's own."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperinfer.facilities import log


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Path]:
    level = logging.getLogger().level
    folder = tmp_path / "logs"
    log.configure(level="info", folder=folder, stream=io.StringIO())
    yield folder
    log.stop()
    logging.getLogger().setLevel(level)
    logging.captureWarnings(False)
    logging.raiseExceptions = True
