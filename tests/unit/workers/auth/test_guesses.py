"""How often passwords and codes may be guessed."""

from contextlib import suppress

import pytest

from hyperinfer.errors import RateLimited, Unauthenticated, Unavailable
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.auth.guesses import HERE, NEW_ADDRESSES, OPENED, OVER_ACCOUNTS, TOLD, Guesses, address_of

HOUR_S = 3600.0
ELSEWHERE = [f"198.51.100.{number}" for number in range(1, 250)]


class Door:
    """Tries to log in, by a clock that the test turns."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.guesses = Guesses(self.clock)

    def knock(self, account: str, remote: str, *, right: bool = False, is_known: bool = False) -> bool:
        """Whether a try was let in, right or wrong."""
        try:
            with suppress(Unauthenticated), self.guesses.login(account, remote, is_known=is_known):
                if not right:
                    raise Unauthenticated("wrong")
        except RateLimited:
            return False
        return True


def test_a_wait_is_told_and_grows_to_a_quarter_of_an_hour() -> None:
    door, waits = Door(), list[int]()
    for _ in range(HERE.free):
        assert door.knock("ada", "192.0.2.1")
    while len(waits) < 12:
        with pytest.raises(RateLimited) as caught, door.guesses.login("ada", "192.0.2.1", is_known=False):
            pass
        waits.append(caught.value.details["retry_after_s"])
        door.clock.advance(waits[-1] - 1)
        assert not door.knock("ada", "192.0.2.1")
        door.clock.advance(1)
        assert door.knock("ada", "192.0.2.1")
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == 15 * 60


def test_the_right_password_ends_it() -> None:
    door = Door()
    for _ in range(HERE.free - 1):
        assert door.knock("ada", "192.0.2.1")
    assert door.knock("ada", "192.0.2.1", right=True)
    for _ in range(HERE.free):
        assert door.knock("ada", "192.0.2.1")
    assert not door.knock("ada", "192.0.2.1")


def test_an_attacker_from_everywhere_never_locks_a_person_out_at_home() -> None:
    door = Door()
    for _ in range(3):
        for remote in ELSEWHERE:
            door.knock("ada", remote)
        assert door.knock("ada", "192.0.2.1", right=True, is_known=True)
        door.clock.advance(60)


def test_an_attacker_from_everywhere_is_held_up_all_the_same() -> None:
    door = Door()
    tries = 0
    for _ in range(24):
        tries += sum(door.knock("ada", remote) for remote in ELSEWHERE)
        door.clock.advance(HOUR_S / 4)
    assert tries <= NEW_ADDRESSES.free + 24


def test_one_address_over_many_accounts_is_held_up_but_not_who_is_known_there() -> None:
    door = Door()
    let_in = sum(door.knock(f"person {number}", "198.51.100.7") for number in range(200))
    assert let_in == OVER_ACCOUNTS.free
    assert not door.knock("ada", "198.51.100.7", right=True)
    assert door.knock("ada", "198.51.100.7", right=True, is_known=True)
    assert door.knock("ada", "192.0.2.1", right=True)


def test_logging_in_to_ones_own_account_buys_no_further_tries() -> None:
    door = Door()
    let_in = 0
    for _ in range(100):
        door.knock("eve", "198.51.100.7", right=True)
        let_in += door.knock("ada", "198.51.100.7")
    assert let_in == HERE.free


def test_many_at_once_gain_nothing() -> None:
    door = Door()
    begun = []
    for _ in range(50):
        context = door.guesses.login("ada", "192.0.2.1", is_known=False)
        with suppress(RateLimited):
            context.__enter__()
            begun.append(context)
    assert len(begun) == HERE.free
    for context in begun:
        context.__exit__(Unauthenticated, Unauthenticated("wrong"), None)


def test_a_try_that_came_to_nothing_does_not_count() -> None:
    door = Door()
    for _ in range(10 * HERE.free):
        with pytest.raises(Unavailable), door.guesses.login("ada", "192.0.2.1", is_known=False):
            raise Unavailable("the database is away")
    assert door.knock("ada", "192.0.2.1")


def test_it_is_forgotten_in_time() -> None:
    door = Door()
    for _ in range(HERE.free):
        door.knock("ada", "192.0.2.1")
    assert not door.knock("ada", "192.0.2.1")
    door.clock.advance(HERE.forget_s)
    for _ in range(HERE.free):
        assert door.knock("ada", "192.0.2.1")


def test_who_holds_a_session_guesses_the_password_no_faster() -> None:
    door = Door()
    for _ in range(HERE.free):
        with pytest.raises(Unauthenticated), door.guesses.password("ada"):
            raise Unauthenticated("wrong")
    with pytest.raises(RateLimited), door.guesses.password("ada"):
        pass
    with door.guesses.password("bob"):
        pass


def test_what_strangers_are_told_is_bounded_by_address() -> None:
    door = Door()
    for _ in range(TOLD.free):
        with pytest.raises(Unauthenticated), door.guesses.telling("192.0.2.1"):
            raise Unauthenticated("taken")
    with pytest.raises(RateLimited), door.guesses.telling("192.0.2.1"):
        pass
    with door.guesses.telling("192.0.2.2"):
        pass


def test_sessions_of_one_account_are_bounded_too() -> None:
    door = Door()
    for _ in range(OPENED.free):
        door.guesses.opened("ada")
    with pytest.raises(RateLimited):
        door.guesses.opened("ada")
    door.guesses.opened("bob")


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("peer 0123", "peer 0123"),
        ("", ""),
    ],
)
def test_one_subscriber_is_one_address(remote: str, address: str) -> None:
    assert address_of(remote) == address
