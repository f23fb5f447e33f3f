"""`python -m hyperinfer` is the hyperinfer command."""

from hyperinfer.cli import main

main()
