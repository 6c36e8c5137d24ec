"""The paper's nearest neighbours on its own folds: AUC of three subtypings, ours and as published.

    python benchmarks/bench_knn.py ../shared/tcga ../shared/tcga/slide_embeddings.parquet \
        tcga/features.parquet

The folder has labels/ and splits/; each file has slide_id and embedding, one or more rows per slide
(benchmarks/tcga_features.py makes the second from quantised regions). The steps `split` and `knn`
run as in the workflow, with 5 Euclidean neighbours. Published numbers are those that the notebook
slide_extraction-evaluation.ipynb of the paper's code prints: mean and standard deviation over ten
folds, and fold 0.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import polars as pl

from hipt.config.config import Config
from hipt.config.step_settings import task_settings
from hipt.steps import knn, split

TASKS = {
    "brca": ("IDC", "ILC"),
    "lung": ("LUAD", "LUSC"),
    "kidney": ("CCRCC", "PRCC", "CHRCC"),
}
PUBLISHED = {
    "brca": (0.775, 0.042, 0.808),
    "lung": (0.889, 0.027, 0.947),
    "kidney": (0.974, 0.016, 0.979),
}


def auc_of(source: Path, features: Path, name: str, folder: Path) -> tuple[float, float, float]:
    """Mean and deviation over folds, and fold 0."""
    ids = sorted(set(pl.read_parquet(features, columns=["slide_id"])["slide_id"]))
    sheet = folder / "slides.csv"
    pl.DataFrame({"slide_id": ids}).with_columns(path=pl.col("slide_id") + ".svs").write_csv(sheet)
    task = {
        "kind": "classification",
        "label": "oncotree_code",
        "classes": TASKS[name],
        "labels": str(source / "labels" / f"tcga_{name}_subset.csv"),
        "features": str(features),
        "split": "files",
        "split_files": str(source / "splits" / "10foldcv_subtype" / f"tcga_{name}"),
    }
    values = {"slides": {"sheet": str(sheet), "case_from": "tcga"}, "tasks": {name: task}}
    config = Config.model_validate(values | {"knn": {"distances": ["euclidean"]}})
    told = {step: task_settings(step, config, name) for step in ("split", "knn")}
    folds, scores = folder / "folds.parquet", folder / "scores.parquet"
    split.run(folder / "none", folds, folder / "leaks.parquet", told["split"])
    knn.run(folds, folder / "none", folder / "knn.parquet", scores, told["knn"])
    rows = pl.read_parquet(scores)
    over = dict(rows.filter(pl.col("fold").is_null()).select("metric", "value").iter_rows())
    first = rows.filter(fold=0, metric="auc")["value"].item()
    return over["auc_mean"], over["auc_sd"], first


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder with labels and splits")
    parser.add_argument("features", type=Path, nargs="+", help="Parquet files of slides or regions")
    args = parser.parse_args()
    print("| features | task | AUC over 10 folds | published | fold 0 | published | equal | s |")
    print("|---|---|---|---|---|---|---|---|")
    for features in args.features:
        for name, (mean, sd, first) in PUBLISHED.items():
            start = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                found = auc_of(args.source, features, name, Path(folder))
            seconds = time.perf_counter() - start
            equal = [round(value, 3) for value in found] == [mean, sd, first]
            print(
                f"| {features.stem} | {name} | {found[0]:.3f} ± {found[1]:.3f} | {mean:.3f} ± "
                f"{sd:.3f} | {found[2]:.3f} | {first:.3f} | {'yes' if equal else 'no'} | "
                f"{seconds:.1f} |"
            )


if __name__ == "__main__":
    main()
