import pytest

from hyperinfer.facilities.net.settings import NetSettings


@pytest.mark.parametrize(
    ("bootstrap", "behind_router"),
    [
        (None, True),
        (("127.0.0.1:49737",), False),
        (("192.168.1.10:49737", "10.0.0.1:1"), False),
        (("100.64.0.7:49737",), False),
        (("192.168.1.10:49737", "203.0.113.1:49737"), True),
        (("203.0.113.1:49737",), True),
        (("node1.example.org:49737",), True),
        (("nonsense",), True),
        (("",), True),
    ],
)
def test_a_dht_of_ones_own_site_has_no_router_between(bootstrap: tuple[str, ...] | None, behind_router: bool) -> None:
    assert NetSettings(bootstrap=bootstrap).behind_router is behind_router


@pytest.mark.parametrize("said", [True, False])
def test_what_an_operator_says_holds(said: bool) -> None:
    assert NetSettings(bootstrap=("127.0.0.1:1",), firewalled=said).behind_router is said
    assert NetSettings(firewalled=said).behind_router is said
