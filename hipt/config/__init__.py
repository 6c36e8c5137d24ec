"""Every setting, what each step is given of them, the registry of steps, command lines."""
