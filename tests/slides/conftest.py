"""The steps, for what is seen of a slide only when it is worked on."""

from tests.steps.conftest import chain

__all__ = ["chain"]
