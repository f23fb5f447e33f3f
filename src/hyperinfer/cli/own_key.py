"""The administrator of this machine's own swarm, and the API key that the local profile holds for it."""

from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from hyperinfer.contracts.gateway import LIST_MODELS, PublicModel
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.errors import Unauthenticated
from hyperinfer.kernel.calls import Caller
from hyperinfer.sdk import profile
from hyperinfer.sdk.profile import Account
from hyperinfer.workers.auth import admin
from hyperinfer.workers.auth.config import AuthSettings

KEY_NAME = "hyperinfer up"


@dataclass(frozen=True, slots=True)
class Own:
    """How the administrator gets in. `password` is there when the account has just been made."""

    name: str
    password: str = field(default="", repr=False)
    key: str = field(default="", repr=False)


async def first_admin(data: Path, settings: AuthSettings) -> Own:
    """Make the administrator if there is none; otherwise give the key that the profile holds, which may be stale."""
    if not await admin.has_admin(data, settings):
        made = await admin.create_admin(data, settings)
        return Own(made.account.username, made.password, made.key or "")
    known = profile.load().of_data(str(data))
    return Own(known.username if known else admin.ADMIN_NAME, key=known.api_key if known else "")


async def models_by_key(gateway: Caller, key: str) -> tuple[PublicModel, ...] | None:
    """The models that this key can use; nothing where the key is not valid."""
    if not key:
        return None
    try:
        return (await gateway.call(LIST_MODELS, Nothing(), meta=Meta(key=key))).models
    except Unauthenticated:
        return None


async def renewed(own: Own, data: Path, settings: AuthSettings) -> Own:
    """The same with a new key."""
    return Own(own.name, own.password, await admin.admin_key(data, settings, name=KEY_NAME) or "")


def keep(own: Own, data: Path, gateway: str) -> None:
    """Keep the key in the profile, as the account that other commands use from now on, with the session that it may have."""
    known = None if own.password else profile.load().of_data(str(data))
    account = known or Account(gateway=gateway, data_dir=str(data))
    profile.save(replace(account, gateway=gateway, username=own.name, api_key=own.key))
