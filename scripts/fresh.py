"""Runs the product as a newcomer meets it: clone HEAD, `make up`, paste the printed curl line, ask, stop, start again.

Everything happens in a temporary folder with a home folder of its own and on a free port, and is removed at the end
(`--keep` leaves it). Exit code 0 means that both starts were answered and nothing was left running. Standard library only:
it runs before anything is installed.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALL_DEADLINE_S = 900.0
SECOND_START_S = 10.0
ANSWER_DEADLINE_S = 60.0
STOP_DEADLINE_S = 45.0
PROMPT = "What is 2 + 2?"


class Failed(Exception):
    """What a newcomer would have stumbled over."""


class Product:
    """One running `make up`; its output is shown as it comes, and searched for the curl line."""

    def __init__(self, clone: Path, environment: dict[str, str]) -> None:
        self._curl: list[str] = []
        self._printed = threading.Event()
        self.process = subprocess.Popen(
            ["make", "up"],
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            print(f"  | {line}", end="", flush=True)
            if self._printed.is_set() or not (self._curl or line.lstrip().startswith("curl ")):
                continue
            self._curl.append(line.strip())
            if not line.rstrip().endswith("\\"):
                self._printed.set()
        self._printed.set()

    def curl_line(self, timeout_s: float) -> str:
        """The command that `up` printed on standard output."""
        self._printed.wait(timeout_s)
        if not self._curl or self.process.poll() is not None:
            raise Failed(f"`make up` printed no curl line (exit code {self.process.poll()})")
        return "\n".join(self._curl)

    def stop(self) -> None:
        """As Ctrl-C does it: the whole group is interrupted; then it has some time to end."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise Failed(f"did not stop within {STOP_DEADLINE_S:.0f} s of Ctrl-C") from None
        finally:
            self._reader.join(5)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def newcomer(home: Path) -> dict[str, str]:
    """This environment without what belongs to the person who runs it."""
    personal = ("HYPERINFER_", "XDG_", "VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(personal)}
    return kept | {"HOME": str(home), "PORT": str(free_port())}


def left_running(home: Path) -> list[str]:
    """Processes that still live in the newcomer's home folder (Linux; elsewhere nothing is known)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={home}\0".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return [command for command in found if command]


def check_answer(curl: str, clone: Path, environment: dict[str, str]) -> str:
    """Paste the line into a shell; returns what the model said."""
    done = subprocess.run(
        ["sh", "-c", curl],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=ANSWER_DEADLINE_S,
        check=False,
    )
    try:
        said: str = json.loads(done.stdout)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        raise Failed(f"the printed line was not answered: {done.stdout[:500]} {done.stderr[-500:]}") from None
    if not said.strip():
        raise Failed("the answer was empty")
    return said.strip()


def check_ask(clone: Path, environment: dict[str, str]) -> str:
    """Ask on the command line, which finds its key in the profile; returns what the model said."""
    done = subprocess.run(
        [str(clone / ".venv/bin/hyperinfer"), "ask", PROMPT],
        cwd=clone,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ANSWER_DEADLINE_S,
        check=False,
    )
    if done.returncode or not done.stdout.strip():
        raise Failed(f"`hyperinfer ask` ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout.strip()


@contextmanager
def running(clone: Path, environment: dict[str, str]) -> Iterator[Product]:
    """`make up` for the time of the block, and the proof that it leaves nothing behind."""
    product = Product(clone, environment)
    try:
        yield product
    finally:
        product.stop()
    home = Path(environment["HOME"])
    deadline = time.monotonic() + 5
    while (left := left_running(home)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if left:
        raise Failed(f"left running: {left}")


def visit(folder: Path) -> None:
    """Both starts; raises `Failed` with what a newcomer would have stumbled over."""
    clone, home = folder / "clone", folder / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    environment = newcomer(home)

    started = time.monotonic()
    with running(clone, environment) as product:
        curl = product.curl_line(INSTALL_DEADLINE_S)
        print(f"first start: {time.monotonic() - started:.1f} s until the curl line")
        print(f"curl: {check_answer(curl, clone, environment)!r}")
        print(f"first answer after {time.monotonic() - started:.1f} s")
        print(f"ask: {check_ask(clone, environment)!r}")

    started = time.monotonic()
    with running(clone, environment) as product:
        curl = product.curl_line(INSTALL_DEADLINE_S)
        ready_s = time.monotonic() - started
        print(f"second start: {ready_s:.1f} s until the curl line")
        print(f"curl: {check_answer(curl, clone, environment)!r}")
        if ready_s >= SECOND_START_S:
            raise Failed(f"the second start took {ready_s:.1f} s, more than {SECOND_START_S:.0f}")


def main() -> int:
    """Exit code 0 for a newcomer who got both answers."""
    folder = Path(tempfile.mkdtemp(prefix="hyperinfer-fresh-"))
    print(f"in {folder}")
    try:
        visit(folder)
    except (Failed, subprocess.SubprocessError) as error:
        print(f"FAILED: {error}")
        return 1
    finally:
        if "--keep" not in sys.argv[1:]:
            shutil.rmtree(folder, ignore_errors=True)
    print("fresh clone: all well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
