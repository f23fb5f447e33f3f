"""API keys on a real database."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from hyperinfer.contracts.directory import KEY
from hyperinfer.contracts.limits import Limits, Subject
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import GenerateApiKey, OfKey, RotateApiKey, UpdateApiKey
from hyperinfer.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthenticated
from hyperinfer.protocol import api_keys
from hyperinfer.workers.auth import keys as module
from hyperinfer.workers.auth.keys import MAX_KEYS, MAX_LISTED, minted
from hyperinfer.workers.auth.models import ApiKeyRow
from hyperinfer.workers.auth.shown import text_of

from .conftest import Office, Person

NOTHING = Nothing()


async def test_a_key_is_made_listed_and_revoked(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    office.clock.advance(1)
    made = await office.keys.generate(GenerateApiKey(name=" laptop "), ada.origin)
    listed = (await office.keys.listed(NOTHING, ada.origin)).keys
    assert [(key.name, key.prefix, key.is_active) for key in listed] == [
        ("laptop", made.prefix, True),
        ("default", ada.key.prefix, True),
    ]
    for origin, key_id in ((bob.origin, made.id), (ada.origin, "'; DROP TABLE users"), (ada.origin, "nul\0")):
        with pytest.raises(NotFound):
            await office.keys.revoke(OfKey(id=key_id), origin)
    await office.keys.validate(made.key)
    assert not (await office.keys.revoke(OfKey(id=made.id), ada.origin)).is_active
    assert not (await office.keys.revoke(OfKey(id=made.id), ada.origin)).is_active  # again: nothing to add
    with pytest.raises(Unauthenticated):
        await office.keys.validate(made.key)
    await office.keys.validate(ada.key.key)
    assert [key.is_active for key in (await office.keys.listed(NOTHING, ada.origin)).keys] == [False, True]
    assert (await office.told())[(KEY, made.id)]["isActive"] is False  # type: ignore[index]  # JSON
    assert [row for row in await office.audited() if row[0].startswith("key.")] == [
        ("key.created", "ok"),
        ("key.revoked", "ok"),
    ]


async def test_a_key_may_what_it_was_made_for(office: Office) -> None:
    ada = await office.person()
    ends = office.clock.now() + timedelta(days=1)
    wanted = GenerateApiKey(
        name="narrow",
        scopes=("inference",),
        models=("llama*",),
        limits=Limits(tokens_per_day=5),
        expires_at=text_of(ends),
    )
    made = await office.keys.generate(wanted, ada.origin)
    assert (made.scopes, made.models, made.limits, made.expires_at) == (
        wanted.scopes,
        wanted.models,
        wanted.limits,
        wanted.expires_at,
    )
    who = await office.who(made.key)
    assert (who.scopes, who.models) == (("inference",), ("llama*",))
    assert who.subjects[1] == Subject(id=f"key:{made.id}", limits=Limits(tokens_per_day=5))
    assert (await office.told())[(KEY, made.id)] == {
        "userId": ada.id,
        "digest": api_keys.digest(made.key),
        "expiresAt": ends.timestamp(),
        "scopes": ["inference"],
        "models": ["llama*"],
        "limits": {"tokensPerDay": 5},
    }
    office.clock.advance(24 * 3600 - 1)
    assert (await office.keys.validate(made.key)).valid_for_s == 1
    office.clock.advance(1)
    with pytest.raises(Unauthenticated, match="expired"):
        await office.keys.validate(made.key)


async def test_a_key_is_changed(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    made = await office.keys.generate(GenerateApiKey(name="laptop", limits=Limits(tokens_per_day=5)), ada.origin)
    with pytest.raises(NotFound):
        await office.keys.update(UpdateApiKey(id=made.id, name="mine"), bob.origin)
    renamed = await office.keys.update(UpdateApiKey(id=made.id, name="desk"), ada.origin)
    assert (renamed.name, renamed.limits) == ("desk", Limits(tokens_per_day=5))
    wider = await office.keys.update(UpdateApiKey(id=made.id, scopes=("usage",), limits=Limits()), ada.origin)
    assert (wider.name, wider.scopes, wider.limits) == ("desk", ("usage",), None)
    assert (await office.who(made.key)).scopes == ("usage",)
    with pytest.raises(Forbidden, match="admin"):
        await office.keys.update(UpdateApiKey(id=made.id, scopes=("admin",)), ada.origin)
    await office.keys.revoke(OfKey(id=made.id), ada.origin)
    with pytest.raises(Conflict, match="revoked"):
        await office.keys.update(UpdateApiKey(id=made.id, name="again"), ada.origin)


async def test_a_key_is_rotated_with_an_overlap(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    old = await office.keys.generate(GenerateApiKey(name="laptop", models=("llama",)), ada.origin)
    with pytest.raises(NotFound):
        await office.keys.rotate(RotateApiKey(id=old.id), bob.origin)
    new = await office.keys.rotate(RotateApiKey(id=old.id, overlap_s=60), ada.origin)
    assert (new.name, new.models) == ("laptop", ("llama",))
    assert new.id != old.id
    office.clock.advance(59)
    for key in (old, new):
        await office.keys.validate(key.key)
    office.clock.advance(1)
    with pytest.raises(Unauthenticated, match="expired"):
        await office.keys.validate(old.key)
    with pytest.raises(Conflict, match="expired"):
        await office.keys.rotate(RotateApiKey(id=old.id), ada.origin)
    newest = await office.keys.rotate(RotateApiKey(id=new.id, overlap_s=0), ada.origin)
    with pytest.raises(Unauthenticated):
        await office.keys.validate(new.key)
    await office.keys.validate(newest.key)


async def test_a_rotated_key_ends_no_later_than_before(office: Office) -> None:
    ada = await office.person()
    ends = text_of(office.clock.now() + timedelta(seconds=30))
    old = await office.keys.generate(GenerateApiKey(expires_at=ends), ada.origin)
    assert (await office.keys.rotate(RotateApiKey(id=old.id, overlap_s=3600), ada.origin)).expires_at == ends
    office.clock.advance(30)
    with pytest.raises(Unauthenticated):
        await office.keys.validate(old.key)


async def test_a_key_manages_no_more_than_it_has(office: Office) -> None:
    ada = await office.person()
    narrow = ada.with_key(await office.keys.generate(GenerateApiKey(scopes=("account",)), ada.origin))
    wide = await office.keys.generate(GenerateApiKey(scopes=("inference", "account")), ada.origin)
    with pytest.raises(Forbidden, match="inference"):
        await office.keys.generate(GenerateApiKey(scopes=("inference",)), narrow)
    for change in (UpdateApiKey(id=wide.id, name="x"), UpdateApiKey(id=wide.id, scopes=("account",))):
        with pytest.raises(Forbidden):
            await office.keys.update(change, narrow)
    with pytest.raises(Forbidden):
        await office.keys.rotate(RotateApiKey(id=wide.id), narrow)  # whose secret it would have then
    made = await office.keys.generate(GenerateApiKey(scopes=("account",)), narrow)
    await office.keys.rotate(RotateApiKey(id=made.id), narrow)
    await office.keys.revoke(OfKey(id=wide.id), narrow)  # which gives nobody anything
    for origin in (ada.by_key, ada.with_key(wide)):
        with pytest.raises((Forbidden, Unauthenticated)):
            await office.keys.listed(NOTHING, origin)


async def test_only_the_digest_is_in_the_database(office: Office) -> None:
    made = await office.register()
    secret = made.key.key.removeprefix(made.key.prefix)
    written = b"".join(file.read_bytes() for file in office.data.glob("*.sqlite*"))
    assert secret.encode() not in written
    async with office.database.read() as session:
        row = (await session.scalars(select(ApiKeyRow))).one()
    assert row.key_hash == api_keys.digest(made.key.key)


async def test_a_key_with_anything_wrong_is_refused_in_the_same_words(office: Office) -> None:
    made = await office.register()
    right = api_keys.parse(made.key.key)
    assert right is not None
    body = f"{right.prefix}_{'0' * 43}"
    same_id = body + api_keys.checksum(body)  # well-formed, of a public id that is known
    assert api_keys.parse(same_id) is not None
    refusals = set()
    for wrong in (api_keys.mint().text, same_id, made.key.key[:-1], "hi_", "", "\ud800"):
        with pytest.raises(Unauthenticated) as caught:
            await office.keys.validate(wrong)
        refusals.add(caught.value.message)
    assert len(refusals) == 1


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
async def test_a_key_needs_a_name(office: Office, name: str) -> None:
    ada = await office.person()
    with pytest.raises(BadRequest):
        await office.keys.generate(GenerateApiKey(name=name), ada.origin)
    with pytest.raises(BadRequest):
        await office.keys.update(UpdateApiKey(id=ada.key.id, name=name), ada.origin)


async def add_rows(office: Office, ada: Person, number: int, *, is_active: bool) -> list[ApiKeyRow]:
    rows = []
    for count in range(number):
        office.clock.advance(1)
        row, _ = minted(ada.id, f"key {count}", now=office.clock.now())
        row.is_active = is_active
        rows.append(row)
    async with office.database.write() as session:
        session.add_all(rows)
    return rows


async def test_an_account_has_a_bounded_number_of_keys_however_they_are_asked_for(office: Office) -> None:
    ada = await office.person()
    await add_rows(office, ada, MAX_KEYS - 4, is_active=True)
    asked = (office.keys.generate(GenerateApiKey(), ada.origin) for _ in range(10))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 7
    with pytest.raises(Conflict):
        await office.keys.rotate(RotateApiKey(id=ada.key.id), ada.origin)  # both would work
    await office.keys.rotate(RotateApiKey(id=ada.key.id, overlap_s=0), ada.origin)
    listed = (await office.keys.listed(NOTHING, ada.origin)).keys
    assert sum(key.is_active for key in listed) == MAX_KEYS
    await office.keys.revoke(OfKey(id=listed[0].id), ada.origin)
    await office.keys.generate(GenerateApiKey(name="again"), ada.origin)


async def test_old_revoked_keys_never_push_an_active_one_off_the_list(office: Office) -> None:
    ada = await office.person()
    await add_rows(office, ada, MAX_LISTED + 5, is_active=False)
    listed = (await office.keys.listed(NOTHING, ada.origin)).keys
    assert len(listed) == MAX_LISTED
    assert listed[0].name == f"key {MAX_LISTED + 4}"
    assert listed[-1].name == "default"


async def test_the_oldest_of_many_that_work_no_longer_are_forgotten(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    ada = await office.person()
    gone = await add_rows(office, ada, 5, is_active=False)
    made = await office.keys.generate(GenerateApiKey(name="new"), ada.origin)
    listed = {key.id for key in (await office.keys.listed(NOTHING, ada.origin)).keys}
    assert listed == {made.id, ada.key.id, *(row.id for row in gone[2:])}
    assert (await office.told())[(KEY, gone[0].id)] is None
