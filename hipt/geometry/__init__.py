"""Where things lie on a slide: tissue, grid, resolution. NumPy alone."""
