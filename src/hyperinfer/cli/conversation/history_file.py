"""Where the lines of chats are kept."""

from pathlib import Path

FILE = "chat-history"


def history_file() -> Path:
    """The file: beside the profile, which is its owner's alone as well."""
    from hyperinfer.sdk import profile

    return profile.path().with_name(FILE)
