"""One module per rule: read, compute, write. Steps meet in files and never import each other."""
