"""Where things lie on a slide: resolution, levels, grid, tissue, lattices. Pure NumPy."""
