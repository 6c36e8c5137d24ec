"""Scores, survival, bootstrap, neighbours, baselines. Pure NumPy."""
