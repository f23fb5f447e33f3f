"""The engine's process: loads a model and serves it on a Unix socket until its parent goes away.

It is told what to do in one line of JSON on standard input, so that the key is in no list of processes, and says
`ready` on standard output once it serves. End of input is its order to end; on Linux the kernel also ends it with the
parent, for the engine holds the interpreter while it loads.
"""

import ctypes
import os
import signal
import sys
import threading

import msgspec

PR_SET_PDEATHSIG = 1
QUIET = 2
"""The engine's verbosity for warnings and errors; above it, what it says may hold parts of prompts."""


class EngineOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What to serve, and how. `context_tokens` is for each slot; sizes of batches are in tokens. `chat_template` is used
    instead of the model's own, if there is one; `projector_path` names what makes images into tokens."""

    model_path: str
    slots: int
    context_tokens: int
    threads: int
    socket: str = ""
    key: str = ""
    parent: int = 0
    embeds: bool = False
    chat_template: str = ""
    projector_path: str = ""
    batch_tokens: int = 128
    cache_mib: int = 64


def main() -> None:
    """Serve until standard input ends."""
    # What native code prints to standard output must not be taken for ours.
    says = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=EngineOrder)
    _die_with(order.parent)
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        server = _serve(order)
    except RuntimeError:  # the engine has said why, on standard error
        sys.exit(1)
    print("ready", file=says, flush=True)
    threading.Event().wait()
    del server


def _serve(order: EngineOrder) -> object:
    import xllamacpp  # only here: the worker itself never loads native code

    params = xllamacpp.CommonParams()
    params.model.path = order.model_path
    params.hostnames = [order.socket]
    params.api_keys = [order.key]
    params.n_parallel = order.slots
    params.n_ctx = order.slots * order.context_tokens
    # Small batches, so that a caller who goes away while a long prompt is read is noticed soon.
    # A text to embed has to be in one batch, though.
    params.n_batch = params.n_ubatch = order.context_tokens if order.embeds else order.batch_tokens
    params.embedding = order.embeds
    params.cache_ram_mib = order.cache_mib
    # An answer is gone on with where we say so, not wherever a conversation ends with an assistant's message.
    params.prefill_assistant = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order.threads
    if order.chat_template:
        params.chat_template = order.chat_template
    if order.projector_path:
        params.mmproj.path = order.projector_path
    params.ui = False
    params.verbosity = QUIET
    return xllamacpp.Server(params)


def _die_with(parent: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went away before we asked
        os._exit(0)


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
