"""Prediction tasks on disk: labels, folds, fits, predictions, scores."""
