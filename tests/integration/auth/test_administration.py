"""What administrators do with accounts, on a real database."""

import asyncio

import pytest

from hyperinfer.contracts.directory import USER
from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import ChangeAccount, CreateAccount, FindAccounts, OfAccount, ResetPassword
from hyperinfer.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthenticated

from .conftest import PASSWORD, Office

NOBODY = ("", "x", "nul\0", "00000000-0000-0000-0000-000000000000")


async def test_accounts_are_found_by_part_of_a_name_page_by_page(office: Office) -> None:
    root = await office.admin()
    for number in range(7):
        office.clock.advance(number % 2)  # some at the same moment
        await office.register(f"person{number}")
    found, cursor = list[str](), None
    while True:
        page = await office.parts.administration.find(
            FindAccounts(query=" PERSON", limit=2, cursor=cursor), root.by_key
        )
        assert len(page.accounts) <= 2
        found += [account.username for account in page.accounts]
        cursor = page.next
        if cursor is None:
            break
    assert sorted(found) == [f"person{number}" for number in range(7)]
    everybody = await office.parts.administration.find(FindAccounts(), root.origin)
    assert len(everybody.accounts) == 8
    for query, number in (("%", 0), ("_", 0), ("\\", 0), ("3@example", 1), ("nul\0", 0), ("' OR 1=1 --", 0)):
        page = await office.parts.administration.find(FindAccounts(query=query), root.origin)
        assert len(page.accounts) == number, query
    for cursor in (
        "",
        "x",
        "~",
        "2026-11-01~x",
        "2026-11-01T00:00:00~" + root.id,
        "9999-12-31T23:59:59-23:59~" + root.id,
    ):
        with pytest.raises(BadRequest) as caught:
            await office.parts.administration.find(FindAccounts(cursor=cursor), root.origin)
        assert caught.value.details == {"param": "cursor"}


async def test_an_account_is_made_with_a_password_or_a_token_to_set_one(office: Office) -> None:
    root = await office.admin()
    create = office.parts.administration.create
    made = await create(CreateAccount(email="ada@example.org", tier="premium"), root.origin)
    assert (made.account.username, made.account.tier) == ("ada", "premium")
    for guess in (PASSWORD, "nobody knows this"):
        with pytest.raises(Unauthenticated):
            await office.login(password=guess)
    assert made.reset is not None
    await office.parts.resets.use(ResetPassword(token=made.reset.token, password=PASSWORD))
    await office.login()
    made = await create(CreateAccount(email="bob@example.org", password=PASSWORD, role="admin"), root.origin)
    assert (made.reset, made.account.role) == (None, "admin")
    await office.login("bob")
    assert (await office.told())[(USER, made.account.id)]["role"] == "admin"  # type: ignore[index]  # JSON
    for wrong, param in (
        (CreateAccount(email="c@example.org", tier="nonsense"), "tier"),
        (CreateAccount(email="c@example.org", password="short"), "password"),
        (CreateAccount(email="c@example.org", username="root"), "username"),
    ):
        with pytest.raises(BadRequest) as caught:
            await create(wrong, root.origin)
        assert caught.value.details == {"param": param}
    with pytest.raises(Conflict):
        await create(CreateAccount(email="ada@example.org"), root.origin)


async def test_what_is_changed_holds_at_every_gateway(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    change = office.parts.administration.change
    limits = Limits(tokens_per_day=5)
    changed = await change(ChangeAccount(id=ada.id, tier="premium", limits=limits, role="admin"), root.origin)
    assert (changed.tier, changed.limits, changed.role) == ("premium", limits, "admin")
    told = (await office.told())[(USER, ada.id)]
    assert told == {
        "username": "ada",
        "email": "ada@example.org",
        "role": "admin",
        "tier": "premium",
        "limits": {"tokensPerDay": 5},
    }
    assert (await office.who(ada.key.key)).subjects[0].limits == Limits(requests_per_hour=1000, tokens_per_day=5)
    same = await change(ChangeAccount(id=ada.id, tier="premium"), root.origin)
    assert same == changed
    assert (await change(ChangeAccount(id=ada.id, limits=Limits()), root.origin)).limits is None
    assert (await office.audited()).count(("admin.account_changed", "ok")) == 2
    with pytest.raises(BadRequest, match="tier"):
        await change(ChangeAccount(id=ada.id, tier="nonsense"), root.origin)
    for nobody in NOBODY:
        with pytest.raises(NotFound):
            await change(ChangeAccount(id=nobody), root.origin)
        with pytest.raises(NotFound):
            await office.parts.administration.show(OfAccount(id=nobody), root.origin)


async def test_who_is_deactivated_is_out_and_old_sessions_stay_ended(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    change = office.parts.administration.change
    await change(ChangeAccount(id=ada.id, is_active=False), root.origin)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await office.sessions.verify(ada.session.access_token)
        with pytest.raises(Unauthenticated):
            await office.sessions.listed(Nothing(), ada.origin)
        assert (await change(ChangeAccount(id=ada.id, is_active=True), root.origin)).is_active
    await office.keys.validate(ada.key.key)
    await office.login()


async def test_a_demoted_administrator_administers_no_more(office: Office) -> None:
    root, second = await office.admin(), await office.admin("second")
    await office.parts.administration.change(ChangeAccount(id=second.id, role="user"), root.origin)
    for origin in (second.origin, second.by_key):
        with pytest.raises(Forbidden, match="administrators"):
            await office.parts.administration.find(FindAccounts(), origin)


async def test_somebody_can_always_administer(office: Office) -> None:
    root, second = await office.admin(), await office.admin("second")
    administration = office.parts.administration
    await administration.change(ChangeAccount(id=second.id, is_active=False), root.origin)
    for change in (ChangeAccount(id=root.id, role="user"), ChangeAccount(id=root.id, is_active=False)):
        with pytest.raises(Conflict, match="last administrator"):
            await administration.change(change, root.origin)
    with pytest.raises(Conflict, match="last administrator"):
        await administration.remove(OfAccount(id=root.id), root.origin)
    await administration.change(ChangeAccount(id=second.id, is_active=True), root.origin)
    demoted = (ChangeAccount(id=root.id, role="user"), ChangeAccount(id=second.id, role="user"))
    asked = zip(demoted, (second, root), strict=True)
    results = await asyncio.gather(
        *(administration.change(change, by.by_key) for change, by in asked), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict | Forbidden) for result in results) == 1


async def test_an_account_is_removed(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    await office.parts.administration.remove(OfAccount(id=ada.id), root.origin)
    with pytest.raises(NotFound):
        await office.parts.administration.remove(OfAccount(id=ada.id), root.origin)
    with pytest.raises(Unauthenticated):
        await office.keys.validate(ada.key.key)
    assert (await office.told())[(USER, ada.id)] is None


async def test_tiers_are_listed(office: Office) -> None:
    root = await office.admin()
    listed = (await office.parts.administration.list_tiers(Nothing(), root.origin)).tiers
    assert [tier.name for tier in listed] == ["default", "premium", "unlimited"]
