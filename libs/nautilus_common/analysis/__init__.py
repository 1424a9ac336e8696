"""Statistics, reports, run folders and the tearsheet: everything that reads a finished run.

Import the submodule you need (`nautilus_common.analysis.reports`, ...): nothing heavy is loaded here, so that the
command line starts fast.
"""
