"""Auth's methods: the contract's requests, handed to the service."""

from collections.abc import Sequence

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts.method import Nothing
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.auth.meters import Meters
from hyperinfer.workers.auth.service import AuthService


class AuthMethods:
    """The handlers, and what they count."""

    def __init__(self, service: AuthService, meters: Meters) -> None:
        self._service = service
        self._meters = meters

    def routes(self) -> Sequence[Route]:
        """Every method of the contract."""
        return (
            route(contract.REGISTER, self.register),
            route(contract.LOGIN, self.login),
            route(contract.VERIFY_SESSION, self.verify_session),
            route(contract.VALIDATE_API_KEY, self.validate_api_key),
            route(contract.GENERATE_API_KEY, self.generate_api_key),
            route(contract.LIST_API_KEYS, self.list_api_keys),
            route(contract.REVOKE_API_KEY, self.revoke_api_key),
            route(contract.JWKS, self.jwks),
        )

    async def register(self, request: contract.Register, call: Call) -> contract.Registered:
        """A new account; nobody becomes an administrator by asking."""
        with self._meters.counted("register"):
            return await self._service.register(request)

    async def login(self, request: contract.Login, call: Call) -> contract.Session:
        """A new session."""
        with self._meters.counted("login"):
            return await self._service.login(request)

    async def verify_session(self, request: contract.Credential, call: Call) -> contract.Validated:
        """Whose session it is."""
        with self._meters.counted("verify_session"):
            return await self._service.verify_session(request.key)

    async def validate_api_key(self, request: contract.Credential, call: Call) -> contract.Validated:
        """Whose key it is."""
        with self._meters.counted("validate_api_key"):
            return await self._service.validate_key(request.key)

    async def generate_api_key(self, request: contract.GenerateApiKey, call: Call) -> contract.NewApiKey:
        """A new key."""
        with self._meters.counted("generate_api_key"):
            return await self._service.generate_key(request.user_id, request.name)

    async def list_api_keys(self, request: contract.OfUser, call: Call) -> contract.ApiKeys:
        """A user's keys."""
        return contract.ApiKeys(keys=await self._service.list_keys(request.user_id))

    async def revoke_api_key(self, request: contract.RevokeApiKey, call: Call) -> contract.ApiKey:
        """End a key."""
        with self._meters.counted("revoke_api_key"):
            return await self._service.revoke_key(request.user_id, request.id)

    async def jwks(self, request: Nothing, call: Call) -> contract.Jwks:
        """The keys that verify sessions."""
        return self._service.jwks()
