"""What a line of a chat is: an order such as `/model NAME`, one of the old words such as `login EMAIL PASSWORD`, or a prompt. Pure.

An old word is an order alone or with exactly as many words behind it as it takes; in any other line, and with a capital
letter or a mark behind it (`status?`), it is a part of a prompt.
"""

from dataclasses import dataclass

SLASH = "/"
OLD = {"register": 2, "login": 2, "settoken": 1, "status": 0, "gettoken": 0, "help": 0, "exit": 0}
"""Words that need no slash, and how many words may stand behind each."""
SECRETS = frozenset({"register", "login", "settoken"})
"""Orders behind which a password or a key may stand."""
NAMES = (
    "model", "models", "system", "new", "retry", "save", "load", "usage", "status", "login", "register", "logout",
    "gettoken", "settoken", "help", "exit",
)  # fmt: skip
ALIASES = {"quit": "exit", "q": "exit", "bye": "exit", "?": "help", "clear": "new"}

HELP = """\
/model [NAME]    say which model answers, or change it
/models          list the models
/system [TEXT]   say how the model is to behave; /system - forgets it
/retry           have the last question answered again
/new             begin another conversation
/save FILE       write it down: as FILE.json to go on with it, else as Markdown
/load FILE.json  go on with one that was saved so
/usage           what this chat has used, and what is left
/status          which gateway, and as whom
/login           log in; also /register, /logout, /settoken, /gettoken
/help            this; /exit ends the chat
Enter sends; Alt-Enter, or \\ before Enter, begins a new line; what is pasted is
one message. Ctrl-C stops an answer, Ctrl-D ends the chat. These need no slash:
register EMAIL PASSWORD, login EMAIL PASSWORD, settoken TOKEN, gettoken, status,
help, exit."""


@dataclass(frozen=True, slots=True)
class Order:
    """Something to be done here; `text` is what stands behind its name."""

    name: str
    text: str = ""

    @property
    def words(self) -> list[str]:
        """The words behind its name."""
        return self.text.split()


def parse(line: str) -> Order | None:
    """The order that a line is; nothing for a prompt."""
    if line.startswith(SLASH) and "\n" not in line:
        name, _, text = line[len(SLASH) :].partition(" ")
        return Order(ALIASES.get(name, name), text.strip())
    name, *behind = line.split()
    if name in OLD and "\n" not in line and len(behind) in (0, OLD[name]):
        return Order(name, " ".join(behind))
    return None


def is_secret(line: str) -> bool:
    """Whether a line may hold a password or a key, so that it is to be kept nowhere."""
    first = line.split(maxsplit=1)[:1]
    return bool(first) and first[0].lower().lstrip(SLASH) in SECRETS
