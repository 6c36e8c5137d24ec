"""Write docs/licences.md: the licence of every package that hipt needs, directly or not.

The policy is here too: which licences are allowed, and which packages are exceptions, and why.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PAGE = "docs/licences.md"

ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0"),
        *("CC0-1.0", "IJG", "ISC", "MIT", "MIT-CMU", "PSF-2.0", "Public-Domain", "Zlib"),
        *("Apache-2.0 WITH LLVM-exception", "libpng-2.0", "libtiff"),
    }
)
"""What a package may be under without a word: permissive licences, by their SPDX names."""

MPL = "used unchanged; the MPL covers its own files alone"
NVIDIA = (
    "CUDA libraries that torch's wheels for Linux ask for; under NVIDIA's terms, which let them be "
    "used and passed on with an application; hipt calls torch alone and runs without them on a CPU"
)
NAMED = {
    "openslide-python": "LGPL: imported unchanged; anybody can put another version in its place",
    "openslide-bin": "LGPL: one shared library (OpenSlide, with GLib and Cairo inside) that is "
    "loaded when a slide is opened; unchanged, and replaced by any other build of the same name",
    "certifi": MPL,
    "hypothesis": MPL,
    "pathspec": MPL,
    "tqdm": MPL,
    "codespell": "GPL: a command that `make lint` runs; nothing imports it or ships it",
    "docutils": "its one GPL file, for Emacs, is not in the package; the rest is public domain or "
    "BSD",
    "regex": "CNRI-Python is permissive; comes with transformers, which only tests import",
    "cuda-toolkit": "an empty package that names CUDA libraries",
}
"""Packages under other licences, and why they can be used under MIT all the same."""

BUNDLED = {
    "shapely": ("GEOS", "LGPL-2.1", "a shared library beside the module, unchanged, replaceable"),
    "opencv-python-headless": (
        "FFmpeg, OpenSSL, libvpx, OpenBLAS, libgfortran",
        "LGPL-2.1, OpenSSL, BSD-3-Clause, GPL-3.0 with GCC's runtime exception",
        "shared libraries beside the module; hipt reads no video",
    ),
    "numpy, scipy": (
        "OpenBLAS, libgfortran, libquadmath",
        "BSD-3-Clause, GPL-3.0 with GCC's runtime exception, LGPL-2.1",
        "shared libraries of the compiler, unchanged, replaceable",
    ),
    "torch": (
        "MKL, oneDNN, libgomp",
        "Intel Simplified, Apache-2.0, GPL-3.0 with GCC's runtime exception",
        "MKL may be passed on; libgomp is a shared library of the compiler",
    ),
    "imagecodecs": (
        "about 40 codecs, libgomp",
        "permissive; libgomp as above",
        "the wheels have neither libheif nor LZO, which are under (L)GPL",
    ),
    "openvino": (
        "oneDNN, oneTBB, hwloc, ...",
        "Apache-2.0, BSD-3-Clause, MIT, GPL-3.0 with GCC's runtime exception",
        "shared libraries beside the module",
    ),
    "h5py": ("HDF5, libaec", "BSD-3-Clause, BSD-2-Clause", ""),
    "pillow": ("libjpeg-turbo, libtiff, FreeType, HarfBuzz, ...", "permissive", ""),
}
"""What wheels for Linux hold beside their own code; seen in the wheels, not in their metadata."""

_OPENSEADRAGON = "14d587cd3ee7c4861f1a41077ce642029364a21029956ba635bd8fb1202cf9ad"
VENDORED = {
    "openseadragon.min.js": (
        "OpenSeadragon 6.1.1",
        "BSD-3-Clause",
        f"the released build, unchanged, its licence beside it; sha256 {_OPENSEADRAGON}",
    ),
}
"""Files of others in `hipt/view/page/`: what each is, its licence, why it is there."""

ALIASES = {
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache Software License 2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "ISC license": "ISC",
    "OSI Approved :: Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "NVIDIA Proprietary Software": "LicenseRef-NVIDIA-Proprietary",
    "Public Domain": "Public-Domain",
    "GNU General Public License (GPL)": "GPL",
    "Python Software Foundation License": "PSF-2.0",
}
"""Names in metadata that are not SPDX's; `BSD License` says no more than that."""

HEAD = """\
# Licences

Of every package that hipt needs, directly or through others; from the packages' own metadata, \
by `make docs`. `tests/test_licences.py` fails when a package comes that is under another licence \
than the [allowed ones](#allowed) and is not named below with a reason, or when this page is \
stale. hipt is under MIT and has no code of others in it but [one file](#inside-hipt); whoever \
passes on an image with these packages passes on their licences too.
"""

Wanted = dict[str, str]
"""What a package is for, by name: `run`, or one of the extras."""

GROUPS = ("run", "imagenet", "slurm", "dev", "docs")
"""In this order, so that a package has the first that needs it."""


def wanted() -> Wanted:
    """All packages that are installed for hipt here, without hipt itself; by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"run": project["dependencies"], **project["optional-dependencies"]}
    found: Wanted = {}
    for group in GROUPS:
        waiting = [Requirement(text) for text in groups[group]]
        while waiting:
            need = waiting.pop()
            name = canonicalize_name(need.name)
            if found.setdefault(name, group) == group:
                waiting += [one for one in _needs(need) if _new(one, found)]
    return dict(sorted(found.items()))


def _new(need: Requirement, found: Wanted) -> bool:
    """Whether a package was not met yet, or not with these extras."""
    return bool(need.extras) or canonicalize_name(need.name) not in found


def _needs(need: Requirement) -> Iterator[Requirement]:
    """What a package needs here, with the extras that are asked for."""
    for text in distribution(need.name).requires or ():
        inner = Requirement(text)
        extras = ["", *need.extras]
        if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in extras):
            yield inner


def licence(name: str) -> str:
    """A package's licence as an SPDX expression, as far as its metadata says; else `unknown`."""
    found = distribution(name)
    metadata = found.metadata
    stated = metadata.get("License-Expression") or metadata.get("License") or ""
    if stated not in ("", "UNKNOWN") and len(stated) < 300 and "\n" not in stated:
        return ALIASES.get(stated, stated)
    kinds = [
        text.rpartition("::")[2].strip()
        for text in metadata.get_all("Classifier") or ()
        if text.startswith("License ::")
    ]
    spdx = [ALIASES.get(kind, kind) for kind in kinds if kind != "DFSG approved"]
    return " AND ".join(sorted(set(spdx))) or _of_text(found)


def _of_text(found: Distribution) -> str:
    """The licence by the first line of its file."""
    for file in found.files or ():
        if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            first = file.read_text(encoding="utf-8").strip().splitlines()[0].strip(" #")
            return ALIASES.get(first, "unknown")
    return "unknown"


def allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met with allowed licences alone."""
    words = re.findall(r"\(|\)|[^\s()]+", expression.replace(" WITH ", "_WITH_"))
    balanced = words.count("(") == words.count(")")
    return bool(words) and balanced and _any(words) and not words


def _any(words: list[str]) -> bool:
    """A chain of alternatives, from the front of the words."""
    found = _all(words)
    while words and words[0] == "OR":
        words.pop(0)
        found = _all(words) or found
    return found


def _all(words: list[str]) -> bool:
    """A chain of terms that all hold, from the front of the words."""
    found = _term(words)
    while words and words[0] == "AND":
        words.pop(0)
        found = _term(words) and found
    return found


def _term(words: list[str]) -> bool:
    """One licence, or what stands in brackets."""
    word = words.pop(0) if words else ""
    if word == "(":
        found = _any(words)
        return words[:1] == [")"] and bool(words.pop(0)) and found
    return word.replace("_WITH_", " WITH ") in ALLOWED


def reason(name: str) -> str | None:
    """Why a package under another licence can be used; None where nobody has said it."""
    return NVIDIA if name.startswith("nvidia-") else NAMED.get(name)


def listed() -> dict[str, str]:
    """The licence of each package that the page lists now."""
    path = ROOT / PAGE
    if not path.exists():
        return {}
    groups = "|".join(GROUPS)
    rows = re.findall(rf"^\| ([a-z0-9-]+) \| ([^|]+) \| (?:{groups}) \|$", path.read_text(), re.M)
    return {name: licence.strip() for name, licence in rows}


def page() -> str:
    """docs/licences.md as it should be with what is installed here."""
    rows = {name: (licence(name), group) for name, group in wanted().items()}
    lines = [HEAD, "## Packages\n", "| package | licence | for |\n|---|---|---|"]
    lines += [f"| {name} | {text} | {group} |" for name, (text, group) in rows.items()]
    lines += ["\n## Exceptions\n", "| package | why it can be used |\n|---|---|"]
    lines += [f"| {name} | {why} |" for name, why in NAMED.items()]
    lines += [f"| nvidia-* | {NVIDIA} |"]
    lines += ["\n## Inside the wheels\n", "| package | holds | under | |\n|---|---|---|---|"]
    lines += [f"| {name} | {' | '.join(parts)} |" for name, parts in BUNDLED.items()]
    lines += ["\n## Inside hipt\n", "| file | holds | under | |\n|---|---|---|---|"]
    lines += [f"| hipt/view/page/{n} | {' | '.join(p)} |" for n, p in VENDORED.items()]
    lines += ["\n## Allowed\n", ", ".join(sorted(ALLOWED, key=str.lower)) + ".", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page(), encoding="utf-8")
