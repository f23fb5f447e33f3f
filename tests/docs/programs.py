"""Runs the Python programs of one page, one after the other, in one process: the later ones use the earlier ones' names.

Each line of the input is `{"code", "environment"}`, each line of the output `{"said", "failed"}`.
"""

import contextlib
import io
import json
import os
import sys
import traceback


def main() -> None:
    """Run what comes until nothing comes any more."""
    names: dict[str, object] = {"__name__": "__main__"}
    for line in sys.stdin:
        order = json.loads(line)
        os.environ |= order["environment"]
        said, failed = io.StringIO(), ""
        with contextlib.redirect_stdout(said):
            try:
                exec(compile(order["code"], order["name"], "exec"), names)
            except Exception:  # noqa: BLE001 - whatever a program raises is told to who runs it
                failed = traceback.format_exc()
        sys.stdout.write(json.dumps({"said": said.getvalue(), "failed": failed}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
