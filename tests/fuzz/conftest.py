"""Fixtures of the steps, for files and names that are hostile to them."""

from __future__ import annotations

from tests.steps.conftest import browser, chain

__all__ = ["browser", "chain"]
