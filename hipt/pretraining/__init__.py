"""What models are trained on without labels, and where their training stands."""
