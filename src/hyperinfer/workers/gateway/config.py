"""The gateway's settings. Times in seconds."""

from typing import Annotated, Literal

from msgspec import Meta

from hyperinfer.kernel.settings import HttpSettings, Settings, WorkerSettings
from hyperinfer.workers.gateway.journal.config import JournalSettings
from hyperinfer.workers.gateway.limiting.config import LimiterSettings


class RegistrationSettings(Settings, frozen=True):
    """Who may make an account, over HTTP and over the swarm: anybody, who has an invitation, or nobody.

    `auto` is open while the server is bound to loopback, otherwise for who has an invitation.
    """

    http: Literal["auto", "open", "invite", "closed"] = "auto"
    swarm: Literal["open", "invite", "closed"] = "closed"


class StrangerSettings(Settings, frozen=True):
    """How often registering, logging in and asking whose a credential is may be tried, in a minute.

    `checks_…` are for credentials that are not known yet: tokens to be verified, and keys to be asked auth about.
    """

    per_host_per_minute: int = 60
    total_per_minute: int = 1200
    checks_per_host_per_minute: int = 600
    checks_total_per_minute: int = 6000


class MeterSettings(Settings, frozen=True):
    """What is counted of people and API keys, by id: requests and tokens of each of the first `max_labels`, and of all others
    together. Whoever may read the metrics then sees who asks how much.
    """

    per_user: bool = False
    per_key: bool = False
    max_labels: Annotated[int, Meta(ge=1, le=10_000)] = 100


class GatewaySettings(WorkerSettings, frozen=True):
    """What a gateway can be told.

    `default_model` (or an alias) answers requests that name no model; empty means, of those that are for such requests, the
    one with the most slots. `retries` is how many further workers a request may be given to before its first token,
    `resumes` how many may go on with an answer that was cut after it. `worker_wait_s` is how long a request waits for a
    worker to come back when none is there, `loading_wait_s` for a model that is being loaded. `auth_grace_s` is how long
    credentials are told from the gateway's own copy without a word from auth.
    """

    http: HttpSettings = HttpSettings()
    limits: LimiterSettings = LimiterSettings()
    registration: RegistrationSettings = RegistrationSettings()
    strangers: StrangerSettings = StrangerSettings()
    journal: JournalSettings = JournalSettings()
    metrics: MeterSettings = MeterSettings()
    default_model: str = ""
    request_timeout_s: float = 600.0
    retries: int = 2
    resumes: int = 3
    worker_wait_s: float = 2.0
    loading_wait_s: float = 60.0
    auth_grace_s: float = 7 * 24 * 3600.0
