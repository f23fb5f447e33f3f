"""Auth's methods: the contract's requests, with where they come from, and handed to who answers them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts import directory, people
from hyperinfer.contracts.acting import As, at_auth
from hyperinfer.contracts.directory import Changes, Since
from hyperinfer.contracts.method import Method, Nothing
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.auth.origin import Origin, origin_of
from hyperinfer.workers.auth.parts import Parts

Q = TypeVar("Q")
R = TypeVar("R")

Answer = Callable[[Q, Origin], Awaitable[R]]
"""Answers a request that has this origin."""

_encoder = msgspec.json.Encoder()


def routes(parts: Parts) -> Sequence[Route]:
    """Every method of the contracts."""
    return (*_own(parts), *_passed_on(parts))


def _own(parts: Parts) -> Sequence[Route]:
    """What gateways ask for themselves and for strangers."""

    def asked(method: Method[Q, R], answer: Answer[Q, R]) -> Route:
        async def handler(request: Q, call: Call) -> R:
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
        async for page in parts.feed.watch(request):
            await call.stream([_encoder.encode(page)])
        return Nothing()

    return (
        asked(contract.REGISTER, parts.registration.register),
        asked(contract.LOGIN, parts.sessions.login),
        asked(contract.VERIFY_SESSION, verify_session),
        asked(contract.VALIDATE_API_KEY, validate),
        asked(contract.RESET, parts.resets.use),
        asked(contract.JWKS, jwks),
        asked(directory.GET_DIRECTORY, get),
        route(directory.WATCH_DIRECTORY, watch),
    )


def _passed_on(parts: Parts) -> Sequence[Route]:
    """What gateways pass on for people."""

    def asked(method: Method[Q, R], answer: Answer[Q, R]) -> Route:
        async def handler(request: As[Q], call: Call) -> R:
            return await answer(request.wanted, origin_of(call, request.actor))

        return route(at_auth(method), handler)

    own, admin = parts.accounts, parts.administration
    return (
        asked(people.GET_ACCOUNT, own.get),
        asked(people.UPDATE_ACCOUNT, own.update),
        asked(people.CHANGE_PASSWORD, own.change_password),
        asked(people.DELETE_ACCOUNT, own.delete),
        asked(people.EXPORT_ACCOUNT, own.export),
        asked(people.REFRESH, parts.sessions.refresh),
        asked(people.LOGOUT, parts.sessions.logout),
        asked(people.LIST_SESSIONS, parts.sessions.listed),
        asked(people.END_SESSIONS, parts.sessions.end),
        asked(people.GENERATE_API_KEY, parts.keys.generate),
        asked(people.LIST_API_KEYS, parts.keys.listed),
        asked(people.UPDATE_API_KEY, parts.keys.update),
        asked(people.ROTATE_API_KEY, parts.keys.rotate),
        asked(people.REVOKE_API_KEY, parts.keys.revoke),
        asked(people.LIST_ACCOUNTS, admin.find),
        asked(people.SHOW_ACCOUNT, admin.show),
        asked(people.CREATE_ACCOUNT, admin.create),
        asked(people.CHANGE_ACCOUNT, admin.change),
        asked(people.REMOVE_ACCOUNT, admin.remove),
        asked(people.LIST_TIERS, admin.list_tiers),
        asked(people.ISSUE_RESET, parts.resets.issue),
        asked(people.INVITE_PERSON, parts.invitations.invite),
        asked(people.LIST_PERSON_INVITES, parts.invitations.listed),
        asked(people.REVOKE_PERSON_INVITE, parts.invitations.revoke),
    )
