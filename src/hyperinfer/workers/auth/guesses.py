"""How often passwords and codes may be guessed: which subjects a try is judged by, and what it means to have to wait.

An attacker elsewhere must not be able to lock a person out. So what fails from addresses that are new to an account holds
up only others that are; an address where that person has logged in before is judged by what failed there, alone.
"""

import ipaddress
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256

from hyperinfer.errors import Conflict, Forbidden, HyperinferError, RateLimited, Unauthenticated
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol.throttle import Policy, Throttle

HERE = Policy(free=5)
"""One account from one address."""
NEW_ADDRESSES = Policy(free=20)
"""One account from all addresses that are new to it."""
OVER_ACCOUNTS = Policy(free=30)
"""One address over all accounts that it is new to: behind it may be a whole office."""
TOLD = Policy(free=10)
"""What one address is told of names, invitations and reset tokens."""
OPENED = Policy(free=100, longest_s=10 * 60.0, forget_s=10 * 60.0)
"""Sessions of one account, opened by who knows the password: every one is a row, and one more that gateways know of."""

IPV6_PREFIX = 64
"""What one subscriber is given at least."""

WRONG: tuple[type[HyperinferError], ...] = (Unauthenticated, Forbidden, Conflict)
"""How a try fails. Any other error says nothing of it."""


class Guesses:
    """Judges tries. Every method raises `RateLimited` where somebody has to wait; details: `retry_after_s`."""

    def __init__(self, clock: Clock) -> None:
        self._throttle = Throttle()
        self._clock = clock

    @contextmanager
    def login(self, account: str, remote: str, *, is_known: bool) -> Iterator[None]:
        """A log-in to an account, by its id or by the name that nobody has, from an address that may be known to it."""
        address, name = address_of(remote), _named(account)
        here = f"here:{name}:{address}"
        subjects = {here: HERE}
        if not is_known:
            subjects |= {f"new:{name}": NEW_ADDRESSES, f"over:{address}": OVER_ACCOUNTS}
        with self._judged(subjects, proven=here):
            yield

    @contextmanager
    def password(self, account: str) -> Iterator[None]:
        """The password again, from who has a session of the account."""
        subject = f"again:{_named(account)}"
        with self._judged({subject: HERE}, proven=subject):
            yield

    @contextmanager
    def telling(self, remote: str) -> Iterator[None]:
        """What necessarily tells a stranger something: whether a name is taken, or a code is right."""
        with self._judged({f"told:{address_of(remote)}": TOLD}, proven=""):
            yield

    def opened(self, account: str) -> None:
        """A session more of an account."""
        self._admit({f"opened:{_named(account)}": OPENED})

    def _admit(self, subjects: Mapping[str, Policy]) -> None:
        wait_s = self._throttle.admit(subjects, self._clock.monotonic())
        if wait_s > 0:
            raise RateLimited("Too many tries; wait before the next one.", retry_after_s=math.ceil(wait_s))

    @contextmanager
    def _judged(self, subjects: Mapping[str, Policy], *, proven: str) -> Iterator[None]:
        self._admit(subjects)
        try:
            yield
        except WRONG:
            raise
        except BaseException:
            self._throttle.undo(subjects)
            raise
        self._throttle.succeeded(subjects, proven=proven)


def address_of(remote: str) -> str:
    """What counts as one address."""
    try:
        address = ipaddress.ip_address(remote)
    except ValueError:
        return remote
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)


def _named(account: str) -> str:
    """An account in few characters, whatever somebody calls it."""
    return sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:32]
