"""Networks inside what training programs save: where they lie in a file, and which one is taken.

A checkpoint is a table of tensors, or of tables of tensors. Seen flat, with dots between the keys,
every network in it is a set of names under a shared prefix: `teacher.backbone.`,
`state_dict.model.`, `model.module.`; the prefix is the network's label.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import torch
from torch import Tensor

from hipt.errors import some_of
from hipt.nn.renaming import TABLES, NameTable, Shapes, State

WRAPPERS = frozenset(
    {
        *("state_dict", "model_state_dict", "state_dict_ema", "model", "model_ema", "ema_model"),
        *("ema", "net", "network", "module", "teacher", "student", "backbone", "encoder"),
        *("momentum_backbone", "momentum_encoder", "base_encoder", "encoder_q", "encoder_k"),
    }
)
"""Keys and prefixes under which programs keep a network, where its own names are not known."""

TRAINING_ONLY = re.compile(
    r"((dino|ibot|cls|patch|projection|contrastive)_)?heads?|mask_token|projector\w*|predictor\w*"
    r"|prototypes?|classifier|decoder\w*|queue\w*"
)
"""First component of tensors that training needs beside the network, and embedding does not."""

_INSIDE = re.compile(r"(^|\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.|$)")
"""Components that compiling and sharding put anywhere into a name."""

_ANCHORS = ("patch_embed.proj.weight", "phi.0.weight")
"""Tensors of vision transformers by which they are seen in a file."""

_CHUNKED = re.compile(
    r"(?P<head>(?:.*\.)?blocks)\.(?P<chunk>\d{1,4})\.(?P<block>\d{1,4})\.(?P<rest>.+)"
)

_OPTIONAL = ".num_batches_tracked"
"""Ends the name of a counter of batch norms that no vector depends on, and old files lack."""

_DEPTH = 8
"""Most tables inside each other, and most components of a prefix, that are looked into."""

_AVERAGED = {"teacher", "ema", "momentum", "swa", "averaged"}
_LISTED = 8


@dataclass(frozen=True)
class Network:
    """One network of a file."""

    state: dict[str, Tensor]
    """Its tensors by their own names; others of the same prefix among them."""
    label: str = ""
    """Where it lies: `teacher.backbone`; empty where the file is the network."""
    aside: Mapping[str, int] = field(default_factory=dict)
    """Tensors elsewhere in the file: how many, by where they lie."""
    chunked: bool = False
    """Whether its blocks lie in chunks, whose numbers were dropped."""
    names: NameTable | None = None
    """Whose names its tensors have in the file; None: those of timm, or not known."""

    @property
    def text(self) -> str:
        """What was taken out of the file and what was not, for people."""
        if not self.label and not self.aside and not self.chunked and not self.names:
            return "the file as it is"
        taken = f"{self.label or 'what lies at the top'} ({counted(len(self.state))})"
        taken += ", its blocks out of their chunks" if self.chunked else ""
        taken += f", {self.names.text}" if self.names else ""
        left = [f"{place} ({counted(count)})" for place, count in self.aside.items()]
        return taken + (f"; left aside: {some_of(left, _LISTED)}" if left else "")


def counted(tensors: int) -> str:
    """A number of tensors, as people say it."""
    return f"{tensors:,} tensor{'' if tensors == 1 else 's'}"


def flat(checkpoint: Mapping[Any, Any]) -> dict[str, Tensor]:
    """All tensors of real numbers in a checkpoint, by their keys joined with dots.

    What compiling and sharding put into names is dropped.
    """
    pairs = _tensors(checkpoint, "", _DEPTH, set())
    return {_INSIDE.sub("", name).lstrip("."): tensor for name, tensor in pairs}


def network_like(tensors: State, wanted: Shapes, which: str | None, choose_by: str) -> Network:
    """The network of a file that has all tensors of ours; else what comes nearest to it.

    Args:
        tensors: a file's, flat.
        wanted: names and shapes of our network's tensors.
        which: a label, or one of its components; None: a teacher or an average before what it
            follows, that before a student.
        choose_by: how a user chooses, for the sentence.

    Raises:
        ValueError: if several networks fit that are not the same, or none has that label.
    """
    nearest: tuple[int, _Reading] | None = None
    for reading in _readings(tensors, wanted):
        prefixes = list(_complete(reading.tensors, wanted))
        if prefixes:
            prefix = _chosen(reading.tensors, prefixes, wanted, which, choose_by)
            return reading.network(prefix, prefixes)
        matches = max(_matches(reading.tensors, wanted).values(), default=0)
        if matches > (nearest[0] if nearest else 0):
            nearest = matches, reading
    if nearest is None:
        return network_in(tensors, which, choose_by)
    most, reading = nearest
    counts = _matches(reading.tensors, wanted)
    best = [prefix for prefix, count in counts.items() if count == most]
    best = [prefix for prefix in best if which in prefix.split(".")] or best
    return reading.network(min(best, key=_rank), best)


def network_in(tensors: State, which: str | None, choose_by: str) -> Network:
    """The network of a file, as far as names say it without knowing what is wanted.

    Raises:
        ValueError: if several may be meant, or none has that label.
    """
    *_, reading = _readings(tensors, None)
    transformers = {
        name[: -len(anchor)]
        for name in reading.tensors
        for anchor in _ANCHORS
        if name == anchor or name.endswith(f".{anchor}")
    }
    if not transformers and reading.names is None:
        reading = _Reading(tensors)
    named = reading.tensors
    prefixes = sorted(transformers) or _wrapped(named)
    wanted = {name: tuple(x.shape) for name, x in _under(named, prefixes[0]).items()}
    return reading.network(_chosen(named, prefixes, wanted, which, choose_by), prefixes)


@dataclass(frozen=True)
class _Reading:
    """A file's tensors, by names that its networks may be meant to have."""

    tensors: State
    chunked: frozenset[str] = frozenset()
    """Prefixes of chunked blocks."""
    names: NameTable | None = None

    def network(self, prefix: str, prefixes: Sequence[str]) -> Network:
        """The network under a prefix, with what else there is."""
        others = [name for name in self.tensors if not name.startswith(prefix)]
        places = Counter(_place(name, prefixes) for name in others)
        state = _under(self.tensors, prefix)
        if self.names is not None:
            unused = [name for name in state if re.fullmatch(self.names.unused, name)]
            places.update(name.partition(".")[0] for name in unused)
            for name in unused:
                del state[name]
        label, chunked = prefix.removesuffix("."), f"{prefix}blocks" in self.chunked
        return Network(state, label, dict(places), chunked, self.names)


def _readings(tensors: State, wanted: Shapes | None) -> Iterator[_Reading]:
    """A file as it is; without chunks, if it has any; by each table of names that it shows."""
    yield _Reading(tensors)
    named, chunked = _unchunked(tensors)
    if chunked:
        yield _Reading(named, chunked)
    for table in TABLES:
        if table.recognises(named):
            yield _Reading(table.renamed(named, wanted), chunked, table)


def _place(name: str, prefixes: Sequence[str]) -> str:
    """Where a tensor lies, in few words: under another network's prefix, or its first keys."""
    under = next((p for p in prefixes if p and name.startswith(p)), None)
    if under is not None:
        return under.removesuffix(".")
    parts = name.split(".")[:-1]
    depth = next((i for i, part in enumerate(parts) if part not in WRAPPERS), len(parts))
    return ".".join(parts[: depth + 1]) or name


def _chosen(
    tensors: State, prefixes: Sequence[str], wanted: Shapes, which: str | None, choose_by: str
) -> str:
    """One of the prefixes.

    Raises:
        ValueError: if none has the label that is asked for, or several are as good.
    """
    labels = [prefix.removesuffix(".") for prefix in prefixes]
    some = list(prefixes)
    if which is not None:
        exact = [p for p, label in zip(prefixes, labels, strict=True) if label == which]
        some = exact or [p for p in prefixes if which in p.split(".")]
        if not some:
            there = ", ".join(label or "the top" for label in labels)
            raise ValueError(f"no network in it is called '{which}' (there: {there})")
    best = min(map(_rank, some))[0]
    some = [prefix for prefix in some if _rank(prefix)[0] == best]
    first = _under(tensors, some[0])
    for other in some[1:]:
        second = _under(tensors, other)
        if not all(name in second and torch.equal(first[name], second[name]) for name in wanted):
            names = ", ".join(prefix.removesuffix(".") or "the top" for prefix in some)
            raise ValueError(
                f"holds {len(some)} networks that may be meant ({names}); choose one by {choose_by}"
            )
    return some[0]


def _rank(prefix: str) -> tuple[int, int]:
    """Lower is taken first: teachers and averages, then plain networks, then students."""
    words = set(re.split(r"[._]", prefix.lower()))
    kind = 0 if words & _AVERAGED else 2 if "student" in words else 1
    return kind, prefix.count(".")


def _complete(tensors: State, wanted: Shapes) -> Iterator[str]:
    """Prefixes under which every tensor that is wanted lies in its shape."""
    required = {name: shape for name, shape in wanted.items() if not name.endswith(_OPTIONAL)}
    for prefix, count in _matches(tensors, wanted).items():
        if count < len(required):
            continue
        there = (tensors.get(prefix + name) for name in required)
        if all(
            tensor is not None and tuple(tensor.shape) == shape
            for tensor, shape in zip(there, required.values(), strict=True)
        ):
            yield prefix


def _matches(tensors: State, wanted: Shapes) -> Counter[str]:
    """How many of the wanted names lie under each prefix."""
    counts: Counter[str] = Counter()
    for name in tensors:
        start = 0
        for _ in range(_DEPTH + 1):
            if name[start:] in wanted:
                counts[name[:start]] += 1
            start = name.find(".", start) + 1
            if not start:
                break
    return counts


def _wrapped(tensors: State) -> list[str]:
    """Prefixes made of wrappers' names, under which most of a network lies, the fullest first.

    Where more than heads lies beside a prefix, the prefix is a part of a network, not a wrapper.
    """
    groups: Counter[str] = Counter()
    heads: Counter[str] = Counter()
    for name in tensors:
        parts = name.split(".")[:_DEPTH]
        depth = next((i for i, part in enumerate(parts) if part not in WRAPPERS), len(parts) - 1)
        prefix = "".join(f"{part}." for part in parts[:depth])
        groups[prefix] += 1
        heads[prefix] += TRAINING_ONLY.fullmatch(parts[depth]) is not None
    for prefix in sorted(groups, key=len, reverse=True):
        around = [other for other in groups if other != prefix and prefix.startswith(other)]
        above = max(around, key=len, default=None)
        if above is not None and groups[above] > heads[above]:
            groups[above] += groups.pop(prefix)
    whole = [prefix for prefix in groups if groups[prefix] > heads[prefix]] or list(groups)
    most = max((groups[prefix] for prefix in whole), default=0)
    return sorted((p for p in whole if 2 * groups[p] > most), key=_rank) or [""]


def _unchunked(tensors: State) -> tuple[dict[str, Tensor], frozenset[str]]:
    """`blocks.<chunk>.<block>.` as `blocks.<block>.`, where all blocks of a network are chunked.

    Source: Oquab et al., DINOv2: its chunks keep the numbers of the whole network. Chunks that
    each start at 0 are counted on.
    """
    matches = {name: _CHUNKED.fullmatch(name) for name in tensors}
    numbers: dict[str, set[tuple[int, int]]] = {}
    for match in matches.values():
        if match:
            pair = int(match["chunk"]), int(match["block"])
            numbers.setdefault(match["head"], set()).add(pair)
    block_of: dict[tuple[str, int, int], int] = {}
    for head, pairs in numbers.items():
        own = len({block for _, block in pairs}) == len(pairs)
        for count, (chunk, block) in enumerate(sorted(pairs)):
            block_of[head, chunk, block] = block if own else count
    named: dict[str, Tensor] = {}
    for name, match in matches.items():
        new = name
        if match:
            block = block_of[match["head"], int(match["chunk"]), int(match["block"])]
            new = f"{match['head']}.{block}.{match['rest']}"
        named[new] = tensors[name]
    return named, frozenset(numbers)


def _under(tensors: State, prefix: str) -> dict[str, Tensor]:
    """Tensors under a prefix, by their names without it."""
    start = len(prefix)
    return {name[start:]: value for name, value in tensors.items() if name.startswith(prefix)}


def _tensors(
    table: Mapping[Any, Any], path: str, depth: int, seen: set[int]
) -> Iterator[tuple[str, Tensor]]:
    """Tensors of a table and of the tables in it, each once, with the keys that lead to them."""
    seen.add(id(table))
    for key, value in table.items():
        if not isinstance(key, str):
            continue
        if _is_plain(value):
            yield path + key, value
        elif isinstance(value, Mapping) and depth and id(value) not in seen:
            yield from _tensors(value, f"{path}{key}.", depth - 1, seen)


def _is_plain(value: object) -> TypeGuard[Tensor]:
    """Whether something is a tensor of real numbers with memory of its own."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not (value.is_complex() or value.is_quantized)
    )
