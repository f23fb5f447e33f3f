"""Links in the documentation lead somewhere, and no file names a registry's host or a path of somebody's machine."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (?P<title>.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

# In pieces, so that this file does not name them either.
REGISTRIES = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "registry.npmjs" + ".org",
    "deb.debian" + ".org",
    "yarnpkg" + ".com",
]
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:work|root|home/\w+|Users/\w+)" + r"/\w|\.\./" + "shared")


def tracked(*patterns: str) -> list[Path]:
    """Files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def anchor(title: str) -> str:
    """The fragment a forge makes of a heading: lower case, punctuation dropped, spaces to hyphens."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.strip().lower()))


def anchors(page: Path) -> set[str]:
    return {anchor(match["title"]) for match in HEADING.finditer(FENCE.sub("", page.read_text(encoding="utf-8")))}


PAGES = tracked("*.md")


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_relative_links_resolve(page: Path) -> None:
    broken = []
    for match in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, fragment = match["target"].partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and target.suffix == ".md" and fragment not in anchors(target)):
            broken.append(match["target"])
    assert broken == []


def test_every_page_of_the_documentation_is_reachable_from_its_index() -> None:
    index = ROOT / "docs" / "README.md"
    seen, waiting = set[Path](), [index]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        waiting += [
            (page.parent / match["target"].partition("#")[0]).resolve()
            for match in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8")))
            if "://" not in match["target"]
        ]
    assert [page for page in tracked("docs/*.md") if page not in seen] == []


def test_no_file_names_a_registry_or_a_machine() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {host}" for host in REGISTRIES if host in text]
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in MACHINE_PATHS.finditer(text)]
        if str(ROOT) in text:
            found.append(f"{path.relative_to(ROOT)}: {ROOT}")
    assert found == []


def test_agents_page_stays_short() -> None:
    assert len((ROOT / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= 30
