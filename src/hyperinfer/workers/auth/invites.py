"""Invitations of people: a code with which somebody may register once."""

import uuid
from datetime import timedelta

from sqlalchemy import func, select

from hyperinfer.contracts import people
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import InvitePerson, OfInvite, PersonInvite, PersonInvites
from hyperinfer.errors import Conflict, NotFound
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol import api_keys, one_time
from hyperinfer.workers.auth import names
from hyperinfer.workers.auth.actors import Actors
from hyperinfer.workers.auth.models import PersonInviteRow
from hyperinfer.workers.auth.origin import Origin
from hyperinfer.workers.auth.shown import invite_of
from hyperinfer.workers.auth.store import is_taken, uuid_of
from hyperinfer.workers.auth.tiers import Tiers

MAX_OPEN = 1000
"""Invitations that may be open at once."""
MAX_LISTED = 2 * MAX_OPEN


class PersonInvitations:
    """Invitations of people, by administrators."""

    def __init__(self, actors: Actors, tiers: Tiers, clock: Clock) -> None:
        self._actors = actors
        self._tiers = tiers
        self._clock = clock

    async def invite(self, request: InvitePerson, origin: Origin) -> PersonInvite:
        """A new invitation; its code is in the reply and nowhere else. Raises `BadRequest`, `Conflict`."""
        email = names.email_of(request.email) if request.email else None
        tier, now = self._tiers.known(request.tier), self._clock.now()
        async with self._actors.change(origin, people.INVITE_PERSON) as (change, _who):
            rows = change.session
            if email is not None and await is_taken(rows, email=email):
                raise Conflict("This e-mail has an account already.", param="email")
            is_open = (
                PersonInviteRow.used_at.is_(None),
                PersonInviteRow.revoked_at.is_(None),
                PersonInviteRow.expires_at > now,
            )
            count = await rows.scalar(select(func.count()).select_from(PersonInviteRow).where(*is_open)) or 0
            if count >= MAX_OPEN:
                raise Conflict(f"{MAX_OPEN} invitations are open; revoke some first.")
            code = one_time.mint(one_time.REGISTRATION)
            row = PersonInviteRow(
                id=str(uuid.uuid4()),
                code_hash=api_keys.digest(code),
                email=email,
                role=request.role,
                tier=tier,
                created_at=now,
                expires_at=now + timedelta(seconds=request.valid_s),
                used_at=None,
                revoked_at=None,
            )
            rows.add(row)
            await change.audit("invite.created", details={"invite": row.id, "role": row.role, "tier": row.tier})
        return invite_of(row, now=now, code=code)

    async def listed(self, request: Nothing, origin: Origin) -> PersonInvites:
        """Every invitation that is remembered, newest first, up to `MAX_LISTED`."""
        async with self._actors.read(origin, people.LIST_PERSON_INVITES) as (rows, _who):
            newest = select(PersonInviteRow).order_by(PersonInviteRow.created_at.desc(), PersonInviteRow.id)
            found = (await rows.scalars(newest.limit(MAX_LISTED))).all()
        return PersonInvites(invites=tuple(invite_of(row, now=self._clock.now()) for row in found))

    async def revoke(self, request: OfInvite, origin: Origin) -> PersonInvite:
        """End an invitation. Raises `NotFound`, and `Conflict` for one that has been used."""
        wanted = uuid_of(request.id)
        async with self._actors.change(origin, people.REVOKE_PERSON_INVITE) as (change, _who):
            row = await change.session.get(PersonInviteRow, wanted) if wanted else None
            if row is None:
                raise NotFound("There is no such invitation.")
            if row.used_at is not None:
                raise Conflict("This invitation has been used; deactivate the account instead.")
            if row.revoked_at is None:
                row.revoked_at = self._clock.now()
                await change.audit("invite.revoked", details={"invite": row.id})
        return invite_of(row, now=self._clock.now())
