"""The openai backend's settings: the servers, and what may be asked of each. Times in seconds."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from hyperinfer.kernel.settings import Settings
from hyperinfer.kernel.settings_tree import Secret

OPENAI_URL = "https://api.openai.com/v1"
EMBEDDERS = ("*embed*", "*bge-*", "*e5-*", "*gte-*", "*minilm*")

FlavorName = Literal["auto", "openai", "vllm", "sglang", "llamacpp", "lmstudio", "generic"]
Capability = Literal[
    "chat",
    "completion",
    "embedding",
    "json",
    "tools",
    "vision",
    "reasoning",
    "logprobs",
    "logit_bias",
    "suffix",
    "tokens",
    "choices",
    "continues",
    "dimensions",
]
Models = tuple[str, ...] | dict[str, str]
Seconds = Annotated[float, Meta(gt=0)]


class ServerSettings(Settings, frozen=True):
    """One server, `url` with its `/v1`. `name` is what it is called in status and log.

    `flavor` is what kind of server it is, from which follows what its models can do; `auto` looks at what it says of itself,
    and takes one that says nothing for `generic`, which does the least. `capabilities` say instead what its models can do,
    and `embedders` are patterns of those that make embeddings.

    `models` are patterns of the models that the swarm may use, or a table of what the swarm calls them and what the server
    does; left out, all of them, except at OpenAI, which is paid by the token. `prefix` goes before the names that are not
    in a table. Of two models of the same name the first server's counts.

    `api_key` may come from `api_key_file`. `parameters` go into every request, over what the request says itself; what
    `drop` names is taken out of it. `slots` is how many requests of one model are in flight, `connections` how many of
    all of them. Left out, `slots` is what the server tells, or 8; so is `context_tokens`, or unknown. A server that counts
    no tokens when it streams has them estimated, or with `require_usage` has failed.

    It is looked at every `look_every_s`, and has failed if it takes longer than `look_timeout_s`; for `grace_s` after that its
    models are shown as away, then not at all. `silence_timeout_s` is how long it may say nothing at all. `ca_file` holds the
    certificates to trust instead of the machine's.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    url: str
    flavor: FlavorName = "auto"
    api_key: Secret = ""
    api_key_file: str = ""
    headers: dict[str, Secret] = {}
    organization: str = ""
    project: str = ""
    models: Models = ()
    prefix: str = ""
    embedders: tuple[str, ...] = EMBEDDERS
    capabilities: tuple[Capability, ...] | None = None
    slots: Annotated[int, Meta(ge=1, le=4096)] | None = None
    context_tokens: Annotated[int, Meta(ge=256)] | None = None
    parameters: dict[str, Any] = {}
    drop: tuple[str, ...] = ()
    require_usage: bool = False
    connections: Annotated[int, Meta(ge=1, le=4096)] = 256
    look_every_s: Seconds = 5.0
    look_timeout_s: Seconds = 10.0
    grace_s: Annotated[float, Meta(ge=0)] = 30.0
    connect_timeout_s: Seconds = 5.0
    silence_timeout_s: Seconds = 600.0
    ca_file: str = ""


class OpenAISettings(Settings, frozen=True):
    """Servers that speak OpenAI's API.

    `models` of `url` are served with `api_key`, as from a first server named `openai`: OpenAI itself, unless `url` says
    otherwise. Without `models` a key alone does nothing, so that nobody pays for what they did not mean to offer.
    """

    servers: tuple[ServerSettings, ...] = ()
    url: str = OPENAI_URL
    api_key: Secret = ""
    models: Models = ()
