"""Networks of our own: an internet of one segment, and homes behind routers whose NAT lets nothing in by itself.

Every namespace has a name of its own and is removed at the end, whatever happened; nothing of this machine's network changes.
"""

import ipaddress
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

INTERNET = ipaddress.ip_network("203.0.113.0/24")
"""Addresses that are documentation's (RFC 5737), so that nothing real is ever meant."""
HOME = "192.168.1"
"""Every home has the same addresses inside, as in life."""

NAT = """
table ip nat {{
  chain out {{ type nat hook postrouting priority srcnat; oifname "wan" {masquerade}; }}
}}
table ip filter {{
  chain through {{
    type filter hook forward priority filter; policy drop;
    iifname "lan" accept
    ct state established,related accept
  }}
  chain in {{
    type filter hook input priority filter; policy drop;
    iifname {{ "lo", "lan" }} accept
    ct state established,related accept
  }}
}}
"""


def run(*words: str, into: str | None = None) -> str:
    """A command of the system that must succeed."""
    done = subprocess.run(words, input=into, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


@dataclass
class Namespace:
    """One machine's network."""

    name: str

    @property
    def inside(self) -> tuple[str, ...]:
        """What stands before a command that is to run here."""
        return ("ip", "netns", "exec", self.name)

    def run(self, *words: str, into: str | None = None) -> str:
        """Run a command here."""
        return run(*self.inside, *words, into=into)


@dataclass
class Home:
    """A machine behind a router of its own: `outside` is the address that the router has on the internet."""

    machine: Namespace
    router: Namespace
    outside: str
    inside: str = f"{HOME}.2"

    def move_inside(self) -> None:
        """The machine gets another address, as after a change of the wireless network."""
        before, self.inside = self.inside, f"{HOME}.77"
        self.machine.run("ip", "address", "delete", f"{before}/24", "dev", "lan")
        self.machine.run("ip", "address", "add", f"{self.inside}/24", "dev", "lan")
        self.machine.run("ip", "route", "replace", "default", "via", f"{HOME}.1")

    def move_outside(self, net: "Internet") -> None:
        """The router gets another address, as from a provider over night; it forgets every flow."""
        before, self.outside = self.outside, net.another_address()
        self.router.run("ip", "address", "delete", f"{before}/{INTERNET.prefixlen}", "dev", "wan")
        self.router.run("ip", "address", "add", f"{self.outside}/{INTERNET.prefixlen}", "dev", "wan")

    def spoke_with(self, address: str) -> int:
        """How many UDP flows the router has seen between this home and an address of the internet."""
        flows = self.router.run("cat", "/proc/net/nf_conntrack").splitlines()
        return sum(1 for flow in flows if " udp " in flow and f"dst={address} " in flow)


class Internet:
    """The segment on which the routers meet, with room for servers; homes are added to it."""

    def __init__(self, prefix: str, stack: ExitStack) -> None:
        self._prefix = prefix
        self._stack = stack
        self._hosts = iter(INTERNET.hosts())
        self.space = self._space("net")
        self.space.run("ip", "link", "add", "segment", "type", "bridge")
        self.space.run("ip", "link", "set", "segment", "up")

    def server_addresses(self, count: int) -> Sequence[str]:
        """Further addresses of the segment itself, for servers that everybody reaches."""
        return [self._server_address() for _ in range(count)]

    def home(self, name: str, *, masquerade: str = "masquerade") -> Home:
        """A router with NAT, and a machine behind it. `masquerade` is the rule as nftables has it."""
        router, machine = self._space(f"{name}-r"), self._space(name)
        outside = self.another_address()
        plug = f"p{name}"
        run("ip", "link", "add", plug, "netns", self.space.name, "type", "veth", "peer", "wan", "netns", router.name)
        self.space.run("ip", "link", "set", plug, "master", "segment", "up")
        run("ip", "link", "add", "lan", "netns", router.name, "type", "veth", "peer", "lan", "netns", machine.name)
        _up(router, "wan", f"{outside}/{INTERNET.prefixlen}")
        _up(router, "lan", f"{HOME}.1/24")
        _up(machine, "lan", f"{HOME}.2/24")
        machine.run("ip", "route", "add", "default", "via", f"{HOME}.1")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        router.run("nft", "-f", "-", into=NAT.format(masquerade=masquerade))
        return Home(machine, router, outside)

    def another_address(self) -> str:
        """An address that nobody has."""
        return str(next(self._hosts))

    def _server_address(self) -> str:
        address = self.another_address()
        self.space.run("ip", "address", "add", f"{address}/{INTERNET.prefixlen}", "dev", "segment")
        return address

    def _space(self, name: str) -> Namespace:
        space = Namespace(f"{self._prefix}-{name}")
        run("ip", "netns", "add", space.name)
        self._stack.callback(subprocess.run, ["ip", "netns", "delete", space.name], check=False)
        space.run("ip", "link", "set", "lo", "up")
        return space


@contextmanager
def internet() -> Iterator[Internet]:
    """Networks for the length of the block."""
    with ExitStack() as stack:
        yield Internet(f"hi{os.getpid()}", stack)


def _up(space: Namespace, device: str, address: str) -> None:
    space.run("ip", "address", "add", address, "dev", device)
    space.run("ip", "link", "set", device, "up")
