"""Cross-validation: training, validation and test parts of a task, and the audit of their leaks."""
