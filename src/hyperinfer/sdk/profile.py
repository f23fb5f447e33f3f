"""The local profile: which gateways this person uses, and as whom. One file, readable by its owner only.

A credential belongs to one gateway and is never shown to another.
"""

import os
import stat
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout
from platformdirs import user_config_path

from hyperinfer.errors import IdentityError, Unauthenticated, Unavailable
from hyperinfer.kernel.files import write_atomic
from hyperinfer.sdk.replies import Session

FILE = "profile.json"
MAX_ACCOUNTS = 32
LOCK_TIMEOUT_S = 5.0


class Account(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A way into one gateway: an API key, or the token of a session and when it ends.

    `data_dir` is set for the gateway of a `hyperinfer up` on this machine, whose address may change between starts.
    """

    gateway: str
    username: str = ""
    api_key: str = ""
    token: str = ""
    token_ends: datetime | None = None
    data_dir: str = ""

    def credential(self, now: datetime) -> str:
        """What is presented to the gateway. Raises `Unauthenticated` if the session has ended."""
        if self.token and self.token_ends is not None and self.token_ends <= now:
            raise Unauthenticated(f"Your session at {self.gateway} has ended. Run `hyperinfer login` again.")
        return self.token or self.api_key

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

    def at(self, gateway: str) -> Account | None:
        """The account used last at a gateway."""
        return next((one for one in self.accounts if one.gateway == gateway), None)

    def of_data(self, data_dir: str) -> Account | None:
        """The account of this machine's own `hyperinfer up` on a data folder."""
        return next((one for one in self.accounts if one.data_dir == data_dir), None)

    def using(self, account: Account) -> "Profile":
        """The profile with this account as the current one; it takes the place of the one it renews."""
        others = (one for one in self.accounts if _identity(one) != _identity(account))
        return Profile((account, *others)[:MAX_ACCOUNTS])


def _identity(account: Account) -> tuple[str, str]:
    return (account.data_dir, "") if account.data_dir else (account.gateway, account.username)


def of_session(gateway: str, session: Session, now: datetime) -> Account:
    """The account that a log-in gives."""
    return Account(
        gateway=gateway,
        username=session.user.username,
        token=session.access_token,
        token_ends=now + timedelta(seconds=session.expires_in),
    )


def path() -> Path:
    """Where the profile is: `hyperinfer/profile.json` in the user's folder for configuration."""
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
    """Make an account the current one. Raises `IdentityError` as `load` does, `Unavailable` if it cannot be written."""
    file = file or path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=LOCK_TIMEOUT_S):
            content = msgspec.json.encode(load(file).using(account))
            write_atomic(file, msgspec.json.format(content, indent=2) + b"\n", mode=0o600)
    except Timeout as error:
        raise Unavailable(f"Another program holds your profile {file}.") from error
    except OSError as error:
        raise Unavailable(f"Cannot write your profile {file}: {error.strerror}.") from error


def account_for(gateway: str | None, file: Path | None = None) -> Account:
    """The account to use at a gateway, or the current one. Raises `Unauthenticated` if there is none."""
    profile = load(file)
    if gateway is None:
        if profile.current is None:
            raise Unauthenticated(
                "No gateway is known here yet. Run `hyperinfer up`, or `hyperinfer login --gateway URL`."
            )
        return profile.current
    account = profile.at(gateway)
    if account is None:
        raise Unauthenticated(f"You have no key for {gateway} here. Run `hyperinfer login --gateway {gateway}`.")
    return account
