"""What stage 1 learns from a few real slides: neighbours among real tiles, as training goes on.

    python benchmarks/bench_real_tissue.py SLIDE... --tiles DIR [--iterations 2000] [--keep FILE]

Trains a small network with the project's own trainer on patches straight out of the slides, and
asks its features on the way for the class of labelled tiles: DIR holds tiles.csv, beside the slides
lies slides.csv. Slides from a repository that a question's tiles come from are not trained on.
Baselines: the same network with random weights, colours alone, grey values and gradients alone.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from cohort import Cohort
from torch import nn

from hipt.config.pretraining import PatchViewsConfig
from hipt.config.step_settings import settings
from hipt.embedding.weights_files import write_weights
from hipt.nn.dino.colours import draw_colours, recolour
from hipt.nn.dino.trainer import Trainer, step_seed
from hipt.nn.encoders import HIPT_MEAN, HIPT_STD, PatchEncoder, inference
from hipt.nn.preprocessing import PatchInput
from hipt.nn.vit import initialise
from hipt.pretraining.stages import Stage, stage_of
from hipt.stats.knn import knn_predict, standardised

K = 10
"""Neighbours that vote, whatever the features."""

PAIRS = {
    "spleen": ("spleen_red_pulp", "spleen_white_pulp"),
    "lung": ("scc_tumour", "tumour_stroma"),
    "mass": ("spindle_tumour", "dermis", "adipose"),
}
"""Questions inside one slide; a slide that lacks a class is no part of it."""

ORAL = ("oral_normal", "oral_oscc")
BLOCKS = 10
"""Runs of fields with neighbouring numbers, perhaps of one patient, that do not vote on each other;
as many of either class."""
OVERLAP = 0.4
"""Least phase correlation of two camera fields that overlap; unrelated ones have 0.05 to 0.3."""

JITTER = PatchViewsConfig(
    jitter=1, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, grayscale=0, blur=(0, 0, 0)
)
"""How colours of queries are changed, where they are; never those of the keys."""

EVALUATED = (0, 100, 200, 400, 700, 1000, 1300, 1600, 2000, 3000, 4000)
RANDOM_SEEDS = (1001, 1002, 1003)
CPU = torch.device("cpu")

VIEWS = {
    "global_px": 128,
    "local_px": 64,
    "local_crops": 4,
    "global_scale": [0.15, 0.4],
    "local_scale": [0.03, 0.1],
    "rotate": True,
}
"""As in config/demo.yaml: half as large from half the field, so that cells keep their size."""

COLOURS: dict[str, dict[str, object]] = {
    "default": {},
    "strong": {"jitter": 1.0, "saturation": 0.5, "hue": 0.2, "grayscale": 0.3},
}
"""How far colours are changed: as by default, or as in config/demo.yaml."""

Pixels = npt.NDArray[np.uint8]  # [N, H, W, 3]
Floats = npt.NDArray[np.floating]  # [N, D], or (N,)
Ints = npt.NDArray[np.int64]  # (N,)
Kind = Callable[[Pixels], Floats]
Row = dict[str, str]


class Part(NamedTuple):
    """Tiles among which neighbours are looked for."""

    pixels: Pixels
    jittered: Pixels
    labels: Ints
    group: Ints
    """Tiles of one group do not vote on each other."""


class Question(NamedTuple):
    """One task: its parts, slide by slide."""

    name: str
    parts: list[Part]

    @property
    def labels(self) -> Ints:
        """(N,) of all parts."""
        return np.concatenate([part.labels for part in self.parts])


def part_of(tiles: Path, rows: Sequence[Row], group: Ints | None = None) -> Part:
    """Tiles read, and the same with changed colours."""
    pixels = np.stack([cv2.imread(str(tiles / row["file"]))[..., ::-1] for row in rows])
    x = torch.from_numpy(pixels.copy()).movedim(-1, 1).float() / 255
    colours = draw_colours(JITTER, 2, len(x), torch.Generator().manual_seed(0))
    x = recolour(x, colours, 1).movedim(1, -1).mul(255).round().byte()
    labels = np.unique([row["class"] for row in rows], return_inverse=True)[1]
    return Part(pixels, x.numpy(), labels, np.arange(len(rows)) if group is None else group)


def distinct(tiles: Path, rows: Sequence[Row]) -> list[Row]:
    """The tiles without those that overlap an earlier one, or occur under both labels."""
    grey = [cv2.resize(cv2.imread(str(tiles / r["file"]), 0), (112, 112)) for r in rows]
    window, dropped = cv2.createHanningWindow((112, 112), cv2.CV_32F), set()
    images = [np.float32(image) for image in grey]
    for i, j in combinations(range(len(rows)), 2):
        if cv2.phaseCorrelate(images[i], images[j], window)[1] > OVERLAP:
            dropped.add(j)
            if rows[i]["class"] != rows[j]["class"]:
                dropped.add(i)
    return [row for i, row in enumerate(rows) if i not in dropped]


def questions_of(tiles: Path, asked: Sequence[str]) -> tuple[list[Question], list[str]]:
    """The questions, and where their tiles come from."""
    with (tiles / "tiles.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    questions, sources = [], []
    if "oral" in asked:
        rows = distinct(tiles, [row for row in table if row["class"] in ORAL])
        rows.sort(key=lambda r: (r["class"], int(re.findall(r"\d+", Path(r["file"]).stem)[-1])))
        kinds = np.array([row["class"] for row in rows])
        rank = np.array([(kinds[:i] == kind).sum() for i, kind in enumerate(kinds)])
        blocks = rank * BLOCKS // np.array([(kinds == kind).sum() for kind in kinds])
        questions.append(Question("oral", [part_of(tiles, rows)]))
        questions.append(Question("oral in blocks", [part_of(tiles, rows, blocks)]))
        sources += [row["source"] for row in rows]
    for name, classes in PAIRS.items() if "pairs" in asked else ():
        rows = [row for row in table if row["class"] in classes]
        slides = sorted({row["slide"] for row in rows})
        by_slide = [[row for row in rows if row["slide"] == slide] for slide in slides]
        whole = [part for part in by_slide if {row["class"] for row in part} == set(classes)]
        questions.append(Question(name, [part_of(tiles, part) for part in whole]))
        sources += [row["source"] for part in whole for row in part]
    return questions, sources


def unseen(slides: Sequence[Path], sources: Sequence[str]) -> list[Path]:
    """The slides from whose repository no tile comes."""
    with (slides[0].parent / "slides.csv").open(newline="") as file:
        repository = {row["filename"]: row["source_repo"] for row in csv.DictReader(file)}
    taken = {source.split()[0] for source in sources}
    return [slide for slide in slides if repository[slide.name] not in taken]


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


def hits(question: Question, kind: Kind, *, jittered: bool) -> Floats:
    """(N,) 1 where a tile's neighbours say its class, else 0."""
    found = []
    for part in question.parts:
        keys, count = kind(part.pixels), len(part.labels)
        both = standardised(np.concatenate([keys, kind(part.jittered)]) if jittered else keys)
        said = knn_predict(both[-count:], both[:count], part.labels, K, (part.group, part.group))
        found.append(said == part.labels)
    return np.concatenate(found).astype(np.float64)


def balanced(hit: Floats, labels: Ints) -> float:
    """Balanced accuracy from hits."""
    return float(np.mean([hit[labels == kind].mean() for kind in np.unique(labels)]))


def interval(hit: Floats, labels: Ints) -> str:
    """Balanced accuracy, or a difference of two, with the 95 % of a bootstrap within classes."""
    draw = np.random.default_rng(0)
    places = [np.flatnonzero(labels == kind) for kind in np.unique(labels)]
    means = [hit[draw.choice(p, (2000, len(p)))].mean(1) for p in places]
    low, high = np.percentile(np.mean(means, 0), [2.5, 97.5])
    return f"{balanced(hit, labels):.3f} ({low:.3f} to {high:.3f})"


class Curve:
    """Prints a line of the table whenever the networks are asked."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions
        names = [q.name for q in questions]
        heads = ["iterations", "patches", "minutes", "loss", "teacher's entropy", *names]
        heads += ["mean of pairs", "its student", "mean of pairs, jittered"]
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)

    def line(self, head: Sequence[str], trainer: Trainer) -> None:
        """Ask teacher and student."""
        teacher, student = trainer.product(), trainer.student.backbone.eval()
        one = self.scores(network(teacher, teacher.dim), jittered=False)
        two = self.scores(network(student, teacher.dim), jittered=False)
        three = self.scores(network(teacher, teacher.dim), jittered=True)
        trainer.student.train()
        cells = [f"{one[q.name]:.3f}" for q in self.questions]
        cells += [self.mean_of_pairs(scores) for scores in (one, two, three)]
        print("| " + " | ".join([*head, *cells]) + " |", flush=True)

    def scores(self, kind: Kind, *, jittered: bool) -> dict[str, float]:
        """Balanced accuracy of each question."""
        return {
            q.name: balanced(hits(q, kind, jittered=jittered), q.labels) for q in self.questions
        }

    @staticmethod
    def mean_of_pairs(scores: dict[str, float]) -> str:
        """Over the questions inside slides."""
        found = [score for name, score in scores.items() if name in PAIRS]
        return f"{np.mean(found):.3f}" if found else ""


def train(stage: Stage, curve: Curve, keep: Path | None) -> Trainer:
    """Train, and ask on the way; the minutes are those of training alone."""
    total, batch = stage.dino.iterations, stage.dino.batch
    trainer = Trainer(stage.backbone, stage.dino, stage.items // batch, CPU, "fp32")
    losses, entropies, spent = [], [], 0.0
    with stage.source(0, 1, None) as source:
        for iteration in range(total + 1):
            if iteration in EVALUATED or iteration == total:
                seen = [f"{iteration:,}", f"{iteration * batch:,}", f"{spent / 60:.1f}"]
                means = [
                    f"{np.mean(values):.2f}" if values else "" for values in (losses, entropies)
                ]
                curve.line([*seen, *means], trainer)
                losses, entropies = [], []
                if keep:
                    write_weights(keep, trainer.product().state_dict(), stage.metadata())
            if iteration == total:
                break
            start = time.monotonic()
            generator = torch.Generator().manual_seed(step_seed(0, iteration, 0))
            done = trainer.step(iteration, [stage.views(torch.from_numpy(next(source)), generator)])
            spent += time.monotonic() - start
            losses.append(done.loss)
            entropies.append(done.teacher_entropy)
    return trainer


def compare(stage: Stage, trained: nn.Module, questions: Sequence[Question]) -> None:
    """Print every kind of features with its interval, and what the trained one is ahead."""
    untrained = []
    for seed in RANDOM_SEEDS:
        model = stage.make(0.0)
        initialise(model, seed)
        untrained.append(network(model, model.dim))
    kinds: dict[str, list[Kind]] = {
        "trained": [network(trained, trained.dim)],
        "same network, random (mean of 3)": untrained,
        "mean and sd of R, G, B (6)": [colour],
        "grey values and gradients (19)": [texture],
    }
    names = [q.name for q in questions]
    for jittered in (False, True):
        print(f"\n| {'jittered queries' if jittered else 'features'} | " + " | ".join(names) + " |")
        print("|---" * (len(names) + 1) + "|")
        found = {
            name: [
                np.mean([hits(q, kind, jittered=jittered) for kind in members], 0)
                for q in questions
            ]
            for name, members in kinds.items()
        }
        for name, answers in found.items():
            cells = [interval(hit, q.labels) for hit, q in zip(answers, questions, strict=True)]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        for name in list(kinds)[1:]:
            apart = [a - b for a, b in zip(found["trained"], found[name], strict=True)]
            cells = [interval(gap, q.labels) for gap, q in zip(apart, questions, strict=True)]
            print(f"| trained minus {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the curve and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="+", type=Path)
    parser.add_argument("--tiles", type=Path, required=True)
    parser.add_argument("--asked", nargs="+", choices=["oral", "pairs"], default=["oral", "pairs"])
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.004)
    parser.add_argument("--momentum", type=float, default=0.98)
    parser.add_argument("--colours", choices=list(COLOURS), default="default")
    parser.add_argument("--mpp", type=float, default=0.5, help="um/px to train at; oral: about 1")
    parser.add_argument("--keep", type=Path, help="safetensors for the teacher, at every line")
    args = parser.parse_args()
    torch.set_num_threads(1)
    questions, sources = questions_of(args.tiles, args.asked)
    dino = {
        "iterations": args.iterations,
        "batch": args.batch,
        "out_dim": 256,
        "hidden_dim": 512,
        "bottleneck_dim": 64,
        "warmup_iterations": args.iterations // 20,
        "lr": args.lr,
        "teacher_momentum": args.momentum,
        "weight_decay_end": 0.1,
        "drop_path": 0.0,
    }
    recipe = {"views": VIEWS | COLOURS[args.colours], "dino": dino, "min_patch_tissue": 0.25}
    sections = {
        "mpp": args.mpp,
        "tile": {"region_px": 1024},
        "embed": {"patches": {"random": 1, "shape": {"depth": 4, "dim": 192, "heads": 3}}},
        "pretrain": {"patches": recipe},
    }
    with tempfile.TemporaryDirectory() as name:
        cohort = Cohort(Path(name), unseen(args.slides, sources), **sections)
        cohort.run("segment", "tile")
        stage = stage_of("patches", settings("pretrain", cohort.config), cohort.results, 1)
        corpus = ", ".join(f"{m.slide_id} {m.patches}" for m in stage.members)
        print(f"Trained on {stage.items:,} patches: {corpus}.")
        sizes = ", ".join(f"{q.name} {len(q.labels)}" for q in questions)
        print(f"Asked for the class of tiles: {sizes}.\n")
        trainer = train(stage, Curve(questions), args.keep)
        compare(stage, trainer.product(), questions)


if __name__ == "__main__":
    main()
