"""The hyperinfer command, one file per command group."""


def main() -> None:
    """Entry point of the command."""
    from hyperinfer.cli.root import main as run

    run()
