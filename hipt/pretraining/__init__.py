"""Self-supervised pretraining: corpus, sources of patches and grids, the loop, its state."""
