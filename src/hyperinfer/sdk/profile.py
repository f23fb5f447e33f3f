"""The local profile: which gateways this person uses, and as whom. One file, readable by its owner only.

A credential belongs to one gateway and is never shown to another.
"""

import os
import stat
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from msgspec.structs import replace

from hyperinfer.errors import BadRequest, IdentityError, Unauthenticated, Unavailable
from hyperinfer.kernel import config
from hyperinfer.kernel.files import write_atomic
from hyperinfer.sdk.people import Session
from hyperinfer.sdk.requests import base_url

FILE = "profile.json"
MAX_ACCOUNTS = 32
LOCK_TIMEOUT_S = 5.0

chosen: ContextVar[str] = ContextVar("profile", default="")
"""The name of the account to use, where somebody has said one: `hyperinfer --profile NAME`."""


class Account(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A way into one gateway: an API key, a session, or both.

    `token` is that of the session, `token_began` and `token_ends` its times. `data_dir` is set for the gateway of a
    `hyperinfer up` on this machine, whose address may change between starts. `profile` is the name that its owner may have
    given it, which no other has.
    """

    gateway: str
    profile: str = ""
    username: str = ""
    api_key: str = ""
    token: str = ""
    token_began: datetime | None = None
    token_ends: datetime | None = None
    data_dir: str = ""

    def to_models(self, now: datetime) -> str:
        """What is presented to ask models: the API key if there is one. Raises `Unauthenticated` as `session`."""
        return self.api_key or self.session(now)

    def to_account(self, now: datetime) -> str:
        """What is presented to look after the account: the session if there is one. Raises `Unauthenticated` as it does."""
        return self.session(now) if self.token or not self.api_key else self.api_key

    def session(self, now: datetime) -> str:
        """The session's token. Raises `Unauthenticated` if there is none, or it has ended."""
        log_in = f"`hyperinfer login --gateway {self.gateway}{f' {self.username}' if self.username else ''}`"
        if not self.token:
            why = "This takes a session, not an API key" if self.api_key else f"You are not logged in at {self.gateway}"
            raise Unauthenticated(f"{why}. Log in first: {log_in}.")
        if self.token_ends is not None and self.token_ends <= now:
            raise Unauthenticated(f"Your session at {self.gateway} has ended. Log in again: {log_in}.")
        return self.token

    def is_to_renew(self, now: datetime) -> bool:
        """Whether more than half of the session's life is over, and not all of it."""
        if not self.token or self.token_began is None or self.token_ends is None:
            return False
        return self.token_began + (self.token_ends - self.token_began) / 2 < now < self.token_ends

    def in_session(self, session: Session, now: datetime) -> "Account":
        """The same with a session that has just been opened or renewed."""
        return replace(
            self,
            username=session.user.username,
            token=session.access_token,
            token_began=now,
            token_ends=now + timedelta(seconds=session.expires_in),
        )

    def logged_out(self) -> "Account":
        """The same without its session."""
        return replace(self, token="", token_began=None, token_ends=None)

    def with_key(self, api_key: str) -> "Account":
        """The same with another API key, or none."""
        return replace(self, api_key=api_key)

    def emptied(self) -> "Account":
        """The same without any credential. It stays the one that is used, so that nobody acts as another unawares."""
        return self.logged_out().with_key("")

    def renamed(self, username: str) -> "Account":
        """The same under another name."""
        return replace(self, username=username)

    def called(self, profile: str) -> "Account":
        """The same under another name of its owner's, or none."""
        return replace(self, profile=profile)

    def __repr__(self) -> str:
        """Without credentials."""
        return f"Account(gateway={self.gateway!r}, username={self.username!r})"


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    """Accounts, the one used last first."""

    accounts: tuple[Account, ...] = ()

    @property
    def current(self) -> Account | None:
        """The account to use where no gateway is named."""
        return self.accounts[0] if self.accounts else None

    def at(self, gateway: str, username: str | None = None) -> Account | None:
        """The account used last at a gateway, or the one of that name."""
        found = (one for one in self.accounts if one.gateway == gateway)
        return next((one for one in found if username in (None, one.username)), None)

    def named(self, name: str) -> Account | None:
        """The account that its owner calls so."""
        return next((one for one in self.accounts if name and one.profile == name), None)

    def of_data(self, data_dir: str) -> Account | None:
        """The account of this machine's own `hyperinfer up` on a data folder."""
        return next((one for one in self.accounts if one.data_dir == data_dir), None)

    def using(self, account: Account) -> "Profile":
        """The profile with this account as the current one; it takes the place of the one it renews, and its name."""
        others = (one for one in self.accounts if _identity(one) != _identity(account))
        unnamed = (one.called("") if one.profile == account.profile else one for one in others)
        return Profile((account, *unnamed)[:MAX_ACCOUNTS])

    def without(self, account: Account) -> "Profile":
        """The profile without an account."""
        return Profile(tuple(one for one in self.accounts if _identity(one) != _identity(account)))

    def keeping(self, before: Account, after: Account) -> "Profile":
        """The profile with what has become of an account in its place; one that is not there any more is not added."""
        old, new = _identity(before), _identity(after)
        others = (one for one in self.accounts if old == new or _identity(one) != new)
        return Profile(tuple(after if _identity(one) == old else one for one in others))


def _identity(account: Account) -> tuple[str, str]:
    return (account.data_dir, "") if account.data_dir else (account.gateway, account.username)


def path() -> Path:
    """Where the profile is: `hyperinfer/profile.json` in the user's folder for configuration."""
    from platformdirs import user_config_path

    return user_config_path("hyperinfer", appauthor=False) / FILE


def load(file: Path | None = None) -> Profile:
    """The profile, empty where there is none. Raises `IdentityError` if others can read it or it is damaged."""
    file = file or path()
    try:
        mode = file.stat().st_mode
        content = file.read_bytes()
    except FileNotFoundError:
        return Profile()
    except OSError as error:
        raise IdentityError(f"Cannot read your profile {file}: {error.strerror}.") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise IdentityError(f"Others can read your profile {file}; run: chmod 600 {file}")
    try:
        return msgspec.json.decode(content, type=Profile)
    except msgspec.DecodeError as error:
        raise IdentityError(f"Your profile {file} is damaged ({error}); move it away and log in again.") from error


def save(account: Account, file: Path | None = None) -> None:
    """Make an account the current one, under the name that is chosen if one is.

    Raises `IdentityError` as `load` does, `Unavailable` if it cannot be written.
    """
    account = account.called(chosen.get() or account.profile)
    _change(lambda profile: profile.using(account), file)


def remove(account: Account, file: Path | None = None) -> None:
    """Forget an account and its credentials here. Raises as `save`."""
    _change(lambda profile: profile.without(account), file)


def keep(before: Account, after: Account, file: Path | None = None) -> None:
    """Keep what has become of an account, whichever is the current one. Raises as `save`."""
    _change(lambda profile: profile.keeping(before, after), file)


def _change(change: Callable[[Profile], Profile], file: Path | None) -> None:
    from filelock import FileLock, Timeout

    file = file or path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=LOCK_TIMEOUT_S):
            content = msgspec.json.encode(change(load(file)))
            write_atomic(file, msgspec.json.format(content, indent=2) + b"\n", mode=0o600)
    except Timeout as error:
        raise Unavailable(f"Another program holds your profile {file}.") from error
    except OSError as error:
        raise Unavailable(f"Cannot write your profile {file}: {error.strerror}.") from error


def account_for(gateway: str | None, file: Path | None = None) -> Account:
    """The account to use: the one that is chosen by its name, that of a gateway, that of the environment (`HYPERINFER_GATEWAY`
    with `HYPERINFER_API_KEY`, or `HYPERINFER_PROFILE`), or the current one, in this order.

    Raises `Unauthenticated` if there is none, `BadRequest` where name and gateway contradict each other.
    """
    profile = load(file)
    if name := chosen.get():
        account = _named(profile, name)
        if gateway not in (None, account.gateway):
            raise BadRequest(f"Your profile {name} is at {account.gateway}, not at {gateway}.")
        return account
    named, key = config.gateway()
    address = base_url(named) if named else None
    if address and key and gateway in (None, address):
        return Account(gateway=address, api_key=key)
    gateway = gateway or address
    if gateway is not None:
        known = profile.at(gateway)
        if known is None:
            raise Unauthenticated(f"You have no account at {gateway} here. Run `hyperinfer login --gateway {gateway}`.")
        return known
    if wanted := config.profile():
        return _named(profile, wanted)
    if profile.current is None:
        raise Unauthenticated("No gateway is known here yet. Run `hyperinfer up`, or `hyperinfer login --gateway URL`.")
    return profile.current


def _named(profile: Profile, name: str) -> Account:
    account = profile.named(name)
    if account is None:
        raise Unauthenticated(f"You have no profile {name!r}. `hyperinfer profile list` shows those that you have.")
    return account
