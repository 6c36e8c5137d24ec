"""Damaged and hostile files against every reader of what comes from outside."""
