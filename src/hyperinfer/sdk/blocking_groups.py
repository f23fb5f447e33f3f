"""The groups of `Client`: those of `AsyncClient`, whose methods block instead of being awaited. Nothing is said twice."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from hyperinfer.sdk.client import AsyncClient
from hyperinfer.sdk.groups import account, admin, keys, models, sessions, usage

G = TypeVar("G")
P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class Run(Protocol):
    """Waits for the result of a coroutine."""

    def __call__(self, work: Coroutine[Any, Any, R], /) -> R:
        """The result."""
        ...


class Blocking(Generic[G]):
    """A group with the loop that its methods run on."""

    def __init__(self, group: G, run: Run) -> None:
        self._group = group
        self._run = run


def waiting(method: Callable[Concatenate[G, P], Coroutine[Any, Any, R]]) -> Callable[Concatenate[Blocking[G], P], R]:
    """A group's method, waited for."""

    @wraps(method)
    def call(self: Blocking[G], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._run(method(self._group, *args, **kwargs))

    return call


def one_by_one(
    method: Callable[Concatenate[G, P], AsyncGenerator[R]],
) -> Callable[Concatenate[Blocking[G], P], Iterator[R]]:
    """A group's method that gives things as they come, each of them waited for."""

    @wraps(method)
    def call(self: Blocking[G], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        things = method(self._group, *args, **kwargs)
        try:
            while found := self._run(_next(things)):
                yield found[0]
        finally:
            self._run(_close(things))

    return call


async def _next(things: AsyncGenerator[R]) -> tuple[()] | tuple[R]:
    async for thing in things:
        return (thing,)
    return ()


async def _close(things: AsyncGenerator[R]) -> None:
    await things.aclose()


class OwnAccount(Blocking[account.OwnAccount]):
    """The caller's own account."""

    register = waiting(account.OwnAccount.register)
    get = waiting(account.OwnAccount.get)
    update = waiting(account.OwnAccount.update)
    change_password = waiting(account.OwnAccount.change_password)
    reset_password = waiting(account.OwnAccount.reset_password)
    export = waiting(account.OwnAccount.export)
    delete = waiting(account.OwnAccount.delete)


class Sessions(Blocking[sessions.Sessions]):
    """Logging in and out, and the sessions that last."""

    login = waiting(sessions.Sessions.login)
    refresh = waiting(sessions.Sessions.refresh)
    logout = waiting(sessions.Sessions.logout)
    list = waiting(sessions.Sessions.list)
    end = waiting(sessions.Sessions.end)
    end_others = waiting(sessions.Sessions.end_others)


class Keys(Blocking[keys.Keys]):
    """The caller's API keys."""

    list = waiting(keys.Keys.list)
    create = waiting(keys.Keys.create)
    update = waiting(keys.Keys.update)
    rotate = waiting(keys.Keys.rotate)
    revoke = waiting(keys.Keys.revoke)


class Models(Blocking[models.Models]):
    """Models and the workers that run them."""

    list = waiting(models.Models.list)
    workers = waiting(models.Models.workers)


class PlacedModels(Blocking[models.PlacedModels]):
    """Which models are in workers' memory."""

    load = waiting(models.PlacedModels.load)
    unload = waiting(models.PlacedModels.unload)


class OwnUsage(Blocking[usage.OwnUsage]):
    """What was used and what is left."""

    report = waiting(usage.OwnUsage.report)
    report_csv = one_by_one(usage.OwnUsage.report_csv)
    requests = waiting(usage.OwnUsage.requests)
    each_request = one_by_one(usage.OwnUsage.each_request)
    requests_csv = one_by_one(usage.OwnUsage.requests_csv)
    quota = waiting(usage.OwnUsage.quota)


class AllUsage(Blocking[usage.AllUsage]):
    """Usage of everybody."""

    report = waiting(usage.AllUsage.report)
    report_csv = one_by_one(usage.AllUsage.report_csv)
    requests = waiting(usage.AllUsage.requests)
    each_request = one_by_one(usage.AllUsage.each_request)
    requests_csv = one_by_one(usage.AllUsage.requests_csv)


class Users(Blocking[admin.Users]):
    """Accounts."""

    list = waiting(admin.Users.list)
    each = one_by_one(admin.Users.each)
    get = waiting(admin.Users.get)
    create = waiting(admin.Users.create)
    update = waiting(admin.Users.update)
    remove = waiting(admin.Users.remove)
    reset_password = waiting(admin.Users.reset_password)


class Invites(Blocking[admin.Invites]):
    """Invitations to register."""

    list = waiting(admin.Invites.list)
    create = waiting(admin.Invites.create)
    revoke = waiting(admin.Invites.revoke)


class Audit(Blocking[admin.Audit]):
    """The audit log."""

    list = waiting(admin.Audit.list)
    each = one_by_one(admin.Audit.each)


class Reports(Blocking[admin.Reports]):
    """Usage reports."""

    list = waiting(admin.Reports.list)
    read = waiting(admin.Reports.read)


class Admin(Blocking[admin.Admin]):
    """Administration, group by group."""

    def __init__(self, group: admin.Admin, run: Run) -> None:
        super().__init__(group, run)
        self.users = Users(group.users, run)
        self.invites = Invites(group.invites, run)
        self.usage = AllUsage(group.usage, run)
        self.audit = Audit(group.audit, run)
        self.models = PlacedModels(group.models, run)
        self.reports = Reports(group.reports, run)

    tiers = waiting(admin.Admin.tiers)
    system = waiting(admin.Admin.system)
    watch_system = one_by_one(admin.Admin.watch_system)
    history = waiting(admin.Admin.history)
    alerts = waiting(admin.Admin.alerts)
    silence = waiting(admin.Admin.silence)
    test_alerts = waiting(admin.Admin.test_alerts)
    logs = one_by_one(admin.Admin.logs)


class Groups:
    """Every group of a client."""

    def __init__(self, client: AsyncClient, run: Run) -> None:
        self.models = Models(client.models, run)
        self.account = OwnAccount(client.account, run)
        self.sessions = Sessions(client.sessions, run)
        self.keys = Keys(client.keys, run)
        self.usage = OwnUsage(client.usage, run)
        self.admin = Admin(client.admin, run)
