"""The tiers as configured."""

import msgspec
import pytest

from hyperinfer.contracts.limits import Limits
from hyperinfer.errors import BadRequest, ConfigError
from hyperinfer.kernel import config
from hyperinfer.workers.auth.config import AuthSettings, TierLimits, TierSettings
from hyperinfer.workers.auth.tiers import Tiers

TEAM = TierLimits(requests_per_minute=50, tokens_per_day=1_000_000)


def test_there_are_always_three() -> None:
    tiers = Tiers(TierSettings())
    assert dict(tiers) == {
        "default": Limits(requests_per_minute=10, requests_per_hour=100),
        "premium": Limits(requests_per_hour=1000),
        "unlimited": Limits(),
    }


def test_further_ones_are_known_by_name_and_no_others() -> None:
    tiers = Tiers(TierSettings(further={"team": TEAM}))
    assert tiers.of("team") == TEAM.limits == Limits(requests_per_minute=50, tokens_per_day=1_000_000)
    assert tiers.known("team") == "team"
    with pytest.raises(BadRequest, match="default, premium, unlimited, team"):
        tiers.known("nonsense")


def test_one_that_is_configured_no_more_limits_as_the_default_one() -> None:
    tiers = Tiers(TierSettings())
    assert tiers.of("gone") == tiers["default"]


@pytest.mark.parametrize("name", ["", "Team", "a b", "-", "x" * 51, "default", "unlimited"])
def test_a_name_that_no_tier_can_have_stops_the_start(name: str) -> None:
    with pytest.raises(ConfigError, match="tiers"):
        Tiers(TierSettings(further={name: TEAM}))


def test_settings_have_every_limit_of_the_contract() -> None:
    ours = {field.name: field.type for field in msgspec.structs.fields(TierLimits)}
    assert ours == {field.name: field.type for field in msgspec.structs.fields(Limits)}


def test_the_environment_names_of_the_specification_set_them() -> None:
    environ = {
        "DEFAULT_RATE_LIMIT": "200",
        "PREMIUM_RATE_LIMIT": "5000",
        "MAX_REQUESTS_PER_INTERVAL": "30",
        "RESET_INTERVAL_MINUTE": "5",
        "HYPERINFER_AUTH__TIERS__FURTHER": '{"team": {"tokens_per_day": 7}}',
    }
    tiers = Tiers(config.load("auth", AuthSettings, environ=environ).settings.tiers)
    assert tiers["default"] == Limits(
        requests_per_minute=10, requests_per_hour=200, requests_per_interval=30, interval_minutes=5
    )
    assert tiers["premium"] == Limits(requests_per_hour=5000)
    assert tiers["team"] == Limits(tokens_per_day=7)


def test_a_misspelt_limit_is_an_error_and_not_no_limit() -> None:
    environ = {"HYPERINFER_AUTH__TIERS__FURTHER": '{"team": {"tokensPerDay": 7}}'}
    with pytest.raises(ConfigError, match="tokensPerDay"):
        config.load("auth", AuthSettings, environ=environ)
