"""Auth's word on who is a member: it signs the list, pushes it to every member, and lets in whom it has invited."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog

from hyperinfer.contracts.audit import Outcome
from hyperinfer.contracts.membership import JOIN, WATCH_MEMBERS, Join, Newest, Published
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import Forbidden, StartError, Unavailable, Untrusted
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.kernel.membership import epochs, file, invites
from hyperinfer.kernel.membership.file import MemberFile
from hyperinfer.kernel.membership.invites import Invites
from hyperinfer.kernel.worker import Context

log = structlog.get_logger(__name__)

TICK_S = 0.5
EXTRA_EVERY_S = 60.0
"""How often what goes along with the list is looked at, and the list signed anew if that has changed."""
SIGN_EVERY_S = 3600.0
"""How old a signature gets: a gateway's certificate must not."""
MAX_EXTRA_BYTES = 256 * 1024
MAX_REFUSED = 20
"""Attempts with one invite that are looked at; whoever has it needs one."""
ROLE = "auth"

Extra = Callable[[], Awaitable[Mapping[str, Any]]]
"""Gives what is to go to every member along with the list, by name: anything that JSON can hold."""
Note = Callable[[str, Outcome, Mapping[str, str]], Awaitable[None]]
"""Writes down what was done, how it ended, and details that are no secret."""


async def nothing_extra() -> Mapping[str, Any]:
    """Nothing goes along."""
    return {}


async def note_nowhere(action: str, outcome: Outcome, details: Mapping[str, str]) -> None:
    """Nobody keeps a log of it."""


class Membership:
    """The member list of a swarm, for its auth. `run` keeps it signed and those who watch it told."""

    def __init__(self, context: Context[Any], *, extra: Extra = nothing_extra, note: Note = note_nowhere) -> None:
        self._folder = context.paths.swarm
        self._identity = context.identity
        self._members = context.members
        self._clock = context.clock
        self._extra = extra
        self._note = note
        self._sent_along: dict[str, msgspec.Raw] = {}
        self._issued_at = 0.0
        self._looked_at = 0.0
        self._chunk: bytes | None = None
        self._order = (0, 0)
        self._settled: MemberFile | None = None
        self._changed = asyncio.Event()
        self._ending = False
        self._refused: Counter[bytes] = Counter()
        self.invited = Invites(self._folder, clock=context.clock)
        self._members.on_change(self._take)

    def routes(self) -> Sequence[Route]:
        """`join` and `watchMembers`."""
        return route(JOIN, self.join), route(WATCH_MEMBERS, self.watch)

    def end_watches(self) -> None:
        """Let those who watch go: auth is stopping."""
        self._ending = True
        self._wake()

    # --- what is answered -----------------------------------------------------------------------------------

    async def join(self, request: Join, call: Call) -> Published:
        """Admit the worker that asks by an invite; its connection is cut a moment after the answer."""
        if self._refused[call.caller] >= MAX_REFUSED:
            raise Forbidden("Too many attempts were made with this invite; ask for another.")
        self.invited.part(call.caller)
        details = {"invite": call.caller.hex(), "member": request.public_key}
        try:
            member = await asyncio.to_thread(
                invites.spend, self._folder, call.caller, request, auth=self._identity, now=self._clock.now()
            )
        except Forbidden as error:
            self._refused = Counter({key: self._refused[key] for key in self.invited.keys})
            self._refused[call.caller] += 1
            log.warning("join_refused", reason=error.message, **details)
            await self._noted("member.joined", "refused", details)
            raise
        except StartError as error:
            log.error("join_failed", reason=error.message)
            raise Unavailable("Auth cannot admit anybody now; its operator's log says why.") from error
        log.info("member_joined", name=member.name, roles=member.roles, **details)
        await self._noted("member.joined", "ok", details)
        self._members.refresh()
        self.invited.refresh()
        published = self._members.published
        assert published is not None  # the change that admitted the member was signed
        return published

    async def watch(self, request: Newest, call: Call) -> Nothing:
        """The member list whenever it is newer than the caller's, until auth stops."""
        sent = (request.epoch, request.version)
        while not self._ending:
            changed = self._changed
            if self._chunk is not None and self._order > sent:
                sent = self._order
                await call.stream([self._chunk])
            else:
                await changed.wait()
        return Nothing()

    # --- keeping it signed ----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Be the swarm's auth: be a member, and sign the list anew.

        Raises `StartError` if the swarm's root key has named another.
        """
        await asyncio.to_thread(self._be_a_member)
        self._sent_along = await self._gathered()
        await self._issue()

    async def run(self) -> None:
        """Sign what has changed, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.invited.follow(), name="invites")
            while True:
                await self._clock.sleep(TICK_S)
                try:
                    if await self._is_due():
                        await self._issue()
                except (StartError, Unavailable) as error:
                    # The members keep the list that they have.
                    log.error("member_list_not_signed", reason=error.message)

    async def _is_due(self) -> bool:
        now = self._clock.monotonic()
        if now - self._looked_at >= EXTRA_EVERY_S:
            self._looked_at = now
            gathered = await self._gathered()
            if gathered != self._sent_along:
                self._sent_along = gathered
                return True
        if now - self._issued_at >= SIGN_EVERY_S:
            return True
        held = self._members.held
        if held is self._settled:
            return False
        signed = held.signed
        if signed is None or held.version != self._order[1] or signed.members != held.members:
            return True
        self._settled = held
        return False

    async def _issue(self) -> None:
        issued = await asyncio.to_thread(
            file.issue, self._folder, auth=self._identity, now=self._clock.now(), extra=self._sent_along
        )
        self._issued_at = self._clock.monotonic()
        log.debug("member_list_signed", version=issued.version)
        self._members.refresh()
        self._take()

    async def _noted(self, action: str, outcome: Outcome, details: Mapping[str, str]) -> None:
        try:
            await self._note(action, outcome, details)
        except Unavailable as error:
            log.error("membership_not_noted", action=action, outcome=outcome, reason=error.message, **details)

    async def _gathered(self) -> dict[str, msgspec.Raw]:
        try:
            extra = await self._extra()
        except Unavailable as error:
            log.warning("nothing_sent_along", reason=error.message)
            return self._sent_along
        gathered = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in sorted(extra.items())}
        if sum(len(bytes(value)) for value in gathered.values()) > MAX_EXTRA_BYTES:
            log.error("too_much_to_send_along", names=list(gathered))
            return self._sent_along
        return gathered

    def _be_a_member(self) -> None:
        epochs.name_auth(self._folder, self._identity.public_key)
        key = self._identity.public_key
        if not any(
            one.key == key and ROLE in one.roles and one.revoked is None for one in file.read(self._folder).members
        ):
            member_file.add(self._folder, key, roles=(ROLE,), name=ROLE, now=self._clock.now())

    def _take(self) -> None:
        """Tell those who watch."""
        published = self._members.published
        if published is None:
            return
        try:
            proven = file.prove(self._folder, published)
        except Untrusted as error:
            # Put there by hand, from elsewhere: the list is signed anew as it stands.
            log.warning("member_list_not_ours", reason=error.message)
            return
        if proven.order > self._order:
            self._order, self._chunk = proven.order, msgspec.json.encode(published)
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@asynccontextmanager
async def membership_on(
    context: Context[Any], *, extra: Extra = nothing_extra, note: Note = note_nowhere
) -> AsyncIterator[Membership]:
    """Membership while auth runs. Raises `StartError` if another auth is the swarm's."""
    made = Membership(context, extra=extra, note=note)
    await made.open()
    async with background(made.run(), name="membership"):
        yield made
