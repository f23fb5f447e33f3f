"""Ways into a gateway: its address, and what is presented there for what. A credential goes nowhere but to its own gateway."""

from dataclasses import dataclass

from hyperinfer.facilities.clock import SystemClock
from hyperinfer.kernel import config
from hyperinfer.sdk import profile
from hyperinfer.sdk.calls import Credential
from hyperinfer.sdk.profile import Account
from hyperinfer.sdk.requests import base_url


@dataclass(frozen=True, slots=True)
class Way:
    """Where to, and the credentials to ask models and to look after the account."""

    gateway: str
    to_models: Credential
    to_account: Credential


def way_to(address: str | None, key: str | None) -> Way:
    """The way that somebody means, who may leave out either or both. Raises `Unauthenticated` if nothing is known.

    What the environment says comes before the profile; its key is for its own gateway, if it names one.
    """
    named, its_key = config.gateway()
    if address is None:
        address = named
    if key is None and (named is None or address is None or base_url(named) == base_url(address)):
        key = its_key
    if address is None:
        account = profile.account_for(None)
        return _with(account.gateway, key) if key is not None else _as(account)
    address = base_url(address)
    if key is not None:
        return _with(address, key)
    known = profile.load().at(address)
    return _as(known) if known else _with(address, "")


def _with(gateway: str, key: str) -> Way:
    return Way(gateway, lambda: key, lambda: key)


def _as(account: Account) -> Way:
    clock = SystemClock()
    return Way(account.gateway, lambda: account.to_models(clock.now()), lambda: account.to_account(clock.now()))
