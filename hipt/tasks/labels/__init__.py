"""What a task has to predict, as tables from anywhere have it."""
