"""What auth counts."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter

from hyperinfer.errors import HyperinferError


class Meters:
    """Operations by name and outcome; both label sets are those of the code, so they are bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._operations = Counter(
            "ai_platform_auth_operations", "Operations of auth", ["operation", "outcome"], registry=registry
        )

    @contextmanager
    def counted(self, operation: str) -> Iterator[None]:
        """Count one operation: `ok`, or the code of the error that ended it."""
        outcome = "INTERNAL"
        try:
            yield
            outcome = "ok"
        except HyperinferError as error:
            outcome = error.code
            raise
        finally:
            self._operations.labels(operation, outcome).inc()
