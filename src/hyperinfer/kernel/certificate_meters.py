"""How long the certificate of a worker's HTTP server lasts."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.http import Listen


class CertificateMeters:
    """The certificate that new connections get; nothing is shown where there is none."""

    def __init__(self, listen: Listen, *, clock: Clock, registry: CollectorRegistry) -> None:
        self._certificate = listen.certificate
        self._clock = clock
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """How long it lasts."""
        if self._certificate is not None:
            self._certificate.refresh()
            yield GaugeMetricFamily(
                "ai_platform_tls_certificate_expires_in_seconds",
                "Until the certificate expires that new connections get.",
                (self._certificate.expires_at - self._clock.now()).total_seconds(),
            )
