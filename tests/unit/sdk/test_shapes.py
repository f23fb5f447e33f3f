"""What the client library answers with has the fields of the contracts, so that neither grows without the other."""

import msgspec
import pytest

from hyperinfer.contracts import audit, common, gateway, inference, limits, logs, metrics, people, usage
from hyperinfer.contracts import reports as report_contract
from hyperinfer.sdk import health, replies, reports
from hyperinfer.sdk import people as sdk_people

HEALTH: tuple[type[msgspec.Struct], ...] = (
    metrics.Figures,
    metrics.ModelFigures,
    metrics.WorkerHealth,
    metrics.Alert,
    metrics.SystemHealth,
    metrics.Series,
    metrics.History,
)
SAME: list[tuple[type[msgspec.Struct], type[msgspec.Struct]]] = [
    (sdk_people.Limits, limits.Limits),
    (sdk_people.User, people.Account),
    (sdk_people.OpenSession, people.OpenSession),
    (sdk_people.Key, people.ApiKey),
    (sdk_people.NewKey, people.NewApiKey),
    (sdk_people.NewReset, people.NewReset),
    (sdk_people.CreatedUser, people.CreatedAccount),
    (sdk_people.Invite, people.PersonInvite),
    (sdk_people.Tier, people.Tier),
    (reports.UsageRow, usage.UsageRow),
    (reports.UsageReport, usage.UsageReport),
    (reports.RequestRow, usage.RequestRow),
    (reports.QuotaRow, usage.QuotaRow),
    (reports.Quota, usage.Quota),
    (reports.AuditRow, audit.AuditRow),
    (replies.Model, gateway.PublicModel),
    (replies.SwarmWorker, gateway.SwarmWorker),
    (replies.WorkerModel, inference.ModelStatus),
    (replies.WorkerBackend, inference.BackendStatus),
    (replies.Placed, gateway.Placed),
    (reports.KeptReport, report_contract.ReportRow),
    (health.PeerLink, common.PeerLink),
    *((getattr(health, one.__name__), one) for one in HEALTH),
]


@pytest.mark.parametrize(("ours", "contract"), SAME, ids=lambda kind: kind.__name__)
def test_a_struct_has_the_fields_of_the_contract(ours: type[msgspec.Struct], contract: type[msgspec.Struct]) -> None:
    assert set(ours.__struct_fields__) == set(contract.__struct_fields__)


def test_a_field_that_we_do_not_know_is_passed_over() -> None:
    text = b'{"id": "1", "username": "a", "email": "e", "created_at": "2026-01-01T00:00:00Z", "shoe_size": 44}'
    assert msgspec.json.decode(text, type=sdk_people.User).username == "a"


@pytest.mark.parametrize(
    ("literal", "contract"),
    [
        (sdk_people.Role, people.Role),
        (sdk_people.Scope, people.Scope),
        (reports.Grouping, usage.Grouping),
        (reports.Status, usage.Status),
        (reports.Outcome, audit.Outcome),
        (reports.ReportForm, report_contract.Form),
        (health.Level, logs.Level),
        (health.Severity, metrics.Severity),
    ],
)
def test_words_that_may_be_said_are_those_of_the_contract(literal: object, contract: object) -> None:
    assert literal == contract


@pytest.mark.parametrize(
    ("query", "contract", "beside"),
    [
        (health.HistoryQuery, metrics.HistoryQuery, {"figures"}),
        (health.LogQuery, logs.LogQuery, {"follow"}),
    ],
)
def test_what_may_be_asked_is_what_the_contract_takes(
    query: type, contract: type[msgspec.Struct], beside: set[str]
) -> None:
    assert set(query.__annotations__) | beside == set(contract.__struct_fields__)
