"""What the bridge may lend: the credential that this person's profile holds for one gateway, and for no other."""

from collections.abc import Callable
from pathlib import Path

from hyperinfer.cli import places
from hyperinfer.errors import HyperinferError, StartError, Unauthenticated
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.sdk import profile
from hyperinfer.sdk.profile import Account


def lender(link: str) -> Callable[[], str]:
    """What the profile holds for the gateway of a link, or without one for that of this machine's own `hyperinfer up`.

    Raises `StartError` if that is nothing.
    """
    account = _account(link)
    if account is None:
        where = link or "the gateway of this machine"
        raise StartError(
            f"use_local_session lends what your profile holds for {where}, and it holds nothing. Log in there first: "
            f"`hyperinfer login{f' --gateway {link}' if link else ''}`."
        )
    return _Lent(link, account)


class _Lent:
    """The credential as the profile has it now: other commands renew and change it."""

    def __init__(self, link: str, account: Account) -> None:
        self._link = link
        self._account: Account | None = account
        self._file = profile.path()
        self._stamp = _stamp(self._file)

    def __call__(self) -> str:
        """The credential; empty where there is none any more."""
        if (stamp := _stamp(self._file)) != self._stamp:
            self._stamp = stamp
            try:
                self._account = _account(self._link)
            except HyperinferError:
                self._account = None
        try:
            return self._account.to_models(SystemClock().now()) if self._account else ""
        except Unauthenticated:
            return ""


def _account(link: str) -> Account | None:
    held = profile.load()
    if not link:
        return held.of_data(str(places.paths(places.load("auth")).data))
    return held.at(link)


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino
