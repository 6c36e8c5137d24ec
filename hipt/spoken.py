"""What commands print that answer a person: times, sizes and rates as people say them."""

from __future__ import annotations


def say(head: str, text: str) -> None:
    """One line of the answer."""
    print(f"{head:10}{text}", flush=True)  # noqa: T201


def time_text(hours: float) -> str:
    """A time as people say it."""
    if hours * 60 < 1:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:,.0f} min" if hours < 2 else f"{hours:,.1f} h"


def size_text(size: float) -> str:
    """Bytes as people say them."""
    return f"{size / 1e6:,.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def rate_text(per_s: float) -> str:
    """A rate with three digits or all before the point."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"
