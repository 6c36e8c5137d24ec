"""Weights files and their identity, what encoders take, and what is known of them before a run."""
