"""Auth's methods: the contract's requests, counted, with where they come from, and handed to who answers them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts import directory, people
from hyperinfer.contracts.acting import As, at_auth
from hyperinfer.contracts.directory import Changes, Since
from hyperinfer.contracts.method import Method, Nothing
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.auth.meters import Meters
from hyperinfer.workers.auth.origin import Origin, origin_of
from hyperinfer.workers.auth.parts import Parts

Q = TypeVar("Q")
R = TypeVar("R")

Answer = Callable[[Q, Origin], Awaitable[R]]
"""Answers a request that has this origin."""

_encoder = msgspec.json.Encoder()


def routes(parts: Parts, meters: Meters) -> Sequence[Route]:
    """Every method of the contracts."""
    return (*_own(parts, meters), *_passed_on(parts, meters))


def _own(parts: Parts, meters: Meters) -> Sequence[Route]:
    """What gateways ask for themselves and for strangers."""

    def counted(method: Method[Q, R], answer: Answer[Q, R]) -> Route:
        async def handler(request: Q, call: Call) -> R:
            with meters.counted(method):
                return await answer(request, origin_of(call))

        return route(method, handler)

    async def verify_session(request: contract.Credential, _origin: Origin) -> contract.Validated:
        return await parts.sessions.verify(request.key)

    async def validate(request: contract.Credential, _origin: Origin) -> contract.Validated:
        return await parts.keys.validate(request.key)

    async def jwks(_request: Nothing, _origin: Origin) -> contract.Jwks:
        return await parts.signing.jwks()

    async def get(request: Since, _origin: Origin) -> Changes:
        return await parts.feed.since(request)

    async def watch(request: Since, call: Call) -> Nothing:
        with meters.counted(directory.WATCH_DIRECTORY):
            async for page in parts.feed.watch(request):
                await call.stream([_encoder.encode(page)])
        return Nothing()

    return (
        counted(contract.REGISTER, parts.registration.register),
        counted(contract.LOGIN, parts.sessions.login),
        counted(contract.VERIFY_SESSION, verify_session),
        counted(contract.VALIDATE_API_KEY, validate),
        counted(contract.RESET, parts.resets.use),
        counted(contract.JWKS, jwks),
        counted(directory.GET_DIRECTORY, get),
        route(directory.WATCH_DIRECTORY, watch),
    )


def _passed_on(parts: Parts, meters: Meters) -> Sequence[Route]:
    """What gateways pass on for people."""

    def counted(method: Method[Q, R], answer: Answer[Q, R]) -> Route:
        async def handler(request: As[Q], call: Call) -> R:
            with meters.counted(method):
                return await answer(request.wanted, origin_of(call, request.actor))

        return route(at_auth(method), handler)

    own, admin = parts.accounts, parts.administration
    return (
        counted(people.GET_ACCOUNT, own.get),
        counted(people.UPDATE_ACCOUNT, own.update),
        counted(people.CHANGE_PASSWORD, own.change_password),
        counted(people.DELETE_ACCOUNT, own.delete),
        counted(people.EXPORT_ACCOUNT, own.export),
        counted(people.REFRESH, parts.sessions.refresh),
        counted(people.LOGOUT, parts.sessions.logout),
        counted(people.LIST_SESSIONS, parts.sessions.listed),
        counted(people.END_SESSIONS, parts.sessions.end),
        counted(people.GENERATE_API_KEY, parts.keys.generate),
        counted(people.LIST_API_KEYS, parts.keys.listed),
        counted(people.UPDATE_API_KEY, parts.keys.update),
        counted(people.ROTATE_API_KEY, parts.keys.rotate),
        counted(people.REVOKE_API_KEY, parts.keys.revoke),
        counted(people.LIST_ACCOUNTS, admin.find),
        counted(people.SHOW_ACCOUNT, admin.show),
        counted(people.CREATE_ACCOUNT, admin.create),
        counted(people.CHANGE_ACCOUNT, admin.change),
        counted(people.REMOVE_ACCOUNT, admin.remove),
        counted(people.LIST_TIERS, admin.list_tiers),
        counted(people.ISSUE_RESET, parts.resets.issue),
        counted(people.INVITE_PERSON, parts.invitations.invite),
        counted(people.LIST_PERSON_INVITES, parts.invitations.listed),
        counted(people.REVOKE_PERSON_INVITE, parts.invitations.revoke),
    )
