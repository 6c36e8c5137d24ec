"""Results in a browser: slides, heatmaps on them, neighbours."""
