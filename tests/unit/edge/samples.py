"""A reply for every method of the gateway, for a fake one, and requests for every route."""

from datetime import date
from typing import Any

import msgspec

from hyperinfer.contracts import audit, auth, gateway, metrics, people, reports, usage
from hyperinfer.contracts.common import Health, MetricsText, PeerLink
from hyperinfer.contracts.inference import ModelStatus, PromptCount
from hyperinfer.contracts.inference import Usage as Tokens
from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.logs import LogPage
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.kernel.calls import Send
from hyperinfer.testing.gateway import FakeGateway, always

AT = "2026-01-01T00:00:00Z"
KEY = {"X-API-Key": "hi_key"}

LIMITS = Limits(requests_per_minute=10)
ACCOUNT = people.Account(
    id="1", username="ada", email="ada@example.com", role="user", tier="default", created_at=AT, limits=LIMITS
)
SESSION = people.Session(access_token="eyJ.new.token", expires_in_s=60, account=ACCOUNT)
SESSIONS = people.OpenSessions(sessions=(people.OpenSession(id="s1", created_at=AT, expires_at=AT, current=True),))
API_KEY = people.ApiKey(id="k1", name="ci", prefix="hi_abc", created_at=AT, limits=LIMITS)
NEW_KEY = people.NewApiKey(id="k1", name="ci", prefix="hi_abc", created_at=AT, key="hi_abc_secret")
INVITE = people.PersonInvite(id="i1", role="user", tier="default", created_at=AT, expires_at=AT, code="c")
RESET = people.NewReset(token="hr_x", expires_at=AT, account_id="1")
TOTAL = usage.UsageRow(
    key="", label="", requests=3, errors=1, prompt_tokens=5, completion_tokens=7, total_tokens=12, cost=0.5
)
REPORT = usage.UsageReport(
    since=date(2026, 1, 1),
    until=date(2026, 1, 31),
    group="key",
    rows=(msgspec.structs.replace(TOTAL, key="k1", label="=1+1"),),
    total=TOTAL,
)
REQUEST = usage.RequestRow(
    id="r1",
    user_id="1",
    api_key_id=None,
    created_at=AT,
    model="m",
    status="success",
    error_code=None,
    prompt_tokens=1,
    completion_tokens=2,
    first_token_ms=1.5,
    response_time_ms=2.5,
    worker="ab",
    request_id="@label",
    prompt_hash="00",
    estimated=False,
)
ROW = audit.AuditRow(
    seq=1,
    at=AT,
    action="key.created",
    outcome="ok",
    actor="a",
    actor_name="ada",
    target=None,
    target_name=None,
    remote="127.0.0.1",
    gateway="local",
    request_id=None,
    details={"key": "k1"},
)
ALERT = metrics.Alert(
    id="a1",
    rule="worker_lost",
    severity="critical",
    state="firing",
    summary="gpu is lost.",
    do="Start it.",
    labels={"worker": "gpu"},
    value=1.0,
    since=AT,
)
HEALTH = metrics.SystemHealth(
    status="critical",
    at=AT,
    workers=(
        metrics.WorkerHealth(
            key="ab",
            name="gpu",
            wtype="inference",
            state="lost",
            models=(metrics.ModelFigures(name="m", state="ready"),),
            links=(PeerLink(key="cd", name="gateway", roles=("gateway",), how="direct"),),
        ),
    ),
    alerts=(ALERT,),
)
LINE = msgspec.Raw(b'{"event":\n"two"}')
REPORTS = reports.ReportRows(
    reports=(
        reports.ReportRow(
            name="usage-2026-01-01",
            kind="daily",
            since=date(2026, 1, 1),
            until=date(2026, 1, 1),
            made_at=AT,
            requests=3,
            total_tokens=12,
        ),
    )
)
STATUS = ModelStatus(name="m", backend="echo", state="ready", slots=2, busy=1, queued=0)

REPLIES: dict[str, Any] = {
    "register": gateway.RegisterReply(success=True, status=201, message="", account=ACCOUNT, api_key=NEW_KEY),
    "login": gateway.LoginReply(success=True, status=200, key="eyJ.a.token", expires_in=60, account=ACCOUNT),
    "verifySession": gateway.VerifySessionReply(valid=True),
    "processPrompt": gateway.ProcessPromptReply(response="hello", request_id="r", model="m", usage=Tokens(1, 2)),
    "listModels": gateway.PublicModels(models=(gateway.PublicModel("m", 1, 1, 2, 1, 512),)),
    "countTokens": PromptCount(prompt_tokens=7, model="m", exact=True),
    "listWorkers": gateway.SwarmWorkers(workers=(gateway.SwarmWorker("ab", "gpu", "ready", 1, (STATUS,)),)),
    "loadModel": gateway.Placings(workers=(gateway.Placed("ab", STATUS), gateway.Placed("cd", error="It is away."))),
    "unloadModel": gateway.Placings(workers=(gateway.Placed("ab", STATUS),)),
    "getJwks": auth.Jwks(keys=({"kty": "OKP"},)),
    "getServiceHealth": Health(status="ready", service="gateway", version="1", uptime_s=1.0),
    "getMetrics": MetricsText(text="a 1\n"),
    "getAccount": ACCOUNT,
    "updateAccount": ACCOUNT,
    "changePassword": Nothing(),
    "deleteAccount": Nothing(),
    "exportAccount": people.Export(document=msgspec.Raw(b'{"account": {}}')),
    "refreshSession": SESSION,
    "logout": Nothing(),
    "listSessions": SESSIONS,
    "endSessions": SESSIONS,
    "resetPassword": Nothing(),
    "generateApiKey": NEW_KEY,
    "listApiKeys": people.ApiKeys(keys=(API_KEY,)),
    "updateApiKey": API_KEY,
    "rotateApiKey": NEW_KEY,
    "revokeApiKey": API_KEY,
    "listAccounts": people.Accounts(accounts=(ACCOUNT,), next="more"),
    "showAccount": ACCOUNT,
    "createAccount": people.CreatedAccount(account=ACCOUNT, reset=RESET),
    "changeAccount": ACCOUNT,
    "removeAccount": Nothing(),
    "issueReset": RESET,
    "invitePerson": INVITE,
    "listPersonInvites": people.PersonInvites(invites=(INVITE,)),
    "revokePersonInvite": INVITE,
    "listTiers": people.Tiers(tiers=(people.Tier(name="default", limits=LIMITS),)),
    "getUserUsage": REPORT,
    "getAllUsage": REPORT,
    "listRequests": usage.Requests(requests=(REQUEST,), next="more"),
    "listAllRequests": usage.Requests(requests=(REQUEST,)),
    "getUserQuota": usage.Quota(
        tier="default", limits=(usage.QuotaRow(of="user", name="requests a minute", limit=10, used=1, remaining=9),)
    ),
    "listReports": REPORTS,
    "readReport": reports.ReportText(name="usage-2026-01-01", form="html", text="<p>1</p>"),
    "listAudit": audit.AuditRows(rows=(ROW,)),
    "getSystemHealth": HEALTH,
    "getMetricHistory": metrics.History(
        start=0.0, step_s=60, series=(metrics.Series("cpu", "ab", values=(0.5, None)),)
    ),
    "listAlerts": metrics.Alerts(alerts=(ALERT,)),
    "silenceAlert": ALERT,
    "testAlerts": metrics.AlertsTried((metrics.AlertTried("mail", took_s=0.5),)),
    "gatherLogs": LogPage(lines=(msgspec.Raw(b'{"event": "one"}'), LINE), missing={"gpu": "It is away."}),
}

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/auth/register"): {"email": "ada@example.com", "password": "correct horse"},
    ("POST", "/api/auth/login"): {"username": "ada", "password": "correct horse"},
    ("POST", "/api/auth/password"): {"current": "correct horse", "new": "battery staple"},
    ("POST", "/api/auth/reset"): {"token": "hr_x", "password": "battery staple"},
    ("DELETE", "/api/me"): {"password": "correct horse"},
    ("POST", "/api/admin/users"): {"email": "bob@example.com"},
    ("POST", "/api/admin/models/load"): {"model": "m"},
    ("POST", "/api/admin/models/unload"): {"model": "m"},
    ("POST", "/api/inference"): {"prompt": "hi"},
    ("POST", "/api/show"): {"model": "m"},
    ("POST", "/v1/responses/input_tokens"): {"model": "m", "input": "hi"},
    ("POST", "/v1/messages/count_tokens"): {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    ("POST", "/inference"): {"query": "hi"},
}
"""What must be in the body of those routes that take something."""


async def watched(request: Nothing, meta: Meta, sink: Send | None) -> Nothing:
    """The swarm's health, once."""
    assert sink is not None
    await sink([msgspec.json.encode(HEALTH)])
    return Nothing()


def gateway_of(**replies: Any) -> FakeGateway:
    """A gateway with a good answer to everything, or these."""
    answers = {name: always(reply) for name, reply in (REPLIES | replies).items()}
    return FakeGateway(**{"watchSystem": watched} | answers)
