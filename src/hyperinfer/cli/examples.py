"""Examples at the end of a command's help."""


def examples(*lines: str) -> str:
    """An epilog of examples, kept line by line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
