"""Speed and memory of the platform on the workloads of `measured/peers.md`; run `python -m loadtests`."""
