"""One module per rule: read, compute, write. Steps meet in files and never import each other."""

VERSION = {
    "segment": 2,
    "tile": 2,
    "embed_patches": 4,
    "embed_regions": 3,
    "pretrain": 4,
    "slides": 3,
    "probe": 3,
    "split": 2,
    "fit": 3,
    "evaluate": 4,
    "knn": 3,
    "attend": 2,
    "agreement": 2,
    "examples": 3,
    "export": 2,
    "report": 7,
}
"""Raised by one when a step's results change: everything that it made is then made again."""
