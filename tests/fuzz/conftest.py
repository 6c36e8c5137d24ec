"""Fixtures of the steps, for files and names that are hostile to them."""

from __future__ import annotations

from tests.steps.conftest import chain

__all__ = ["chain"]
