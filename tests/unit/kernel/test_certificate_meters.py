"""How long a certificate lasts is shown, of the files as they are now."""

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.http import Listen, tls
from hyperinfer.facilities.http.tls import Certificate
from hyperinfer.kernel.certificate_meters import CertificateMeters
from hyperinfer.testing.certificates import Authority

NAME = "ai_platform_tls_certificate_expires_in_seconds"
DAY_S = 24 * 3600


def test_a_renewed_certificate_is_shown_though_nobody_has_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK_EVERY_S", 0.0)
    authority, registry = Authority(tmp_path), CollectorRegistry()
    certificate = Certificate(*authority.certify("localhost", life=timedelta(days=20)))
    CertificateMeters(Listen(certificate=certificate), clock=SystemClock(), registry=registry)
    assert registry.get_sample_value(NAME) == pytest.approx(20 * DAY_S, abs=120)
    authority.certify("localhost", life=timedelta(days=50))
    assert registry.get_sample_value(NAME) == pytest.approx(50 * DAY_S, abs=120)


def test_without_one_nothing_is_shown() -> None:
    registry = CollectorRegistry()
    CertificateMeters(Listen(), clock=SystemClock(), registry=registry)
    assert registry.get_sample_value(NAME) is None
