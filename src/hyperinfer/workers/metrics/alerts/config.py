"""Settings of alerts. Times in seconds."""

from typing import Annotated

from msgspec import Meta

from hyperinfer.contracts.metrics import Severity
from hyperinfer.kernel.settings import Settings
from hyperinfer.kernel.settings_tree import Secret

MAX_WEBHOOKS = 8
DAY_S = 24 * 3600.0

Address = Annotated[str, Meta(max_length=320)]
Seconds = Annotated[float, Meta(ge=0, le=7 * DAY_S)]


class RuleSettings(Settings, frozen=True):
    """What is to be otherwise than a rule has it: whether it is on, from which value on something is bad, for how long it must be bad to
    fire (`hold_s`) and good to be resolved (`resolve_s`), how far back a rule looks that counts or takes a mean (`window_s`, at most
    `collect.remember_s`), and how severe it is."""

    on: bool = True
    threshold: float | None = None
    hold_s: Seconds | None = None
    resolve_s: Seconds | None = None
    window_s: Annotated[float, Meta(gt=0, le=3600)] | None = None
    severity: Severity | None = None


class WebhookSettings(Settings, frozen=True):
    """An address that alerts are posted to, in the format of Prometheus' Alertmanager.

    `name` is what it is called in log and metrics; the address itself is often a secret, and shown nowhere. With a `secret`, which may
    come from `secret_file`, each post is signed. `authority` is a PEM file of who certifies the server, where that is none that this
    machine knows.
    """

    url: Secret
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "webhook"
    secret: Secret = ""
    secret_file: str = ""
    authority: str = ""


class AlertSettings(Settings, frozen=True):
    """What is an alert, and who is told.

    `rules` changes rules by name: `{"queue": {"threshold": 50}, "cpu": {"on": false}}`. `webhooks` are called and `mail` are e-mail
    addresses that are written to, over the server in `mail.host`; left out, those in `mail.to`. Without any, alerts are in
    the log alone. What begins within `group_s` is told together; what goes on is told again every `repeat_s`. A receiver has `timeout_s` to answer.
    """

    rules: dict[str, RuleSettings] = {}
    webhooks: Annotated[tuple[WebhookSettings, ...], Meta(max_length=MAX_WEBHOOKS)] = ()
    mail: Annotated[tuple[Address, ...], Meta(max_length=50)] = ()
    group_s: Annotated[float, Meta(ge=0, le=3600)] = 10.0
    repeat_s: Annotated[float, Meta(ge=60, le=7 * DAY_S)] = 4 * 3600.0
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0
