"""What stage 1 learns from a few real slides, or a published encoder knows, of real tiles.

    python benchmarks/bench_real_tissue.py SLIDE... --tiles DIR [--iterations 2000] [--keep FILE]
    python benchmarks/bench_real_tissue.py --encoder efficientnet-lite0 --tiles DIR

Trains a small network with the project's own trainer on patches straight out of the slides, and
asks its features for the class of labelled tiles: on the way by neighbours, in the end by a linear
probe too. DIR holds tiles.csv, beside the slides lies slides.csv. Slides from a repository that a
question's tiles come from are not trained on. Baselines: the same network with random weights,
colours alone, grey values and gradients alone.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from cohort import Cohort
from tiles import PAIRS, Floats, Ints, Pixels, Question, questions_of
from torch import nn

from hipt.config.config import PatchEncoderConfig
from hipt.config.step_settings import settings
from hipt.embedding.weights_files import load_patch_encoder, write_weights
from hipt.nn.dino.trainer import Trainer, step_seed
from hipt.nn.encoders import HIPT_MEAN, HIPT_STD, PatchEncoder, embedded, inference
from hipt.nn.preprocessing import PatchInput
from hipt.nn.vit import initialise
from hipt.pretraining.stages import Stage, stage_of
from hipt.stats.knn import knn_predict, standardised
from hipt.stats.linear_probe import judged, linear_hits

K = 10
"""Neighbours that vote, whatever the features."""

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

Kind = Callable[[Pixels], Floats]


def unseen(slides: Sequence[Path], sources: Sequence[str]) -> list[Path]:
    """The slides from which, and from whose repository, no tile comes.

    A repository is looked up in the slides.csv beside a slide or one folder up; of a slide that is
    not in it the name alone counts.
    """
    repository: dict[str, str] = {}
    for folder in {folder for slide in slides for folder in (slide.parent, slide.parent.parent)}:
        if (folder / "slides.csv").exists():
            with (folder / "slides.csv").open(newline="") as file:
                repository |= {row["filename"]: row["source_repo"] for row in csv.DictReader(file)}
    taken = {word for source in sources for word in source.split()}
    return [slide for slide in slides if not taken & {slide.name, repository.get(slide.name)}]


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
            q.name: balanced(neighbour_hits(q, kind, jittered=jittered), q.labels)
            for q in self.questions
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


def compare(trained: Sequence[Kind], random: Sequence[Kind], questions: Sequence[Question]) -> None:
    """Print how well every kind of features answers, and how far the trained one is ahead of it.

    Hits of a kind's members are averaged. Intervals are over groups, and missing where a class has
    fewer than five.
    """
    kinds = {
        "trained": trained,
        "same network, random (mean of 3)": random,
        "mean and sd of R, G, B (6)": [colour],
        "grey values and gradients (19)": [texture],
    }
    kinds = {name: [remembering(kind) for kind in members] for name, members in kinds.items()}
    for way, hits in WAYS.items():
        print(f"\n| {way} | " + " | ".join(q.name for q in questions) + " |")
        print("|---" * (len(questions) + 1) + "|")
        columns = []
        for q in questions:
            found = [np.mean([hits(q, kind) for kind in group], 0) for group in kinds.values()]
            columns.append(judged(found, q.labels, q.groups, 0))
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


def untrained(stage: Stage) -> list[Kind]:
    """The network of a training, with random weights."""
    models = [stage.make(0.0) for _ in RANDOM_SEEDS]
    for model, seed in zip(models, RANDOM_SEEDS, strict=True):
        initialise(model, seed)
    return [network(model, model.dim) for model in models]


def published(preset: str, random: int | None = None) -> Kind:
    """A published encoder whose weights a package brings, or its network with random weights."""
    encoder = load_patch_encoder(PatchEncoderConfig(encoder=preset, random=random))
    return lambda pixels: embedded(encoder, torch.from_numpy(pixels.copy()), 16, "fp32", 1).numpy()


def main() -> None:
    """Print the curve and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slides", nargs="*", type=Path)
    parser.add_argument("--encoder", help="a published one whose weights are installed; no slides")
    parser.add_argument("--tiles", type=Path, required=True)
    asked = ["oral", "atlas", "pairs", "drawn", "alike"]
    parser.add_argument("--asked", nargs="+", choices=asked, default=["oral", "pairs"])
    parser.add_argument(
        "--slides-of-questions", type=Path, metavar="DIR", help="for drawn and alike"
    )
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.004)
    parser.add_argument("--momentum", type=float, default=0.98)
    parser.add_argument("--colours", choices=list(COLOURS), default="default")
    parser.add_argument("--mpp", type=float, default=0.5, help="um/px to train at; oral: about 1")
    parser.add_argument("--keep", type=Path, help="safetensors for the teacher, at every line")
    args = parser.parse_args()
    torch.set_num_threads(1)
    questions, sources = questions_of(args.tiles, args.asked, args.slides_of_questions)
    sizes = ", ".join(f"{q.name} {len(q.labels)}" for q in questions)
    print(f"Asked for the class of tiles: {sizes}.\n")
    if args.encoder:
        unlearned = [published(args.encoder, seed) for seed in RANDOM_SEEDS]
        compare([published(args.encoder)], unlearned, questions)
    else:
        train_and_compare(args, questions, sources)


def train_and_compare(
    args: argparse.Namespace, questions: Sequence[Question], sources: Sequence[str]
) -> None:
    """Train on the slides that no question comes from; ask before, on the way, and at the end."""
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
        print(f"Trained on {stage.items:,} patches: {corpus}.\n")
        trained = train(stage, Curve(questions), args.keep).product()
        compare([network(trained, trained.dim)], untrained(stage), questions)


if __name__ == "__main__":
    main()
