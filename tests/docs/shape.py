"""Whether what a command says looks like what a page shows of it: numbers, dates and ids differ from run to run."""

import re

PARTS = re.compile(r"(?P<gap>\s{2,}|…)|(?P<id>\b(?:hi|hc|hr|req|msg|resp|chatcmpl)_[\w…-]+)|(?P<number>\d[\d.,:]*)")
HEADER = re.compile(r"^(?:[A-Z]+ ?)+(?:\s{2,}(?:[A-Z]+ ?)+)+$")


def missing(shown: str, said: str) -> list[str]:
    """Lines that are shown and not said. Of a table the header counts, and that it has a row."""
    lines = [line for line in shown.splitlines() if line.strip()]
    if lines and HEADER.match(lines[0].strip()):
        heads = [at for at, line in enumerate(said.splitlines()) if line.split() == lines[0].split()]
        return [] if heads and len(said.splitlines()) > heads[0] + 1 else lines[:1]
    return [line for line in lines if not re.search(pattern(line), said, re.MULTILINE)]


def pattern(line: str) -> str:
    """What matches a line that differs in numbers, ids and gaps alone; `…` is anything."""
    found, at = [], 0
    for part in PARTS.finditer(line.strip()):
        found.append(re.escape(line.strip()[at : part.start()]))
        found.append(".*" if part[0] == "…" else r"\s+" if part["gap"] else r"[\w.,:…-]+")
        at = part.end()
    return rf"^\s*{''.join(found)}{re.escape(line.strip()[at:])}\s*$"
