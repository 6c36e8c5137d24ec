"""One module per rule: read, compute, write. Steps meet in files and never import each other."""

VERSION = {
    "segment": 2,
    "tile": 2,
    "embed_patches": 4,
    "embed_regions": 3,
    "pretrain": 3,
    "slides": 3,
    "probe": 2,
    "split": 1,
    "fit": 2,
    "evaluate": 3,
    "knn": 2,
    "attend": 1,
    "agreement": 1,
    "examples": 1,
    "export": 2,
    "report": 5,
}
"""Raised by one when a step's results change: everything that it made is then made again."""
