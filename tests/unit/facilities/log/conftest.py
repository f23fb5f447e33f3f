"""Logs as they were, after each test."""

import logging
from collections.abc import Iterator

import pytest

from hyperinfer.facilities import log


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    log.stop()
    logging.getLogger().setLevel(level)
    logging.captureWarnings(False)
    logging.raiseExceptions = True
