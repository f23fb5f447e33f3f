"""Prometheus' text format, as far as workers speak it: reading it quickly, and showing that of many workers as one.

See https://prometheus.io/docs/instrumenting/exposition_formats/. A sample's text up to its value names the series, and is looked
at closely once only, when it comes for the first time.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isinf
from sys import intern

from hyperinfer.errors import TooLarge
from hyperinfer.workers.metrics.collecting.series import Series

OWN = frozenset({"worker", "wtype"})
"""The labels that are added to every sample. One of these names that is there already is called `exported_…`, as Prometheus does."""

_KEY = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\Z", re.DOTALL)
_LABEL = re.compile(r'((?!__)[a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|\Z)')
"""What other escapes there are, and names that are Prometheus' own, would have its parsers refuse the text of the whole swarm."""
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|Inf|NaN)\Z")
_ESCAPED = re.compile(r"\\(.)")
_KINDS = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})
_PARTS = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("", "_count", "_sum")}
_ALONE = ("",)
MAX_LINE_CHARS = 4096
"""Longer lines make no sense."""
LINES_A_SAMPLE = 3
"""A metric of one sample has a help and a type."""


@dataclass(slots=True)
class Family:
    """A metric as one worker shows it: `help` as it is escaped there, the samples' names, and their lines."""

    kind: str = "untyped"
    help: str | None = None
    names: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    is_crossed: bool = False

    def takes(self, family: str, sample: str) -> bool:
        """Whether a sample of that name belongs to it."""
        return any(sample == family + part for part in _PARTS.get(self.kind, _ALONE))


@dataclass(slots=True)
class Exposition:
    """What a worker has shown: families by name, the value of each series by its text, and how many lines made no sense."""

    families: dict[str, Family] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    new: list[Series] = field(default_factory=list)
    malformed: int = 0


def read(text: str, known: Mapping[str, Series], *, max_samples: int) -> Exposition:
    """What a text says; `new` are the series in it that are not `known`. Lines that make no sense are left out and counted.

    Raises `TooLarge` for more samples than that, or more lines than so many can have.
    """
    if text.count("\n") > LINES_A_SAMPLE * max_samples:
        raise _too_many(max_samples)
    shown = Exposition()
    values, name, family = shown.values, "", Family()
    for line in text.split("\n"):
        if len(line) > MAX_LINE_CHARS:
            shown.malformed += 1
            continue
        if line.startswith("#"):
            name, family = _told(line, shown, name, family)
            continue
        if not line:
            continue
        key, _, number = line.rpartition(" ")
        series, value = known.get(key), _value(number)
        if key in values or value is None or (series is None and (series := parsed(key)) is None):
            shown.malformed += 1
            continue
        if key not in known:
            shown.new.append(series)
        if series.metric not in family.names:
            if not family.takes(name, series.metric):
                name = series.metric
                family = shown.families.setdefault(name, Family())
            family.names.add(series.metric)
        family.is_crossed |= series.is_crossed
        family.lines.append(line)
        values[key] = value
        if len(values) > max_samples:
            raise _too_many(max_samples)
    shown.families = {name: family for name, family in shown.families.items() if family.lines}
    return shown


def _value(number: str) -> float | None:
    """A sample's value; none for what is no number, or too great for one."""
    value = float(number) if _NUMBER.match(number) else None
    return None if value is not None and isinf(value) and number[-3:] != "Inf" else value


def _too_many(max_samples: int) -> TooLarge:
    return TooLarge(f"Its metrics hold more than {max_samples} samples.", limit_samples=max_samples)


def _told(line: str, shown: Exposition, name: str, family: Family) -> tuple[str, Family]:
    """Take a line `# HELP name text` or `# TYPE name kind`; other comments say nothing."""
    words = line.split(" ", 3)
    if len(words) < 3 or words[1] not in ("HELP", "TYPE") or not _KEY.match(words[2]):
        return name, family
    found = shown.families.setdefault(words[2], Family())
    rest = words[3] if len(words) > 3 else ""
    if words[1] == "HELP":
        found.help = rest
    elif rest in _KINDS and not found.lines:
        found.kind = rest
    return words[2], found


def parsed(key: str) -> Series | None:
    """The series that a text names; none for a text that names none."""
    match = _KEY.match(key)
    labels = _labels(match[2] or "") if match else None
    if match is None or labels is None:
        return None
    pairs = tuple(part for pair in labels.items() for part in pair)
    return Series(key, intern(match[1]), pairs, is_crossed=not OWN.isdisjoint(labels))


def _labels(text: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _LABEL.match(text, at)
        if match is None or match[1] in found:
            return None
        found[intern(match[1])] = intern(_ESCAPED.sub(_unescaped, match[2]))
        at = match.end()
    return found


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _written(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())


def escaped(value: str) -> str:
    """A label's value as it stands between quotation marks."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# --- many as one -----------------------------------------------------------------------------------------------


def merged(workers: Iterable[tuple[Mapping[str, str], Exposition]]) -> str:
    """What these workers show as one exposition, each with its labels on every sample.

    A family has one help, that of the first that has it, and one type: where workers do not agree on that, it has neither, so that
    none can have the samples of others refused.
    """
    kinds: dict[str, str] = {}
    about: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    disputed: set[str] = set()
    for labels, exposition in workers:
        own = _written(labels)
        for name, family in exposition.families.items():
            if name not in kinds:
                kinds[name], texts[name] = family.kind, []
                about[name] = "" if family.help is None else f"\n# HELP {name} {family.help}"
            elif kinds[name] != family.kind:
                disputed.add(name)
            texts[name].append(_labelled(family, own))
    for name in {name for name, kind in kinds.items() if kind in _PARTS} | disputed:
        if parts := {name + part for part in _PARTS["histogram"] if name + part in kinds}:
            disputed |= {name, *parts}
    heads = {name: f"{about[name]}\n# TYPE {name} {kind}" for name, kind in kinds.items() if name not in disputed}
    return "".join(part for name, texts in texts.items() for part in (heads.get(name, ""), *texts))[1:] + "\n"


def _labelled(family: Family, own: str) -> str:
    """A family's lines with further labels. A line break begins each line and can be nowhere else, so that replacing text will do."""
    if not family.lines:
        return ""
    lines = map(_renamed, family.lines) if family.is_crossed else family.lines
    text = "\n" + "\n".join(lines)
    for name in family.names:
        text = text.replace(f"\n{name}{{", f"\n{name}{{{own},").replace(f"\n{name} ", f"\n{name}{{{own}}} ")
    return text


def _renamed(line: str) -> str:
    """A line without labels of our names."""
    key, _, number = line.rpartition(" ")
    series = parsed(key)
    if series is None or not series.is_crossed:
        return line
    labels = {f"exported_{name}" if name in OWN else name: value for name, value in series.labels_by_name.items()}
    return f"{series.metric}{{{_written(labels)}}} {number}"
