"""What auth counts, in Prometheus' terms. Labels are the contract's methods and the codes of our errors."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from hyperinfer.contracts.method import Method
from hyperinfer.errors import Cancelled, HyperinferError, InternalError

SERVICE = "auth"


class Meters:
    """Calls by method and outcome, and how many passwords wait to be hashed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "ai_platform_requests", "Requests by outcome.", ("service", "method", "status"), registry=registry
        )
        self._waiting = Gauge(
            "ai_platform_auth_passwords_waiting", "Passwords being hashed or waiting for it.", registry=registry
        )

    def show_waiting(self, waiting: Callable[[], int]) -> None:
        """Show how many passwords wait whenever somebody looks."""
        self._waiting.set_function(waiting)

    @contextmanager
    def counted(self, method: Method[Any, Any]) -> Iterator[None]:
        """Count one call: `ok`, or the code of the error that ended it."""
        status = InternalError.code
        try:
            yield
            status = "ok"
        except HyperinferError as error:
            status = error.code
            raise
        except asyncio.CancelledError:
            status = Cancelled.code
            raise
        finally:
            self._requests.labels(SERVICE, method.name, status).inc()
