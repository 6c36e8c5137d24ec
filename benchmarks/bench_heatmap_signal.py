"""Do heatmaps find what was painted? Necrosis on 80 painted slides, by folds that never saw them.

    python benchmarks/bench_heatmap_signal.py OUT --models DIR [--cores 2]

Paints a cohort into OUT, embeds it with the networks in DIR (`vit256.safetensors` and
`vit4096.safetensors` of a demo run: demo/results/models), asks which slides hold more than a tenth
of necrosis, and compares every map with the painted necrosis. Prints how well each model names the
slides and how well its maps find the patches.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import yaml

ROOT = Path(__file__).parents[1]
NECROSIS = 5
"""Its grey value on the painted maps."""


def configure(out: Path, models: Path) -> Path:
    """Labels and config; returns the config."""
    slides = json.loads((out / "truth" / "truth.json").read_text())["slides"]
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["slide_id", "necrosis"])
        for slide in slides:
            much = slide["shares"].get("necrosis", 0) > 0.1
            writer.writerow([slide["slide_id"], "present" if much else "absent"])
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    del config["pretrain"], config["probe"]
    config["slides"]["sheet"] = str(out / "slides.csv")
    config["results"] = str(out / "results")
    for stage, name in (("patches", "vit256"), ("regions", "vit4096")):
        config["embed"][stage]["weights"] = str(models / f"{name}.safetensors")
    task = {"kind": "classification", "label": "necrosis", "labels": str(out / "labels.csv")}
    task |= {"folds": 4, "validation": 0.2, "models": ["linear", "abmil", "hipt"]}
    config["tasks"] = {"necrosis": task | {"fit": {"epochs": 30, "batch": 8, "lr": 0.001}}}
    config["attend"] = {"slides": "all", "labels": str(out / "truth"), "target": [NECROSIS]}
    path = out / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def main() -> None:
    """Paint, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--slides", type=int, default=80)
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    out = args.out.resolve()
    paint = ["--out", str(out), "--slides", str(args.slides), "--seed", "7"]
    subprocess.run([sys.executable, "-m", "hipt.demo", *paint], check=True)
    config = configure(out, args.models.resolve())
    targets = [out / "results/agreement.parquet", out / "results/tasks/necrosis/scores.parquet"]
    command = ["snakemake", "-s", str(ROOT / "workflow/Snakefile"), "--cores", str(args.cores)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        [*command, "--configfile", str(config), "--", *map(str, targets)],
        check=True,
        env=os.environ | {"PATH": path},
    )
    scores = pl.read_parquet(targets[1]).filter(pl.col("fold").is_null(), metric="auc")
    for model, value, low, high in scores.select("model", "value", "low", "high").iter_rows():
        print(f"{model}: slides told apart with AUC {value:.3f} ({low:.3f} to {high:.3f})")
    found = pl.read_parquet(targets[0]).group_by("map", maintain_order=True)
    for name, mean, sd, slides in found.agg(
        pl.mean("auc"), pl.std("auc").alias("sd"), pl.len()
    ).iter_rows():
        print(f"{name}: AUC of patches {mean:.3f}, sd {sd:.3f} over {slides} slides")


if __name__ == "__main__":
    main()
