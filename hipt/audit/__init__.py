"""What a results folder is, and how two differ."""
