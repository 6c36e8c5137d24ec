"""Every setting, the settings of each step, command lines."""
