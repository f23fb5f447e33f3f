"""Who speaks in a chat: logging in and out, registering, and the credential itself."""

import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from hyperinfer.cli import secrets
from hyperinfer.cli.conversation.connection import Connection
from hyperinfer.cli.conversation.words import Order
from hyperinfer.cli.gateway import account_at, is_readable, log_in
from hyperinfer.cli.manner import note, say
from hyperinfer.cli.times import minute
from hyperinfer.errors import BadRequest, Forbidden, Unauthenticated
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.protocol import api_keys

IDENTITY = frozenset({"login", "register", "logout", "gettoken", "settoken"})
SEEN = "What you typed can be read on the screen; the word alone asks for it unseen."
KEY_CHARS = len("hi_") + 8

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Identity:
    """Orders that change as whom the chat speaks, or tell it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def obey(self, order: Order, run: Run) -> None:
        """Do what an order says. Raises `BadRequest` for one that is not whole, and what the gateway refuses with."""
        match order.name:
            case "login":
                name, password = self._given(order, "User name or e-mail")
                run(self._log_in(name, password))
            case "register":
                email, password = self._given(order, "E-mail")
                run(self._register(email, password))
            case "logout":
                run(self._connection.change(self._connection.address, ""))
                note("Nobody is logged in here now. `hyperinfer logout` ends the session itself.")
            case "settoken":
                run(self._take(order.text or _asked("API key or token")))
            case _:
                if not self._connection.credential:
                    raise Unauthenticated("Nobody is logged in here.")
                say(self._connection.credential)
                if sys.stdout.isatty():
                    note("Whoever has this acts as you.")

    async def facts(self) -> Sequence[tuple[str, str]]:
        """Where this is, who speaks, and by which credential."""
        connection = self._connection
        who = "nobody"
        if connection.credential:
            try:
                user = await connection.client.account.get()
                who = f"{user.username}, {user.email} ({user.tier})"
            except Forbidden:  # an API key that may not look after the account
                who = f"whoever the key is of ({(await connection.client.usage.quota()).tier})"
        return [("gateway", connection.address), ("user", who), ("by", self._credential())]

    def _credential(self) -> str:
        credential = self._connection.credential
        if api_keys.parse(credential):
            return f"the API key {credential[:KEY_CHARS]}_…"
        if not credential:
            return "nothing"
        try:
            account = account_at(self._connection.address)
        except (Unauthenticated, BadRequest):
            return "a session"
        ends = account.token_ends if account.token == credential else None
        return f"a session until {minute(ends)}" if ends else "a session"

    def _given(self, order: Order, title: str) -> tuple[str, str]:
        if is_readable(self._connection.address):
            note(f"Beware: {self._connection.address} is not encrypted; whoever is on the way reads your password.")
        match order.words:
            case [name, password]:
                if sys.stdin.isatty():
                    note(SEEN)
                return name, password
            case []:
                name = _asked_openly(title)
            case [name]:
                pass
            case _:
                raise BadRequest(f"Type /{order.name} alone, or with a name and a password behind it.")
        return name, secrets.new_password("Password") if order.name == "register" else secrets.password()

    async def _log_in(self, name: str, password: str) -> None:
        account = await log_in(self._connection.address, name, password)
        await self._connection.change(account.gateway, account.to_models(SystemClock().now()))
        note(f"Logged in to {account.gateway} as {account.username}.")

    async def _register(self, email: str, password: str) -> None:
        from hyperinfer.cli.register import begin

        made, account = await begin(self._connection.address, email=email, password=password)
        await self._connection.change(account.gateway, account.to_models(SystemClock().now()))
        note(f"Registered at {account.gateway} as {made.username}, and logged in.")

    async def _take(self, credential: str) -> None:
        if api_keys.parse(credential) is None and credential.count(".") != 2:
            raise BadRequest("This is neither an API key, which begins with hi_, nor the token of a session.")
        before = self._connection.credential
        await self._connection.change(self._connection.address, credential)
        try:
            await self._connection.client.models.list()
        except Forbidden:
            pass  # it is valid, and for other things than models
        except Unauthenticated:
            await self._connection.change(self._connection.address, before)
            raise
        note("This chat asks with it from now on; your profile does not hold it.")


def _asked(title: str) -> str:
    return secrets.password(title).strip()


def _asked_openly(title: str) -> str:
    return secrets.line(title).strip()
