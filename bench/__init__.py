"""The benchmarks: `python -m bench.NAME` each, `make bench` all of them."""
