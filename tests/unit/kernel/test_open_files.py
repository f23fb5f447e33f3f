import resource
import subprocess
import sys

import pytest

from hyperinfer.kernel.open_files import MOST, _wanted

ENDLESS = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [
        (1024, 4096, 4096),
        (1024, 1_000_000, MOST),
        (1024, ENDLESS, MOST),
        (100_000, 200_000, 100_000),
        (ENDLESS, ENDLESS, ENDLESS),
    ],
)
def test_as_many_as_are_needed_are_asked_for_and_never_fewer_than_there_are(soft: int, hard: int, wanted: int) -> None:
    assert _wanted(soft, hard, ENDLESS) == wanted


def test_a_process_gets_what_it_may_have() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128))\n"
        "from hyperinfer.kernel import open_files; before = open_files.allowed(); open_files.allow()\n"
        "print(before, *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["128", "128", "128"]
