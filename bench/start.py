"""How long a command takes to begin: `python -m bench.start`. Best and median of ten, in milliseconds.

Tests hold this by counting the heavy modules that are loaded, for a time depends on what else a machine does.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

TIMES = 10
WHAT = {
    "python, nothing": ["-c", "pass"],
    "import hyperinfer": ["-c", "import hyperinfer"],
    "from hyperinfer import Client": ["-c", "from hyperinfer import Client"],
    "hyperinfer --help": ["-m", "hyperinfer", "--help"],
    "hyperinfer doctor --help": ["-m", "hyperinfer", "doctor", "--help"],
}


def taken_ms(words: Sequence[str]) -> list[float]:
    """How long each of some runs took."""
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True, timeout=60)
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def main() -> None:
    """Print a line for each."""
    for name, words in WHAT.items():
        taken = taken_ms(words)
        print(f"{name:30}  best {min(taken):4.0f}  median {statistics.median(taken):4.0f}")


if __name__ == "__main__":
    main()
