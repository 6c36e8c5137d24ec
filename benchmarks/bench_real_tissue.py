"""What stage 1 learned from a few real slides, or a published encoder knows, of real tiles.

    python benchmarks/bench_real_tissue.py --trained FOLDER --tiles DIR --asked atlas oral drawn ...
    python benchmarks/bench_real_tissue.py --encoder efficientnet-lite0 --tiles DIR

FOLDER is of `real_training.py`: its teachers are asked for the class of labelled tiles by a linear
probe, from the first to the last, the last by neighbours too. DIR holds tiles.csv. A training that
saw a slide from which, or from whose repository, a tile comes is refused. Baselines: the same
network with random weights, colours alone, grey values and gradients alone.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from real_training import kept, spread, trained_network
from tiles import PAIRS, Floats, Ints, Pixels, Question, questions_of
from torch import nn

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.weights_files import load_patch_encoder
from hipt.nn.encoders import HIPT_MEAN, HIPT_STD, PatchEncoder, embedded, inference
from hipt.nn.preprocessing import PatchInput
from hipt.stats.bootstrap import bootstrap_balanced_accuracy
from hipt.stats.intervals import difference, interval
from hipt.stats.knn import knn_predict, standardised
from hipt.stats.linear_probe import RESAMPLES, Judged, judged, linear_hits

K = 10
"""Neighbours that vote, whatever the features."""

RANDOM_SEEDS = (1001, 1002, 1003)
CPU = torch.device("cpu")
LINES = 7
"""Teachers of a training that the curve shows."""
REPEATED = ("oral in blocks", "atlas by slide", *PAIRS)
"""Questions whose tiles another one asks too."""

Kind = Callable[[Pixels], Floats]


def refuse_seen(folder: Path, slides: Path | None, sources: Sequence[str]) -> None:
    """Stop where a training saw a slide that tiles come from, or another one of its repository.

    Args:
        folder: of the training.
        slides: folder with a slides.csv, which names repositories.
        sources: repository and file of each tile.
    """
    repository: dict[str, str] = {}
    for table in slides.rglob("slides.csv") if slides else ():
        with table.open(newline="") as file:
            repository |= {row["filename"]: row["source_repo"] for row in csv.DictReader(file)}
    taken = {word for source in sources for word in source.split()}
    with (folder / "slides.csv").open(newline="") as file:
        names = [Path(row["path"]).name for row in csv.DictReader(file)]
    seen = [name for name in names if taken & {name, repository.get(name)}]
    if seen:
        raise SystemExit(f"{folder}: was trained on {', '.join(seen)}, which questions come from")


def network(model: nn.Module, dim: int) -> Kind:
    """A backbone as features, with the project's normalisation, on tiles of any size."""
    encoder = PatchEncoder(model, dim, PatchInput(px=None, mean=HIPT_MEAN, std=HIPT_STD)).eval()

    def embed(pixels: Pixels) -> Floats:
        with inference("fp32", CPU):
            parts = torch.from_numpy(pixels.copy()).split(16)
            return torch.cat([encoder(part) for part in parts]).numpy()

    return embed


def colour(pixels: Pixels) -> Floats:
    """Means and standard deviations of R, G, B: 6 numbers."""
    return np.hstack([pixels.mean((1, 2)), pixels.std((1, 2))])


def texture(pixels: Pixels) -> Floats:
    """Grey values in 10 bins, gradients by direction in 8, mean gradient: 19 numbers."""
    found = []
    for image in pixels:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
        down, across = np.gradient(grey)
        size, angle = np.hypot(across, down), np.arctan2(down, across)
        values = np.histogram(grey, 10, (0, 256))[0] / grey.size
        angles = np.histogram(angle, 8, (-np.pi, np.pi), weights=size)[0] / (size.sum() + 1e-9)
        found.append([*values, *angles, size.mean()])
    return np.array(found)


def neighbour_hits(question: Question, kind: Kind, *, jittered: bool) -> Floats:
    """(N,) 1 where a tile's neighbours say its class, else 0."""
    found = []
    for part in question.parts:
        keys, count = kind(part.pixels), len(part.labels)
        both = standardised(np.concatenate([keys, kind(part.jittered)]) if jittered else keys)
        said = knn_predict(both[-count:], both[:count], part.labels, K, (part.group, part.group))
        found.append(said == part.labels)
    return np.concatenate(found).astype(np.float64)


def probe_hits(question: Question, kind: Kind, fraction: float) -> Floats:
    """(N,) how often a linear model that never saw a tile's group says its class."""
    found = [
        linear_hits(kind(part.pixels), part.labels, part.group, fraction, 0)
        for part in question.parts
    ]
    return np.concatenate(found)


def balanced(hit: Floats, labels: Ints) -> float:
    """Balanced accuracy from hits."""
    return float(np.mean([hit[labels == kind].mean() for kind in np.unique(labels)]))


def curve(folder: Path, questions: Sequence[Question]) -> None:
    """Print what the teachers of a training know on the way."""
    heads = ["iterations", "loss", "teacher's entropy", *(q.name for q in questions), "mean"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    once = apart(questions)
    for one in spread(kept(folder / "teachers"), LINES):
        kind = remembering(features(folder, one.path))
        scores = [balanced(probe_hits(q, kind, 1.0), q.labels) for q in questions]
        cells = [f"{one.iteration:,}", f"{one.loss:.2f}", f"{one.entropy:.2f}"]
        counted = [x for x, q in zip(scores, questions, strict=True) if q.name in once]
        cells += [f"{score:.3f}" for score in [*scores, np.mean(counted)]]
        print("| " + " | ".join(cells) + " |", flush=True)


def features(folder: Path, weights: Path | int) -> Kind:
    """A network of a training, or the same with random weights of a seed."""
    model = trained_network(folder, weights)
    return network(model, model.dim)


def compare(trained: Sequence[Kind], random: Sequence[Kind], questions: Sequence[Question]) -> None:
    """Print how well every kind of features answers, and how far the trained one is ahead of it.

    Hits of a kind's members are averaged. Intervals are over groups, and missing where a class has
    fewer than five. The mean is over questions that share no tiles.
    """
    kinds = {
        "trained": trained,
        "same network, random (mean of 3)": random,
        "mean and sd of R, G, B (6)": [colour],
        "grey values and gradients (19)": [texture],
    }
    kinds = {name: [remembering(kind) for kind in members] for name, members in kinds.items()}
    for way, hits in WAYS.items():
        print(f"\n| {way} | " + " | ".join([*(q.name for q in questions), "mean"]) + " |")
        print("|---" * (len(questions) + 2) + "|")
        found = [
            np.stack([np.mean([hits(q, kind) for kind in group], 0) for group in kinds.values()])
            for q in questions
        ]  # [M, N] of each question
        columns = [
            judged(list(x), q.labels, q.groups, 0) for x, q in zip(found, questions, strict=True)
        ]
        columns.append(judged_together(found, questions))
        rows = list(zip(*columns, strict=True))
        for name, row in zip(kinds, rows, strict=True):
            cells = [f"{it.balanced_accuracy:.3f}{between(it.low, it.high)}" for it in row]
            print(f"| {name} | " + " | ".join(cells) + " |")
        for name, row in list(zip(kinds, rows, strict=True))[1:]:
            cells = [
                f"{it.difference:+.3f}{between(it.difference_low, it.difference_high, it.p)}"
                for it in row
            ]
            print(f"| trained minus {name} | " + " | ".join(cells) + " |", flush=True)


def apart(questions: Sequence[Question]) -> set[str]:
    """Names of questions that share no tiles; of drawn tiles those with colours alike, if asked."""
    names = {q.name for q in questions} - set(REPEATED)
    return names - {name.replace("alike", "drawn") for name in names if name.endswith("alike")}


def judged_together(found: Sequence[Floats], questions: Sequence[Question]) -> list[Judged]:
    """The mean over questions that share no tiles, each resampled for itself.

    Args:
        found: hits [M, N] of M kinds of features, question by question.
        questions: theirs.
    """
    drawn, scores, once = [], [], apart(questions)
    for number, (hits, q) in enumerate(zip(found, questions, strict=True)):
        if q.name in once:
            y = np.unique(q.labels, return_inverse=True)[1]
            drawn.append(bootstrap_balanced_accuracy(y, hits, q.groups, RESAMPLES, number))
            scores.append([balanced(x, q.labels) for x in hits])
    both, mean = np.nanmean(drawn, 0), np.mean(scores, 0)  # [M, R], (M,)
    return [
        Judged(float(s), *interval(d)[:2], float(mean[0] - s), *difference(both[0], d))
        for s, d in zip(mean, both, strict=True)
    ]


WAYS: dict[str, Callable[[Question, Kind], Floats]] = {
    f"{K}-NN": partial(neighbour_hits, jittered=False),
    f"{K}-NN, jittered queries": partial(neighbour_hits, jittered=True),
    "linear probe, 10 % of the training part": partial(probe_hits, fraction=0.1),
    "linear probe": partial(probe_hits, fraction=1.0),
}
"""How features are asked."""


def between(low: float, high: float, p: float | None = None) -> str:
    """An interval, and the p value of a difference; nothing where there is none."""
    if np.isnan(low):
        return ""
    return f" ({low:.3f} to {high:.3f}" + (")" if p is None else f", p {p:.3f})")


def remembering(kind: Kind) -> Kind:
    """The same features; no array of pixels is embedded twice."""
    known: dict[int, Floats] = {}

    def embed(pixels: Pixels) -> Floats:
        if id(pixels) not in known:
            known[id(pixels)] = kind(pixels)
        return known[id(pixels)]

    return embed


def published(preset: str, random: int | None = None) -> Kind:
    """A published encoder whose weights a package brings, or its network with random weights."""
    encoder = load_patch_encoder(PatchEncoderConfig(encoder=preset, random=random))
    return lambda pixels: embedded(encoder, torch.from_numpy(pixels.copy()), 16, "fp32", 1).numpy()


def main() -> None:
    """Print the curve and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--encoder", help="a published one whose weights are installed")
    which.add_argument("--trained", type=Path, metavar="FOLDER", help="of real_training.py")
    parser.add_argument("--tiles", type=Path, required=True)
    asked = ["oral", "atlas", "pairs", "drawn", "alike"]
    parser.add_argument("--asked", nargs="+", choices=asked, default=["oral", "pairs"])
    parser.add_argument(
        "--slides-of-questions", type=Path, metavar="DIR", help="for drawn and alike"
    )
    args = parser.parse_args()
    if {"drawn", "alike"} & set(args.asked) and not args.slides_of_questions:
        parser.error("drawn and alike need --slides-of-questions")
    torch.set_num_threads(1)
    questions, sources = questions_of(args.tiles, args.asked, args.slides_of_questions)
    sizes = ", ".join(f"{q.name} {len(q.labels)}" for q in questions)
    print(f"Asked for the class of tiles: {sizes}.\n")
    if args.encoder:
        unlearned = [published(args.encoder, seed) for seed in RANDOM_SEEDS]
        compare([published(args.encoder)], unlearned, questions)
    else:
        refuse_seen(args.trained, args.slides_of_questions, sources)
        curve(args.trained, questions)
        last = kept(args.trained / "teachers")[-1]
        unlearned = [features(args.trained, seed) for seed in RANDOM_SEEDS]
        compare([features(args.trained, last.path)], unlearned, questions)


if __name__ == "__main__":
    main()
