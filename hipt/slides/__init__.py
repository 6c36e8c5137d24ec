"""Open slides, decode them, read ahead."""
