"""API keys on a real database."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from hyperinfer.errors import BadRequest, Conflict, NotFound, Unauthenticated
from hyperinfer.protocol import api_keys
from hyperinfer.workers.auth.keys import MAX_KEYS, MAX_LISTED
from hyperinfer.workers.auth.models import ApiKeyRow

from .conftest import Office


async def test_a_key_is_made_listed_and_revoked(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    office.clock.advance(1)
    made = await office.keys.generate(ada.account.id, " laptop ")
    listed = await office.keys.of(ada.account.id)
    assert [(key.name, key.prefix, key.is_active) for key in listed] == [
        ("laptop", made.prefix, True),
        ("default", ada.key.prefix, True),
    ]
    for of, key_id in ((bob.account.id, made.id), (ada.account.id, "'; DROP TABLE users"), ("nobody", made.id)):
        with pytest.raises(NotFound):
            await office.keys.revoke(of, key_id)
    await office.keys.validate(made.key)
    assert not (await office.keys.revoke(ada.account.id, made.id)).is_active
    assert not (await office.keys.revoke(ada.account.id, made.id)).is_active  # again: nothing to add
    with pytest.raises(Unauthenticated):
        await office.keys.validate(made.key)
    await office.keys.validate(ada.key.key)
    assert [key.is_active for key in await office.keys.of(ada.account.id)] == [False, True]
    assert await office.keys.of("nobody") == ()


async def test_a_revoked_key_is_taken_for_less_than_two_seconds(office: Office) -> None:
    made = await office.person()
    assert (await office.keys.validate(made.key.key)).valid_for_s < 2


async def test_only_the_digest_is_in_the_database(office: Office) -> None:
    made = await office.person()
    secret = made.key.key.removeprefix(made.key.prefix)
    written = b"".join(file.read_bytes() for file in office.data.glob("auth.sqlite*"))
    assert made.key.prefix.removeprefix("hi_").encode() in written  # it is where we look
    assert secret.encode() not in written
    async with office.store._database.read() as session:
        row = (await session.scalars(select(ApiKeyRow))).one()
    assert row.key_hash == api_keys.digest(made.key.key)


async def test_a_key_with_anything_wrong_is_refused_in_the_same_words(office: Office) -> None:
    made = await office.person()
    right = api_keys.parse(made.key.key)
    assert right is not None
    body = f"{right.prefix}_{'0' * 43}"
    same_id = body + api_keys._checksum(body)  # well-formed, of a public id that is known
    assert api_keys.parse(same_id) is not None
    refusals = set()
    for wrong in (api_keys.mint().text, same_id, made.key.key[:-1], "hi_", "", "\ud800"):
        with pytest.raises(Unauthenticated) as caught:
            await office.keys.validate(wrong)
        refusals.add(caught.value.message)
    assert len(refusals) == 1


async def test_a_key_ends_when_it_expires(office: Office) -> None:
    made = await office.person()
    expires = office.clock.now() + timedelta(seconds=1)
    async with office.store._database.write() as session:
        await session.execute(update(ApiKeyRow).values(expires_at=expires))
    assert (await office.keys.validate(made.key.key)).valid_for_s == 1
    office.clock.advance(1)
    with pytest.raises(Unauthenticated, match="expired"):
        await office.keys.validate(made.key.key)


async def test_the_last_use_is_noted_by_the_batch_and_not_before(office: Office) -> None:
    ada, bob = await office.person("ada"), await office.person("bob")
    office.clock.advance(60)
    await office.keys.validate(ada.key.key)
    await office.keys.validate(bob.key.key)
    assert (await office.keys.of(ada.account.id))[0].last_used_at is None
    await office.keys.note_use()
    for one in (ada, bob):
        assert (await office.keys.of(one.account.id))[0].last_used_at == "2026-11-01T00:01:00Z"
    async with office.store._database.write() as session:
        await session.execute(update(ApiKeyRow).values(last_used_at=None))
    await office.keys.note_use()  # nothing was used since, so nothing is written
    assert (await office.keys.of(ada.account.id))[0].last_used_at is None


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
async def test_a_key_needs_a_name(office: Office, name: str) -> None:
    made = await office.person()
    with pytest.raises(BadRequest):
        await office.keys.generate(made.account.id, name)


@pytest.mark.parametrize("user_id", [str(uuid.uuid4()), "nobody", ""])
async def test_a_key_for_nobody_is_refused(office: Office, user_id: str) -> None:
    with pytest.raises(NotFound):
        await office.keys.generate(user_id, "x")


async def test_an_account_has_a_bounded_number_of_keys_however_they_are_asked_for(office: Office) -> None:
    made = await office.person()
    asked = (office.keys.generate(made.account.id, "more") for _ in range(MAX_KEYS + 10))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 11
    listed = await office.keys.of(made.account.id)
    assert sum(key.is_active for key in listed) == MAX_KEYS
    await office.keys.revoke(made.account.id, listed[0].id)
    await office.keys.generate(made.account.id, "again")


async def test_old_revoked_keys_never_push_an_active_one_off_the_list(office: Office) -> None:
    made = await office.person()
    rows = []
    for number in range(MAX_LISTED + 5):
        office.clock.advance(1)
        row, _ = office.keys.minted(made.account.id, f"gone {number}")
        row.is_active = False
        rows.append(row)
    async with office.store._database.write() as session:
        session.add_all(rows)
    listed = await office.keys.of(made.account.id)
    assert len(listed) == MAX_LISTED
    assert listed[0].name == f"gone {MAX_LISTED + 4}"
    assert listed[-1].name == "default"
