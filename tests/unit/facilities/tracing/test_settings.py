"""Where spans go, as it is written down."""

from pathlib import Path

import pytest

from hyperinfer.errors import ConfigError
from hyperinfer.facilities.tracing import TracingSettings
from hyperinfer.kernel.config import load, shown
from hyperinfer.kernel.settings import WorkerSettings


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:4318", "http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"]
)
def test_addresses(endpoint: str) -> None:
    assert TracingSettings(endpoint=endpoint).url == "http://127.0.0.1:4318/v1/traces"


@pytest.mark.parametrize(
    "endpoint",
    ["127.0.0.1:4318", "ftp://x", "http://", "http://x:0", "http://x:99999", "http://x?a=b", "http://u:geheim@x"],
)
def test_what_is_no_address(endpoint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _ = TracingSettings(endpoint=endpoint).url
    assert "tracing.endpoint" in refused.value.message
    assert "geheim" not in refused.value.message


def test_headers() -> None:
    settings = TracingSettings(headers="Authorization=Basic%20YTpi, x-tenant = home,")
    assert settings.sent_headers == {"authorization": "Basic YTpi", "x-tenant": "home"}


@pytest.mark.parametrize("headers", ["geheim", "=geheim", "a=geheim%0d%0ab: c", "ä=geheim"])
def test_headers_that_are_none_are_not_shown(headers: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _ = TracingSettings(headers=headers).sent_headers
    assert "geheim" not in refused.value.message


def test_opentelemetrys_own_names(tmp_path: Path) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=geheim",
        "OTEL_SERVICE_NAME": "home",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
    }
    loaded = load("auth", WorkerSettings, environ=environ, folder=tmp_path)
    tracing = loaded.settings.tracing
    assert (tracing.endpoint, tracing.service_name, tracing.ratio) == ("http://127.0.0.1:4318", "home", 0.25)
    assert tracing.sent_headers == {"authorization": "geheim"}
    assert not any("geheim" in str(one.value) for one in shown(loaded))


@pytest.mark.parametrize("ratio", ["1.5", "-0.1", "all"])
def test_a_ratio_is_between_none_and_all(tmp_path: Path, ratio: str) -> None:
    with pytest.raises(ConfigError, match="ratio"):
        load("auth", WorkerSettings, environ={"OTEL_TRACES_SAMPLER_ARG": ratio}, folder=tmp_path)
