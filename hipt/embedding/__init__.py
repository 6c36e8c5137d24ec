"""Weights files and their identity, devices, the embedder, rates."""
