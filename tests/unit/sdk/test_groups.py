"""The groups of the client library against the real edge: each method reaches its own of the contract, typed both ways."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from inspect import signature
from typing import Any

import msgspec
import pytest

from hyperinfer import AsyncClient, Client
from hyperinfer.contracts import audit, gateway, inference, people, usage
from hyperinfer.contracts import limits as limits_contract
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import BackendFailed, BadRequest, Conflict, RateLimited
from hyperinfer.sdk import Limits, Page
from hyperinfer.sdk.calls import each
from hyperinfer.testing.gateway import FakeGateway, always
from hyperinfer.testing.reach import Reach

AT = "2026-01-01T00:00:00Z"
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
ID = "7b0c2a5e-0000-4000-8000-000000000001"
ACCOUNT = people.Account(
    id=ID,
    username="ada",
    email="ada@example.com",
    role="user",
    tier="default",
    created_at=AT,
    limits=limits_contract.Limits(tokens_per_day=7),
)
KEY = people.ApiKey(id="k-1", name="ci", prefix="hi_abc", created_at=AT, expires_at=AT)
NEW_KEY = people.NewApiKey(id="k-1", name="ci", prefix="hi_abc", created_at=AT, key="hi_abc_secret")
SESSION = people.Session(access_token="jwt", expires_in_s=60, account=ACCOUNT)
OPEN = people.OpenSessions(sessions=(people.OpenSession(id="s1", created_at=AT, expires_at=AT, current=True),))
INVITE = people.PersonInvite(id="i-1", role="user", tier="default", created_at=AT, expires_at=AT, code="hc_code")
RESET = people.NewReset(token="hr_token", expires_at=AT, account_id=ID)
SUMS = usage.UsageRow(
    key="k", label="=ci", requests=3, errors=1, prompt_tokens=4, completion_tokens=5, total_tokens=9, cost=0.5
)
REPORT = usage.UsageReport(
    since=date(2026, 1, 1), until=date(2026, 1, 2), group="key", rows=(SUMS,), total=SUMS, currency="EUR"
)
REQUEST = usage.RequestRow(
    id="r1",
    user_id=ID,
    api_key_id=None,
    created_at=AT,
    model="m",
    status="success",
    error_code=None,
    prompt_tokens=1,
    completion_tokens=2,
    first_token_ms=None,
    response_time_ms=3.0,
    worker="w",
    request_id=None,
    prompt_hash="h",
    estimated=False,
)
QUOTA = usage.Quota(tier="default", limits=(usage.QuotaRow("user", "requests_per_minute", 10, 4, 6, AT),))
AUDIT = audit.AuditRow(1, AT, "key.created", "ok", None, "ada", None, None, "::1", "local", None, {"key": "k-1"})
STATUS = inference.ModelStatus(name="m", backend="echo", state="ready", slots=4, busy=1, queued=0)
MODEL = gateway.PublicModel(
    id="llama3", created=1, workers=1, slots=4, busy=1, context_tokens=9, tokens_per_s=7.5, answered_by=("m",)
)
WORKER = gateway.SwarmWorker(
    key="ab",
    name="box",
    state="ready",
    in_flight=0,
    models=(STATUS,),
    backends=(inference.BackendStatus(name="ollama", available=False),),
)
LIMITS = Limits(requests_per_minute=10)
LIMITS_SAID = limits_contract.Limits(requests_per_minute=10)


@dataclass(frozen=True)
class Case:
    """What is called, the method of the contract that it reaches with which request, and what comes of the reply."""

    call: Callable[[AsyncClient], Awaitable[Any]]
    method: str
    request: Any
    reply: Any
    becomes: Callable[[Any], object]


CASES = {
    "register": Case(
        lambda client: client.account.register(email="ada@example.com", password="horse", code="hc_code"),
        "register",
        gateway.Register(email="ada@example.com", password="horse", code="hc_code"),
        gateway.RegisterReply(success=True, status=201, message="", account=ACCOUNT, api_key=NEW_KEY),
        lambda made: (made.username, made.api_key.key, "secret" in repr(made)) == ("ada", "hi_abc_secret", False),
    ),
    "models": Case(
        lambda client: client.models.list(),
        "listModels",
        Nothing(),
        gateway.PublicModels(models=(MODEL,)),
        lambda models: (models[0].id, models[0].answered_by, models[0].tokens_per_s) == ("llama3", ("m",), 7.5),
    ),
    "workers": Case(
        lambda client: client.models.workers(),
        "listWorkers",
        Nothing(),
        gateway.SwarmWorkers(workers=(WORKER,)),
        lambda workers: (workers[0].models[0].busy, workers[0].backends[0].available) == (1, False),
    ),
    "load": Case(
        lambda client: client.admin.models.load("m", worker="ab"),
        "loadModel",
        gateway.PlaceModel(model="m", worker="ab"),
        gateway.Placings(workers=(gateway.Placed(worker="ab", status=STATUS),)),
        lambda placed: (placed[0].worker, placed[0].status.state) == ("ab", "ready"),
    ),
    "unload": Case(
        lambda client: client.admin.models.unload("m"),
        "unloadModel",
        gateway.PlaceModel(model="m"),
        gateway.Placings(workers=(gateway.Placed(worker="ab", error="It is in use."),)),
        lambda placed: (placed[0].status, placed[0].error) == (None, "It is in use."),
    ),
    "account": Case(
        lambda client: client.account.get(),
        "getAccount",
        Nothing(),
        ACCOUNT,
        lambda user: (user.created_at, user.limits, user.last_login_at) == (WHEN, Limits(tokens_per_day=7), None),
    ),
    "account update": Case(
        lambda client: client.account.update(email="a@example.com", password="horse"),
        "updateAccount",
        people.UpdateAccount(email="a@example.com", password="horse"),
        ACCOUNT,
        lambda user: user.email == "ada@example.com",
    ),
    "password": Case(
        lambda client: client.account.change_password(current="a", new="b"),
        "changePassword",
        people.ChangePassword(current="a", new="b"),
        Nothing(),
        lambda nothing: nothing is None,
    ),
    "reset": Case(
        lambda client: client.account.reset_password(token="hr_token", password="b"),
        "resetPassword",
        people.ResetPassword(token="hr_token", password="b"),
        Nothing(),
        lambda nothing: nothing is None,
    ),
    "export": Case(
        lambda client: client.account.export(),
        "exportAccount",
        Nothing(),
        people.Export(document=msgspec.Raw(b'{"account":{}}')),
        lambda document: document == b'{"account":{}}',
    ),
    "delete": Case(
        lambda client: client.account.delete(password="horse"),
        "deleteAccount",
        people.WithPassword(password="horse"),
        Nothing(),
        lambda nothing: nothing is None,
    ),
    "login": Case(
        lambda client: client.sessions.login("ada", "horse"),
        "login",
        None,
        gateway.LoginReply(success=True, status=200, key="jwt", expires_in=60, account=ACCOUNT),
        lambda session: (session.access_token, session.user.username, "jwt" in repr(session)) == ("jwt", "ada", False),
    ),
    "refresh": Case(
        lambda client: client.sessions.refresh(),
        "refreshSession",
        Nothing(),
        SESSION,
        lambda session: (session.access_token, session.expires_in) == ("jwt", 60),
    ),
    "logout": Case(
        lambda client: client.sessions.logout(), "logout", Nothing(), Nothing(), lambda nothing: nothing is None
    ),
    "sessions": Case(
        lambda client: client.sessions.list(),
        "listSessions",
        Nothing(),
        OPEN,
        lambda sessions: [(one.id, one.expires_at, one.current) for one in sessions] == [("s1", WHEN, True)],
    ),
    "end": Case(
        lambda client: client.sessions.end("s1"),
        "endSessions",
        people.EndSessions(id="s1"),
        OPEN,
        lambda left: len(left) == 1,
    ),
    "end others": Case(
        lambda client: client.sessions.end_others(),
        "endSessions",
        people.EndSessions(),
        OPEN,
        lambda left: len(left) == 1,
    ),
    "keys": Case(
        lambda client: client.keys.list(),
        "listApiKeys",
        Nothing(),
        people.ApiKeys(keys=(KEY,)),
        lambda keys: [(key.name, key.expires_at, key.scopes) for key in keys] == [("ci", WHEN, ("inference", "usage"))],
    ),
    "key": Case(
        lambda client: client.keys.create("ci"),
        "generateApiKey",
        people.GenerateApiKey(name="ci"),
        NEW_KEY,
        lambda key: (key.key, "secret" in repr(key)) == ("hi_abc_secret", False),
    ),
    "key with everything": Case(
        lambda client: client.keys.create("ci", expires_at=WHEN, scopes=("inference",), models=["m*"], limits=LIMITS),
        "generateApiKey",
        people.GenerateApiKey(name="ci", expires_at=AT, scopes=("inference",), models=("m*",), limits=LIMITS_SAID),
        NEW_KEY,
        lambda key: key.created_at == WHEN,
    ),
    "key update": Case(
        lambda client: client.keys.update("k-1", name="b", expires_at="never", limits=Limits()),
        "updateApiKey",
        people.UpdateApiKey(id="k-1", name="b", expires_at="", limits=limits_contract.Limits()),
        KEY,
        lambda key: key.id == "k-1",
    ),
    "rotate": Case(
        lambda client: client.keys.rotate("k-1", overlap_s=60),
        "rotateApiKey",
        people.RotateApiKey(id="k-1", overlap_s=60),
        NEW_KEY,
        lambda key: key.key == "hi_abc_secret",
    ),
    "revoke": Case(
        lambda client: client.keys.revoke("k-1"),
        "revokeApiKey",
        people.OfKey(id="k-1"),
        KEY,
        lambda key: key.is_of("hi_abc_secret") and not key.is_of("hi_abcd"),
    ),
    "usage": Case(
        lambda client: client.usage.report("key", since=date(2026, 1, 1), api_key_id="k-1"),
        "getUserUsage",
        usage.UsageQuery(since=date(2026, 1, 1), group="key", api_key_id="k-1"),
        REPORT,
        lambda report: (report.until, report.total.cost, report.currency) == (date(2026, 1, 2), 0.5, "EUR"),
    ),
    "requests": Case(
        lambda client: client.usage.requests(status="error", limit=2, cursor="c"),
        "listRequests",
        usage.RequestQuery(status="error", limit=2, cursor="c"),
        usage.Requests(requests=(REQUEST,), next="d"),
        lambda page: (page.data[0].created_at, page.next) == (WHEN, "d"),
    ),
    "quota": Case(
        lambda client: client.usage.quota(),
        "getUserQuota",
        Nothing(),
        QUOTA,
        lambda quota: (quota.tier, quota.limits[0].remaining, quota.limits[0].resets_at) == ("default", 6, WHEN),
    ),
    "users": Case(
        lambda client: client.admin.users.list("ad", limit=1),
        "listAccounts",
        people.FindAccounts(query="ad", limit=1),
        people.Accounts(accounts=(ACCOUNT,), next="c"),
        lambda page: (page.data[0].username, page.next) == ("ada", "c"),
    ),
    "user": Case(
        lambda client: client.admin.users.get(ID),
        "showAccount",
        people.OfAccount(id=ID),
        ACCOUNT,
        lambda user: user.username == "ada",
    ),
    "create": Case(
        lambda client: client.admin.users.create(email="ada@example.com", role="admin", tier="premium"),
        "createAccount",
        people.CreateAccount(email="ada@example.com", role="admin", tier="premium"),
        people.CreatedAccount(account=ACCOUNT, reset=RESET),
        lambda made: (made.reset.token, "hr_token" in repr(made)) == ("hr_token", False),
    ),
    "user update": Case(
        lambda client: client.admin.users.update(ID, is_active=False, limits=LIMITS),
        "changeAccount",
        people.ChangeAccount(id=ID, is_active=False, limits=LIMITS_SAID),
        ACCOUNT,
        lambda user: user.id == ID,
    ),
    "remove": Case(
        lambda client: client.admin.users.remove(ID),
        "removeAccount",
        people.OfAccount(id=ID),
        Nothing(),
        lambda nothing: nothing is None,
    ),
    "issue reset": Case(
        lambda client: client.admin.users.reset_password(ID),
        "issueReset",
        people.OfAccount(id=ID),
        RESET,
        lambda reset: (reset.token, reset.expires_at) == ("hr_token", WHEN),
    ),
    "invites": Case(
        lambda client: client.admin.invites.list(),
        "listPersonInvites",
        Nothing(),
        people.PersonInvites(invites=(INVITE,)),
        lambda invites: invites[0].state == "open",
    ),
    "invite": Case(
        lambda client: client.admin.invites.create(email="ada@example.com", valid_s=60),
        "invitePerson",
        people.InvitePerson(email="ada@example.com", valid_s=60),
        INVITE,
        lambda invite: (invite.code, "hc_code" in repr(invite)) == ("hc_code", False),
    ),
    "revoke invite": Case(
        lambda client: client.admin.invites.revoke("i-1"),
        "revokePersonInvite",
        people.OfInvite(id="i-1"),
        INVITE,
        lambda invite: invite.id == "i-1",
    ),
    "tiers": Case(
        lambda client: client.admin.tiers(),
        "listTiers",
        Nothing(),
        people.Tiers(tiers=(people.Tier(name="default", limits=LIMITS_SAID),)),
        lambda tiers: tiers[0].limits == LIMITS,
    ),
    "all usage": Case(
        lambda client: client.admin.usage.report("user", user_id=ID, until=date(2026, 1, 2)),
        "getAllUsage",
        usage.UsageQuery(group="user", user_id=ID, until=date(2026, 1, 2)),
        REPORT,
        lambda report: report.rows[0].label == "=ci",
    ),
    "all requests": Case(
        lambda client: client.admin.usage.requests(user_id=ID, model="m"),
        "listAllRequests",
        usage.RequestQuery(user_id=ID, model="m"),
        usage.Requests(requests=(REQUEST,)),
        lambda page: page.next is None,
    ),
    "audit": Case(
        lambda client: client.admin.audit.list(action="key.*", outcome="ok", since=AT),
        "listAudit",
        audit.AuditQuery(action="key.*", outcome="ok", since=AT),
        audit.AuditRows(rows=(AUDIT,)),
        lambda page: (page.data[0].at, page.data[0].details) == (WHEN, {"key": "k-1"}),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_method_reaches_its_own_of_the_contract(reach: Reach, case: Case) -> None:
    fake = FakeGateway(**{case.method: always(case.reply)})
    with reach(fake) as way:
        async with way.client(api_key="jwt.of.session") as client:
            answered = await case.call(client)
    assert case.becomes(answered), answered
    [(method, request, meta)] = fake.calls
    assert method == case.method
    assert meta.key == "jwt.of.session"
    if case.request is not None:
        assert request == case.request


async def test_login_tells_the_gateway_what_asks(reach: Reach) -> None:
    case = CASES["login"]
    fake = FakeGateway(login=always(case.reply))
    with reach(fake) as way:
        async with way.client(api_key="") as client:
            await case.call(client)
    [(_, request, meta)] = fake.calls
    assert (request.username, request.password, request.agent) == ("ada", "horse", "hyperinfer/0.1.0")
    assert meta.key is None


def test_every_method_that_people_and_administrators_have_can_be_called() -> None:
    theirs = {method.name for method in (*people.PASSED_ON, *usage.PASSED_ON, *audit.PASSED_ON, usage.GET_QUOTA)}
    own = {gateway.REGISTER.name, gateway.LOGIN.name, people.RESET_PASSWORD.name}
    models = {gateway.LIST_MODELS.name, gateway.LIST_WORKERS.name, gateway.LOAD_MODEL.name, gateway.UNLOAD_MODEL.name}
    assert {case.method for case in CASES.values()} == theirs | own | models


@pytest.mark.parametrize("id_", ["../../register", "hi_abc_secret", "", "a b", "ä"])
async def test_what_is_no_id_is_never_put_into_a_url(reach: Reach, id_: str) -> None:
    fake = FakeGateway(revokeApiKey=always(KEY))
    with reach(fake) as way:
        async with way.client() as client:
            with pytest.raises(BadRequest, match="letters, digits"):
                await client.keys.revoke(id_)
    assert fake.calls == []


# --- lists and tables ----------------------------------------------------------------------------------------


def paged(*pages: usage.Requests) -> Callable[..., Awaitable[usage.Requests]]:
    async def answer(request: usage.RequestQuery, meta: Any, sink: Any) -> usage.Requests:
        return pages[int(request.cursor or 0)]

    return answer


TWO_PAGES = paged(usage.Requests(requests=(REQUEST, REQUEST), next="1"), usage.Requests(requests=(REQUEST,)))


async def test_every_row_is_had_page_by_page(reach: Reach) -> None:
    with reach(FakeGateway(listRequests=TWO_PAGES)) as way:
        async with way.client() as client:
            assert [row.id async for row in client.usage.each_request()] == ["r1", "r1", "r1"]


async def test_a_list_without_end_is_given_up() -> None:
    async def same(cursor: str | None) -> Page[int]:
        return Page(data=(1,), next="c")

    rows: AsyncGenerator[int] = each(same)
    assert [await anext(rows), await anext(rows)] == [1, 1]
    with pytest.raises(BackendFailed, match="again and again"):
        await anext(rows)


async def test_a_table_comes_as_csv_that_no_spreadsheet_runs(reach: Reach) -> None:
    with reach(FakeGateway(getAllUsage=always(REPORT), listRequests=TWO_PAGES)) as way:
        async with way.client() as client:
            report = "".join([piece async for piece in client.admin.usage.report_csv("key", user_id=ID)])
            requests = "".join([piece async for piece in client.usage.requests_csv(status="success")])
    assert report.splitlines()[1] == "k,'=ci,3,1,4,5,9,0.5"
    assert len(requests.splitlines()) == 4


# --- without asyncio -----------------------------------------------------------------------------------------


def test_without_asyncio_the_groups_are_the_same(reach: Reach) -> None:
    fake = FakeGateway(
        listRequests=TWO_PAGES,
        generateApiKey=always(NEW_KEY),
        listAccounts=always(people.Accounts(accounts=(ACCOUNT,))),
        getUserUsage=always(REPORT),
        listTiers=CASES_TIERS,
    )
    with reach(fake) as way, way.blocking() as client:
        assert client.keys.create("ci", limits=LIMITS).key == "hi_abc_secret"
        assert [row.id for row in client.usage.each_request()] == ["r1", "r1", "r1"]
        first = next(iter(client.usage.each_request()))
        assert first.created_at == WHEN
        assert "".join(client.usage.report_csv()).startswith("key,label,")
        assert [user.username for user in client.admin.users.each()] == ["ada"]
        assert client.admin.tiers()[0].name == "default"


CASES_TIERS = always(CASES["tiers"].reply)


def test_every_group_without_asyncio_has_every_method() -> None:
    asynchronous, blocking = AsyncClient("http://h", api_key="k"), Client("http://h", api_key="k")
    groups = [(asynchronous, blocking), (asynchronous.admin, blocking.admin)]
    found = 0
    for one, other in groups:
        for name, group in vars(one).items():
            if type(group).__module__.startswith("hyperinfer.sdk.groups"):
                found += 1
                assert public(group) == public(getattr(other, name))
    assert found == 12


def test_the_client_without_asyncio_has_every_method_with_the_same_parameters() -> None:
    methods = {name for name in vars(AsyncClient) if not name.startswith("_")}
    assert methods == {name for name in vars(Client) if not name.startswith("_")}
    for name in {"__init__", *methods} - {"base_url"}:
        assert parameters(getattr(Client, name)) == parameters(getattr(AsyncClient, name)), name


def parameters(method: Callable[..., object]) -> list[tuple[str, object, object]]:
    return [
        (one.name, one.default, one.annotation) for one in signature(method).parameters.values() if one.name != "say"
    ]


def public(group: object) -> dict[str, str | None]:
    return {
        name: getattr(group, name).__doc__
        for name in dir(group)
        if not name.startswith("_") and name not in vars(group)
    }


# --- refusals ------------------------------------------------------------------------------------------------


async def test_a_refusal_says_when_to_come_again(reach: Reach) -> None:
    wait = gateway.LoginReply(success=False, status=429, message="Wait.", code="RATE_LIMITED", retry_after=7)
    taken = gateway.RegisterReply(success=False, status=409, message="Taken.", code="CONFLICT")
    with reach(FakeGateway(login=always(wait), register=always(taken))) as way:
        async with way.client(api_key="") as client:
            with pytest.raises(RateLimited, match="Wait") as caught:
                await client.sessions.login("ada", "horse")
            assert caught.value.details["retry_after_s"] == 7
            with pytest.raises(Conflict, match="Taken"):
                await client.account.register(email="ada@example.com", password="horse")
