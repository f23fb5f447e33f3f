"""What auth counts beside its calls, and what it shows of its house, in Prometheus' terms."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.metrics import Counters
from hyperinfer.workers.auth.census import Census
from hyperinfer.workers.auth.passwords import Passwords
from hyperinfer.workers.auth.signing import Signing


class Meters:
    """Accounts that people have made. Those that administrators make are among the accounts that there are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registrations = Counters(
            "ai_platform_registrations",
            "Accounts that people have made for themselves: open to anybody, or with an invitation.",
            ("by",),
            registry=registry,
        )
        for by in ("open", "invitation"):
            self._registrations.labels(by)

    def registered(self, by: str) -> None:
        """Somebody has made an account."""
        self._registrations.labels(by).inc()


class Shown:
    """The database, what is in it, the key that signs, and passwords that wait; what is not known is not shown."""

    def __init__(
        self, census: Census, signing: Signing, passwords: Passwords, *, clock: Clock, registry: CollectorRegistry
    ) -> None:
        self._census = census
        self._signing = signing
        self._passwords = passwords
        self._clock = clock
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Everything about them."""
        yield GaugeMetricFamily(
            "ai_platform_auth_passwords_waiting",
            "Passwords being hashed or waiting for it.",
            self._passwords.waiting,
        )
        yield from self._database()
        changes_at = self._signing.changes_at
        if changes_at is not None:
            yield GaugeMetricFamily(
                "ai_platform_signing_key_expires_in_seconds",
                "Until the key that signs sessions is replaced, which happens by itself: below 0 it has not.",
                (changes_at - self._clock.now()).total_seconds(),
            )

    def _database(self) -> Iterator[Metric]:
        census = self._census
        if census.is_up is None:
            return
        yield GaugeMetricFamily("ai_platform_database_up", "Whether the accounts' database answers.", census.is_up)
        if census.round_trip_s is not None:
            yield GaugeMetricFamily(
                "ai_platform_database_round_trip_seconds",
                "How long the smallest question took, when it was last asked.",
                census.round_trip_s,
            )
        if census.counts is None:
            return
        counts = census.counts
        accounts = GaugeMetricFamily("ai_platform_accounts", "Accounts by state.", labels=["state"])
        accounts.add_metric(["active"], counts.active_accounts)
        accounts.add_metric(["disabled"], counts.disabled_accounts)
        keys = GaugeMetricFamily("ai_platform_api_keys", "API keys by state.", labels=["state"])
        keys.add_metric(["active"], counts.active_keys)
        keys.add_metric(["expired"], counts.expired_keys)
        keys.add_metric(["revoked"], counts.revoked_keys)
        yield from (
            accounts,
            keys,
            GaugeMetricFamily(
                "ai_platform_api_keys_expiring", "Active API keys that expire within a week.", counts.expiring_keys
            ),
            GaugeMetricFamily("ai_platform_sessions", "Sessions that last.", counts.sessions),
            CounterMetricFamily("ai_platform_audit_entries", "Rows of the audit log.", counts.audit_entries),
        )
