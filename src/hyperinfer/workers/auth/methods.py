"""Auth's methods: the contract's requests, counted and handed to the service."""

from collections.abc import Awaitable, Callable, Sequence

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts import people
from hyperinfer.contracts.acting import As, at_auth
from hyperinfer.contracts.method import Method, Nothing, Reply, Request
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.auth.keys import Keys
from hyperinfer.workers.auth.meters import Meters
from hyperinfer.workers.auth.service import AuthService


def routes(service: AuthService, keys: Keys, meters: Meters) -> Sequence[Route]:
    """Every method of the contract."""

    def counted(method: Method[Request, Reply], answer: Callable[[Request], Awaitable[Reply]]) -> Route:
        async def handler(request: Request, call: Call) -> Reply:
            with meters.counted(method):
                return await answer(request)

        return route(method, handler)

    async def verify_session(request: contract.Credential) -> contract.Validated:
        return await service.verify_session(request.key)

    async def validate(request: contract.Credential) -> contract.Validated:
        return await keys.validate(request.key)

    async def generate(request: As[people.GenerateApiKey]) -> people.NewApiKey:
        return await keys.generate(request.actor.user_id, request.wanted.name)

    async def list_keys(request: As[Nothing]) -> people.ApiKeys:
        return people.ApiKeys(keys=await keys.of(request.actor.user_id))

    async def revoke(request: As[people.OfKey]) -> people.ApiKey:
        return await keys.revoke(request.actor.user_id, request.wanted.id)

    async def jwks(request: Nothing) -> contract.Jwks:
        return service.jwks()

    return (
        counted(contract.REGISTER, service.register),
        counted(contract.LOGIN, service.login),
        counted(contract.VERIFY_SESSION, verify_session),
        counted(contract.VALIDATE_API_KEY, validate),
        counted(at_auth(people.GENERATE_API_KEY), generate),
        counted(at_auth(people.LIST_API_KEYS), list_keys),
        counted(at_auth(people.REVOKE_API_KEY), revoke),
        counted(contract.JWKS, jwks),
    )
