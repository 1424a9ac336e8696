"""A module a command or group: thin functions; their docstrings are their help, heavy imports are inside."""
