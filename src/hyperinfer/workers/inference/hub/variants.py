"""Which files of a repository are one model, and which of several variants to take."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from hyperinfer.errors import BadRequest, NotFound
from hyperinfer.workers.inference.backends.llamacpp.folder import PIECE, PROJECTOR, public_name
from hyperinfer.workers.inference.hub.wanted import Wanted

QUANT = re.compile(
    r"(?:^|[._-])((?:UD[-_])?(?:IQ\d|Q\d|TQ\d|MXFP\d|NVFP\d)(?:_[A-Za-z0-9]+)*|BF16|F16|F32|FP16|FP32)$", re.IGNORECASE
)
PREFERRED = (
    *("Q4_K_M", "UD_Q4_K_XL", "Q4_K_L", "Q4_K_S", "Q4_K", "MXFP4", "MXFP4_MOE", "IQ4_NL", "IQ4_XS", "Q4_1", "Q4_0"),
    *("Q5_K_M", "UD_Q5_K_XL", "Q5_K_S", "Q5_K", "Q5_1", "Q5_0", "Q6_K", "UD_Q6_K_XL", "Q8_0", "UD_Q8_K_XL"),
    *("Q3_K_L", "UD_Q3_K_XL", "Q3_K_M", "Q3_K", "IQ3_M", "Q3_K_S", "BF16", "F16", "FP16", "F32", "FP32"),
)
"""What is taken where nothing is said: four bits as most people run them, then what is nearest and loses least."""
PROJECTORS = ("F16", "BF16", "Q8_0", "F32")
"""The same for the part of a model that reads images, which is small."""
MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository; `sha256` is empty where the hub tells none."""

    path: str
    size_bytes: int
    sha256: str = ""

    @property
    def name(self) -> str:
        """Its name without folders."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True)
class Variant:
    """One model: its file, or all its pieces in order."""

    stem: str
    quant: str
    files: tuple[HubFile, ...]

    @property
    def model(self) -> str:
        """What workers will call it."""
        return public_name(self.stem)

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return sum(file.size_bytes for file in self.files)


def choose(files: Iterable[HubFile], wanted: Wanted) -> Variant:
    """The model that is wanted. Raises `NotFound` or `BadRequest`, saying what there is."""
    files = [file for file in files if file.name[:1] != "."]
    if wanted.file:
        return _named(files, wanted)
    there = variants(files)
    if not there:
        raise NotFound(
            f"{wanted.repo} holds no GGUF file. The embedded engine runs GGUF alone; other repositories often have it, "
            "with GGUF in their names."
        )
    if wanted.quant:
        matching = [one for one in there if one.quant == wanted.quant]
        if not matching:
            raise NotFound(f"{wanted.repo} has no {wanted.quant}. It has {_shown(one.quant for one in there)}.")
    else:
        best = min(map(_rank, there))
        matching = [one for one in there if _rank(one) == best]
    if len(matching) > 1:
        raise BadRequest(
            f"{wanted.repo} has several such models. Name a file: {_shown(_first(one) for one in matching)}."
        )
    return _complete(matching[0], wanted)


def projector(files: Iterable[HubFile], wanted: Wanted) -> HubFile:
    """The part of the model that reads images. Raises `NotFound`."""
    there = [file for file in files if _is_gguf(file) and PROJECTOR.search(PurePosixPath(file.path).stem)]
    if not there:
        raise NotFound(f"{wanted.repo} has no mmproj file: its model reads no images.")
    order = {name: at for at, name in enumerate(PROJECTORS)}
    return min(there, key=lambda file: (order.get(_quant(file.path), len(order)), file.path))


def variants(files: Iterable[HubFile]) -> list[Variant]:
    """Every model of a repository, whether complete or not; what only reads images for one is none itself."""
    found: dict[tuple[str, str], list[HubFile]] = defaultdict(list)
    for file in files:
        path = PurePosixPath(file.path)
        if _is_gguf(file) and not PROJECTOR.search(path.stem):
            found[str(path.parent), _stem(path)].append(file)
    return [
        Variant(stem, _quant(f"{folder}/{stem}.gguf"), tuple(sorted(pieces, key=lambda file: file.path)))
        for (folder, stem), pieces in sorted(found.items())
    ]


def _named(files: Sequence[HubFile], wanted: Wanted) -> Variant:
    file = next((file for file in files if file.path == wanted.file), None)
    if file is None:
        there = _shown(file.path for file in files if _is_gguf(file))
        raise NotFound(
            f"{wanted.repo} has no file {wanted.file}. " + (f"It has {there}." if there else "It has no GGUF.")
        )
    if not _is_gguf(file):
        raise BadRequest(f"{wanted.file} is no GGUF file, and the embedded engine runs GGUF alone.")
    for variant in variants(files):
        if file in variant.files:
            return _complete(variant, wanted)
    return Variant(PurePosixPath(file.path).stem, _quant(file.path), (file,))


def _complete(variant: Variant, wanted: Wanted) -> Variant:
    numbers = [match for file in variant.files if (match := PIECE.match(PurePosixPath(file.path).stem))]
    if numbers and [int(one["number"]) for one in numbers] != list(range(1, int(numbers[0]["of"]) + 1)):
        raise NotFound(
            f"{wanted.repo} lacks pieces of {variant.stem}: {len(numbers)} of {int(numbers[0]['of'])} are there."
        )
    return variant


def _is_gguf(file: HubFile) -> bool:
    return file.path.lower().endswith(".gguf")


def _stem(path: PurePosixPath) -> str:
    piece = PIECE.match(path.stem)
    return piece["stem"] if piece else path.stem


def _quant(path: str) -> str:
    """The quantisation in a file's name, or else in its folder's, in capitals; empty where neither says."""
    whole = PurePosixPath(path)
    for name in (_stem(whole), whole.parent.name):
        if found := QUANT.search(name):
            return found[1].upper().replace("-", "_")
    return ""


def _rank(variant: Variant) -> int:
    return PREFERRED.index(variant.quant) if variant.quant in PREFERRED else len(PREFERRED)


def _first(variant: Variant) -> str:
    return variant.files[0].path


def _shown(names: Iterable[str]) -> str:
    every = sorted({name for name in names if name})
    return ", ".join(every[:MAX_SHOWN]) + (" …" if len(every) > MAX_SHOWN else "")
