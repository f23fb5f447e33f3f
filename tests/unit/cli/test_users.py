"""`hyperinfer users`: what administrators do with everybody's accounts and invitations."""

import json
from typing import Any

import pytest

from hyperinfer.contracts import people
from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import Conflict, Forbidden
from hyperinfer.sdk import profile
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Command

AT = "2026-01-02T12:00:00Z"
ID = "00000000-0000-4000-8000-00000000000"


def account(number: int, name: str, **more: Any) -> people.Account:
    return people.Account(
        id=f"{ID}{number}",
        username=name,
        email=f"{name}@example.com",
        role="user",
        tier="default",
        created_at=AT,
        **more,
    )


ADA = account(1, "ada", limits=Limits(requests_per_minute=3))
BOB = account(2, "bob", is_active=False)
INVITES = people.PersonInvites(
    invites=tuple(
        people.PersonInvite(id=f"{start}-0000", role="user", tier="default", created_at=AT, expires_at=AT)
        for start in ("aaaaaaaa", "bbbbbbbb", "bbcccccc")
    )
)
RESET = people.NewReset(token="hr_token", expires_at=AT, account_id=ADA.id)


async def found(request: people.FindAccounts, meta: Any, sink: Any) -> people.Accounts:
    """Pages of one."""
    page = int(request.cursor or 0)
    return people.Accounts(accounts=((ADA, BOB)[page],), next="1" if page == 0 else None)


@pytest.fixture
def gateway(gateway: FakeGateway, request: pytest.FixtureRequest) -> FakeGateway:
    gateway.answers |= {
        "listAccounts": found,
        "showAccount": always(ADA),
        "createAccount": always(people.CreatedAccount(account=ADA, reset=RESET)),
        "changeAccount": always(BOB),
        "removeAccount": always(Nothing()),
        "issueReset": always(RESET),
        "invitePerson": always(
            people.PersonInvite(id="i", role="user", tier="default", created_at=AT, expires_at=AT, code="hc_code")
        ),
        "listPersonInvites": always(INVITES),
        "revokePersonInvite": always(INVITES.invites[0]),
        "listTiers": always(people.Tiers(tiers=(people.Tier(name="default", limits=Limits(requests_per_minute=10)),))),
    }
    return gateway


@pytest.fixture(autouse=True)
def administrator(url: str) -> None:
    profile.save(profile.Account(gateway=url, username="admin", api_key="hi_key", token="jwt"))


def last(gateway: FakeGateway) -> Any:
    assert gateway.calls[-1][2].key == "jwt"
    return gateway.calls[-1][1]


def test_accounts_are_listed_page_by_page(command: Command, gateway: FakeGateway) -> None:
    lines = command("users", "list").out.splitlines()
    assert lines[1].split() == ["ada", "ada@example.com", "user", "default", "active", "-"]
    assert lines[2].split()[4] == "inactive"
    assert max(map(len, lines)) <= 80
    assert len(json.loads(command("users", "list", "--json").out)) == 2
    done = command("users", "list", "example", "--limit", "1")
    assert len(done.out.splitlines()) == 2
    assert "There are more" in done.err
    assert gateway.calls[-1][1].query == "example"


@pytest.mark.parametrize("name", ["ada", "ADA@example.com", ADA.id])
def test_a_person_is_found_by_what_people_call_them(command: Command, name: str) -> None:
    assert command("users", "show", name).out.startswith("user         ada\n")
    assert json.loads(command("users", "show", name, "--json").out)["id"] == ADA.id


def test_a_person_whose_name_merely_contains_it_is_another(command: Command, gateway: FakeGateway) -> None:
    done = command("users", "delete", "ad", "--yes")
    assert done.code == 1
    assert "There is no account 'ad'" in done.err
    assert {method for method, _, _ in gateway.calls} == {"listAccounts"}


def test_a_new_account_has_a_token_by_which_its_holder_sets_a_password(command: Command, gateway: FakeGateway) -> None:
    done = command("users", "create", "ada@example.com", "--role", "admin", "--tier", "premium")
    assert (done.code, done.out) == (0, "hr_token\n")
    assert "hyperinfer reset" in done.err
    assert last(gateway) == people.CreateAccount(email="ada@example.com", role="admin", tier="premium")


def test_or_a_password_at_once(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["createAccount"] = always(people.CreatedAccount(account=ADA))
    done = command("users", "create", "ada@example.com", "--username", "ada", "--password", stdin="correct horse\n")
    assert done.out == "ada (ada@example.com) has an account.\n"
    assert last(gateway) == people.CreateAccount(email="ada@example.com", username="ada", password="correct horse")


def test_a_change_is_laid_over_what_was(command: Command, gateway: FakeGateway) -> None:
    words = ("--deactivate", "--limit", "tokens-per-day=7", "--tier", "premium", "--role", "admin")
    done = command("users", "update", "ada", *words)
    assert "state        inactive" in done.out
    assert last(gateway) == people.ChangeAccount(
        id=ADA.id,
        is_active=False,
        role="admin",
        tier="premium",
        limits=Limits(requests_per_minute=3, tokens_per_day=7),
    )
    command("users", "update", "bob", "--activate")
    assert last(gateway) == people.ChangeAccount(id=BOB.id, is_active=True)
    assert command("users", "update", "ada").code == 2


def test_deleting_asks_first(command: Command, gateway: FakeGateway) -> None:
    assert command("users", "delete", "ada", stdin="n\n").code == 130
    assert "removeAccount" not in [method for method, _, _ in gateway.calls]
    assert command("users", "delete", "ada", "--yes").out == "The account ada is deleted.\n"
    assert last(gateway) == people.OfAccount(id=ADA.id)
    gateway.answers["removeAccount"] = always(Conflict("This is the last administrator."))
    assert command("users", "delete", "ada", "--yes").err == "This is the last administrator.\n"


def test_a_token_to_set_a_password_is_the_output(command: Command, gateway: FakeGateway) -> None:
    assert command("users", "reset-password", "ada").out == "hr_token\n"
    assert last(gateway) == people.OfAccount(id=ADA.id)
    assert json.loads(command("users", "reset-password", "ada", "--json").out)["token"] == "hr_token"


def test_people_are_invited_and_the_code_is_the_output(command: Command, gateway: FakeGateway) -> None:
    done = command("users", "invite", "--email", "ada@example.com", "--expires", "2h", "--role", "admin")
    assert done.out == "hc_code\n"
    assert "hyperinfer register --gateway URL --code CODE EMAIL" in done.err
    assert last(gateway) == people.InvitePerson(email="ada@example.com", role="admin", valid_s=7200)


def test_invitations_are_listed_and_taken_back(command: Command, gateway: FakeGateway) -> None:
    assert [line.split()[0] for line in command("users", "invites").out.splitlines()[1:]] == [
        *("aaaaaaaa", "bbbbbbbb", "bbcccccc")
    ]
    assert command("users", "revoke-invite", "AAAA").out == "The invitation aaaaaaaa admits nobody any more.\n"
    assert last(gateway) == people.OfInvite(id="aaaaaaaa-0000")
    assert "Several" in command("users", "revoke-invite", "bb").err
    assert "no such invitation" in command("users", "revoke-invite", "cc").err
    gateway.answers["listPersonInvites"] = always(people.PersonInvites())
    assert command("users", "invites").err == "Nobody has been invited.\n"


def test_tiers_are_listed(command: Command) -> None:
    assert command("users", "tiers").out.splitlines()[1].split() == ["default", "requests-per-minute=10"]


def test_who_is_no_administrator_is_told_so(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["listAccounts"] = always(Forbidden("This is for administrators."))
    done = command("users", "list")
    assert (done.code, done.err) == (1, "This is for administrators.\n")
