"""The same workloads in NautilusTrader, in an environment of its own; run `python -m loadtests.peers`."""
