"""Stands before `hyperinfer` in a page's shell: what takes a terminal of its own runs on behind, and who asks is answered.

Everything else goes to the command as it is.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

SERVES = {"up": "-d '", "worker": "worker_running", "bridge": "worker_running", "dht": "net.bootstrap="}
"""Commands that run until Ctrl-C, and what they say once they serve."""
ANSWERS = "PAGE_ANSWERS"
"""Names a file with what is typed for commands that ask: `{"login ada": ["a password"]}`."""
KEPT = "PAGE_KEPT"
"""Names the folder for what commands say that later ones are given."""
STOPS = "PAGE_STOPS"
"""Names what is typed after everything has been stopped by Ctrl-C, as a list in JSON."""
READY_S = 40.0
STOP_S = 10.0


def main(words: Sequence[str]) -> int:
    """Run the command; gives its exit code."""
    stopped = json.loads(os.environ[STOPS])
    if any(" ".join(words).startswith(one) for one in stopped):
        stop_all()
    if words and words[0] in SERVES and "--help" not in words:
        return serve(words)
    typed = answer(" ".join(words))
    given = sys.stdin.buffer.read() if typed is None else typed.encode()
    done = subprocess.run(hyperinfer(words), stdout=subprocess.PIPE, check=False, input=given)
    sys.stdout.buffer.write(done.stdout)
    (Path(os.environ[KEPT]) / "-".join(plain(words)[:2]).replace("/", "-")[:60]).write_bytes(done.stdout)
    return done.returncode


def hyperinfer(words: Sequence[str]) -> list[str]:
    """The words of a process that runs the command."""
    return [sys.executable, "-m", "hyperinfer", *words]


def plain(words: Sequence[str]) -> list[str]:
    """The words before the first option."""
    return list(words[: next((at for at, word in enumerate(words) if word.startswith("-")), len(words))])


def answer(line: str) -> str | None:
    """What is typed for a command that asks; none where its input is the shell's."""
    answers: dict[str, list[str]] = json.loads(Path(os.environ[ANSWERS]).read_text(encoding="utf-8"))
    found = [start for start in answers if line.startswith(start)]
    return "".join(f"{one}\n" for one in answers[max(found, key=len)]) if found else None


def serve(words: Sequence[str]) -> int:
    """Start what runs until Ctrl-C, and wait until it serves."""
    kept = Path(os.environ[KEPT])
    stop(same(words))
    log = kept / f"{len(list(kept.glob('*.log'))):02}-{name(words)}.log"
    with log.open("wb") as said:
        child = subprocess.Popen(
            hyperinfer(words), stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    log.with_suffix(".pid").write_text(str(child.pid), encoding="utf-8")
    deadline = time.monotonic() + READY_S
    while SERVES[words[0]] not in log.read_text(encoding="utf-8"):
        if child.poll() is not None or time.monotonic() > deadline:
            sys.stderr.write(log.read_text(encoding="utf-8"))
            return child.returncode or 1
        time.sleep(0.05)
    return 0


def name(words: Sequence[str]) -> str:
    """What a running command is called here: two of one name in one home cannot run at once."""
    return "-".join([Path.cwd().name, *(word.strip("-") for word in words[:3])]).replace("/", "-")


def same(words: Sequence[str]) -> list[Path]:
    """What was started by these words before."""
    return [one for one in running() if one.stem.endswith(f"-{name(words)}")]


def running() -> list[Path]:
    """Files with the processes that run, the newest first."""
    return sorted(Path(os.environ[KEPT]).glob("*.pid"), reverse=True)


def stop_all() -> None:
    """Ctrl-C everywhere."""
    stop(running())


def stop(files: Sequence[Path]) -> None:
    """Ctrl-C in these terminals, and wait."""
    for file in files:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(file.read_text(encoding="utf-8")))
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_S)
            except psutil.TimeoutExpired:
                process.kill()
        file.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
