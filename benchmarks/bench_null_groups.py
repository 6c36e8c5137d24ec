"""How often a cohort in which nothing can be predicted looks as if something could.

    python benchmarks/bench_null_groups.py [--shuffles 500]

Outcomes are shuffled, and the ridge Cox models of all folds are fitted again (penalty by the
validation part). Counted are p < 0.05 of the log-rank test between the halves by out-of-fold risk,
and 95 % bootstrap intervals over cases of the c-index that do not hold 0.5. Both take predictions
for given, though each fold's model was trained on cases that another fold tests; right were 5 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.stats.null_cohorts import Setting, excludes_chance, log_rank_p, shuffled  # noqa: E402

SETTINGS = (
    Setting(80, 10, 5, 0.6),
    Setting(200, 2, 5, 0.4),
    Setting(200, 50, 5, 0.4),
    Setting(200, 50, 10, 0.4),
    Setting(100, 300, 5, 0.5),
)


def main() -> None:
    """Print a line per setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shuffles", type=int, default=500)
    shuffles = parser.parse_args().shuffles
    print("| cases | numbers | folds | events | log-rank p < 0.05 | c-index without 0.5 | s |")
    print("|---|---|---|---|---|---|---|")
    for setting in SETTINGS:
        start = time.perf_counter()
        counted = [
            (log_rank_p(one) < 0.05, excludes_chance(one))
            for one, _ in shuffled(setting, shuffles, 0)
        ]
        p, outside = np.mean(counted, axis=0)
        cells = (*setting[:3], f"{setting.events:.0%}", f"{p:.1%}", f"{outside:.1%}")
        print(f"| {' | '.join(map(str, cells))} | {time.perf_counter() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
