"""The Hierarchical Image Pyramid Transformer (Chen et al., CVPR 2022) as a workflow.

In Python: `open` results, or `segment`, `tile` and `embed` one slide; docs/notebook.md.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as typing's, without its import: Snakemake reads this while parsing
if TYPE_CHECKING:
    from hipt.errors import HiptError as HiptError
    from hipt.notebook.one_slide import embed as embed
    from hipt.notebook.one_slide import segment as segment
    from hipt.notebook.one_slide import tile as tile
    from hipt.notebook.opened import open_results as open  # noqa: F401 (see __all__)

__version__ = "0.1.0"

# without `open`, so that `from hipt import *` leaves that of Python as it is
__all__ = ["HiptError", "embed", "segment", "tile"]

_FROM = {
    "HiptError": ("hipt.errors", "HiptError"),
    "embed": ("hipt.notebook.one_slide", "embed"),
    "open": ("hipt.notebook.opened", "open_results"),
    "segment": ("hipt.notebook.one_slide", "segment"),
    "tile": ("hipt.notebook.one_slide", "tile"),
}
"""Where each name is, loaded when it is first asked for."""


if not TYPE_CHECKING:  # so that a name that is not there is found

    def __getattr__(name: str) -> object:
        """A public name, from its module."""
        if name not in _FROM:
            raise AttributeError(f"module 'hipt' has no attribute '{name}'")
        module, inner = _FROM[name]
        return getattr(import_module(module), inner)


def __dir__() -> list[str]:
    """The public names beside what is loaded."""
    return sorted({*globals(), *_FROM})
