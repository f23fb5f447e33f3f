"""What is made of a gateway's answer, or of why there is none."""

from datetime import timedelta
from pathlib import Path

import pytest

from hyperinfer.cli.checks import Here, Verdict, gateway
from hyperinfer.cli.checks.gateway import Reply
from hyperinfer.errors import PeerUnreachable, Unavailable
from hyperinfer.facilities.net.driver.unreachable import SENTENCES
from hyperinfer.sdk.profile import Account
from hyperinfer.testing.answers import saying
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway

from .conftest import Look

NOWHERE = Here(Path("/"), {}, {})
KEY = Account(gateway="http://127.0.0.1:3000", api_key="hi_12345678_secret")
LINKED = Account(gateway="hyper://" + "ab" * 32, token="token")


@pytest.mark.parametrize(
    ("status", "models", "verdict"),
    [
        (200, 2, Verdict.OK),
        (200, 0, Verdict.WARN),
        (401, 0, Verdict.FAIL),
        (429, 0, Verdict.WARN),
        (503, 0, Verdict.WARN),
    ],
)
def test_answers_to_a_credential(status: int, models: int, verdict: Verdict) -> None:
    found = gateway.credential(KEY, Reply(status, None, models))
    assert found.verdict is verdict
    assert "secret" not in found.found + found.mend


def test_without_a_credential_there_is_none_to_be_judged() -> None:
    found = gateway.credential(Account(gateway="http://127.0.0.1:3000"), Reply(401, None, 0))
    assert found.verdict is Verdict.OK
    assert "hyperinfer login" in found.found


def test_every_reason_for_which_a_peer_is_not_reached_has_its_own_remedy() -> None:
    mends = {
        gateway.away(LINKED, PeerUnreachable(said, reason=reason), NOWHERE).mend for reason, said in SENTENCES.items()
    }
    assert len(mends) == len(SENTENCES)


def test_an_own_gateway_that_does_not_run_is_no_failure() -> None:
    own = Account(gateway="http://127.0.0.1:3000", data_dir="/srv/data/auth")
    found = gateway.away(own, Unavailable("No gateway answers."), NOWHERE)
    assert (found.verdict, found.mend) == (Verdict.WARN, "hyperinfer up")
    assert gateway.away(KEY, Unavailable("No gateway answers."), NOWHERE).verdict is Verdict.FAIL


def test_a_certificate_that_is_not_trusted_says_how_it_can_be() -> None:
    error = Unavailable("The certificate is not trusted here.", reason="certificate")
    assert "SSL_CERT_FILE" in gateway.away(KEY, error, NOWHERE).mend


@pytest.mark.parametrize(
    ("ahead_s", "verdict"), [(0, Verdict.OK), (-29, Verdict.OK), (90, Verdict.WARN), (-900, Verdict.FAIL)]
)
def test_clocks_apart(ahead_s: float, verdict: Verdict) -> None:
    assert gateway.clock(timedelta(seconds=ahead_s), "the gateway").verdict is verdict


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (timedelta(hours=1), Verdict.OK),
        (timedelta(days=3), Verdict.WARN),
        (-timedelta(minutes=1), Verdict.OK),
        (-timedelta(hours=1), Verdict.FAIL),
    ],
)
def test_the_age_of_the_member_list(age: timedelta, verdict: Verdict) -> None:
    assert gateway.list_age(age).verdict is verdict


async def test_a_gateway_that_answers_is_asked_once_for_everything(look: Look) -> None:
    place = look()
    with served(FakeGateway(processInferenceRequest=saying(["four"]))) as url:
        found = await gateway.check(Here(place.home, place.loaded, {}, gateway=url))
    assert [one.what for one in found] == ["gateway", "credential", "clock"]
    assert {one.verdict for one in found} == {Verdict.OK}


async def test_who_uses_no_gateway_yet_lacks_none(look: Look) -> None:
    [found] = await gateway.check(look())
    assert found.verdict is Verdict.OK
