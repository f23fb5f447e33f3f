"""Where a page's commands are typed: machines with a shell each, a network of their own, and the real command on the path."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.docs import command, shape
from tests.docs.pages import Block
from tests.docs.scenes import STOPS, Scene, answers, filled, in_place
from tests.e2e.conftest import ECHO, environment, free_port

from hyperinfer.facilities.net.driver.install import node_path

HERE = Path(__file__).parent
PROFILES = "xdg"
BLOCK_S = 90
"""For one block, a start of everything included."""
SHELL = (
    'set -aeuo pipefail\nif [ -e "$PAGE_STATE" ]; then . "$PAGE_STATE"; fi\n{text}\nset +a\nexport -p > "$PAGE_STATE"\n'
)


class Failed(AssertionError):
    """A block did not do what the page says; the message has the page's line and what was said."""


@dataclass
class Stage:
    """Runs the blocks of one page. Its machine may be in another stage's `house`: then what runs there is used, with a profile
    of the page's own."""

    name: str
    root: Path
    scene: Scene
    house: "Stage | None" = None
    port: int = field(default_factory=free_port)
    dht_port: int = field(default_factory=free_port)
    programs: "subprocess.Popen[str] | None" = None

    def prepare(self) -> None:
        """Set the stage: what lies in the folder, and what runs before the first block."""
        bin_folder = self.root / "bin"
        bin_folder.mkdir()
        self._script(bin_folder / "hyperinfer", f'exec {shlex.quote(sys.executable)} {HERE / "command.py"} "$@"')
        for name, line in self.scene.commands.items():
            self._script(bin_folder / name, line)
        for name in self.scene.files:
            self.folder("here").joinpath(name).parent.mkdir(parents=True, exist_ok=True)
            self.folder("here").joinpath(name).write_bytes(self.scene.files[name]())
        if self.house is not None:
            self.port = self.house.port
            shutil.copytree(self.house.folder("here") / PROFILES, self.folder("here") / PROFILES)
        before = filled(self.scene.before, self.values())
        assert before is not None
        for line in before.splitlines():
            self._shell(in_place(line, self.values()), "here")

    def run(self, block: Block) -> str:
        """Run a block; gives what it said. Raises `Failed`."""
        text = in_place(block.text, self.values())
        if block.note == "file":
            path = self.folder("here") / block.said
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return ""
        try:
            match block.language:
                case "sh":
                    return self._shell(text, block.machine)
                case "console":
                    return self._console(text, block.machine)
                case "python":
                    return self._python(text, block)
                case _:
                    return self._javascript(text)
        except Failed as error:
            raise Failed(f"{self.name}:{block.line}\n{block.text}\n{error}") from None

    def values(self) -> dict[str, str]:
        """What stands for what the pages say: the real address, key, codes."""
        kept = {
            path.name: path.read_text(encoding="utf-8").strip() for path in self._kept().iterdir() if not path.suffix
        }
        url = f"http://127.0.0.1:{self.port}"
        found = {
            "url": url,
            "ws": url.replace("http", "ws", 1),
            "http": url,
            "dht_port": str(self.dht_port),
            "folder": str(self.folder("here")),
        }
        for log in sorted(
            one for one in self._kept().iterdir() if one.suffix == ".log" or one.name == "users-create-admin"
        ):
            for line in log.read_text(encoding="utf-8").splitlines():
                if line.startswith(("key ", "password ", "API key ")):
                    found[line.removeprefix("API ").split()[0]] = line.removeprefix("API ").split()[1]
                elif '"worker_running"' in line and '"http"' in line:
                    found["http"] = json.loads(line)["http"]
        for status in self.folder("here").glob("status/metrics.json"):
            found["metrics"] = json.loads(status.read_text(encoding="utf-8"))["addresses"]["observe"]
        lent = {} if self.house is None else self.house.values()
        return {**lent, **kept, **self.scene.values, **found}

    def close(self) -> None:
        """End what runs, the last first."""
        if self.programs is not None:
            self.programs.kill()
            self.programs.communicate()
        command.stop(sorted(self._kept().glob("*.pid"), reverse=True))

    # --- how each language is run -------------------------------------------------------------------------------

    def _shell(self, text: str, machine: str) -> str:
        self._kept().joinpath("answers.json").write_text(json.dumps(answers(self.values())), encoding="utf-8")
        return self._ran(["bash", "-c", SHELL.replace("{text}", text)], machine)

    def _console(self, text: str, machine: str) -> str:
        said = ""
        for one in text.split("\n$ ") if text.startswith("$ ") else []:
            typed, _, shown = one.removeprefix("$ ").partition("\n")
            said = self._shell(typed, machine)
            check(shown, said)
        return said

    def _python(self, text: str, block: Block) -> str:
        if self.programs is None:
            self.programs = subprocess.Popen(
                [sys.executable, HERE / "programs.py"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=self._environment("here"),
                cwd=self.folder("here"),
            )
            self._program(self.scene.prelude, "prelude")
        return self._program(text, f"{self.name}:{block.line}")

    def _program(self, text: str, name: str) -> str:
        assert self.programs is not None
        assert self.programs.stdin is not None
        assert self.programs.stdout is not None
        code = in_place(text, self.values())
        self.programs.stdin.write(json.dumps({"code": code, "name": name, "environment": self._exported()}) + "\n")
        self.programs.stdin.flush()
        answered = json.loads(self.programs.stdout.readline())
        if answered["failed"]:
            raise Failed(answered["said"] + answered["failed"])
        said: str = answered["said"]
        return said

    def _javascript(self, text: str) -> str:
        program = in_place(self.scene.browser, self.values()) + text
        return self._ran([str(node_path()), "--input-type=module", "--eval", program], "here")

    def _ran(self, words: list[str], machine: str) -> str:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BLOCK_S,
            check=False,
            env=self._environment(machine),
            cwd=self.folder(machine),
            start_new_session=True,  # what asks must not find the terminal of whoever runs the tests
        )
        if done.returncode != 0:
            raise Failed(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr

    # --- a machine ----------------------------------------------------------------------------------------------

    def _environment(self, machine: str) -> dict[str, str]:
        path = os.pathsep.join([str(self.root / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        own = {
            "PATH": path,
            "PORT": str(self.port),
            command.STOPS: json.dumps(STOPS),
            "PAGE_STATE": str(self.folder(machine) / ".state"),
            command.KEPT: str(self._kept()),
            command.ANSWERS: str(self._kept() / "answers.json"),
            "HYPERINFER_COMMON__NET__HOST": "127.0.0.1",
            "HYPERINFER_COMMON__NET__FIREWALLED": "false",
            "HYPERINFER_COMMON__DRAIN_S": "1",
        }
        home = self.folder(machine)
        own["XDG_CONFIG_HOME"] = str(home / PROFILES)
        if self.house is not None and machine == "here":
            home = self.house.folder("here")
        values = self.values()
        scene = {name: filled(value, values) or "" for name, value in self.scene.environment.items()}
        return environment(home, **ECHO | own | scene)

    def _exported(self) -> Mapping[str, str]:
        """What the shell has exported on this machine since."""
        state = self.folder("here") / ".state"
        if not state.exists():
            return {}
        told = subprocess.run(
            ["bash", "-c", f". {shlex.quote(str(state))}; env -0"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        return dict(line.split("=", 1) for line in told.stdout.split("\0") if "=" in line)

    def folder(self, machine: str) -> Path:
        """Where that machine's shell stands, which is its home too."""
        folder = self.root / machine
        folder.mkdir(exist_ok=True)
        return folder

    def _kept(self) -> Path:
        return self.folder("kept")

    @staticmethod
    def _script(path: Path, line: str) -> None:
        path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        path.chmod(0o755)


def check(shown: str, said: str) -> None:
    """Raise `Failed` if what is shown is not what was said."""
    if lines := shape.missing(shown, said):
        raise Failed(f"shown, and not said:\n{chr(10).join(lines)}\nsaid:\n{said}")


@contextmanager
def opened(name: str, root: Path, scene: Scene, house: Stage | None = None) -> Iterator[Stage]:
    """A stage that is set, for the length of the block."""
    with scene.stand_ins() as values:
        stage = Stage(name, root, replace(scene, values=values), house)
        try:
            stage.prepare()
            yield stage
        finally:
            stage.close()


def perform(stage: Stage, found: list[Block]) -> None:
    """Run the blocks, and hold what they say against what is shown behind them."""
    said: str | None = None
    for block in found:
        if block.is_run or block.note == "file":
            said = stage.run(block)
        elif block.language == "text" and block.follows and said is not None:
            try:
                check(in_place(block.text, stage.values()), said)
            except Failed as error:
                raise Failed(f"{stage.name}:{block.line}\n{error}") from None
        else:
            said = None
