"""What the metrics worker can be told."""

from typing import Annotated

from msgspec import Meta

from hyperinfer.facilities.mail import MailSettings
from hyperinfer.kernel.settings import Settings, WorkerSettings
from hyperinfer.workers.metrics.alerts.config import AlertSettings
from hyperinfer.workers.metrics.history.config import HOUR_S, HistorySettings
from hyperinfer.workers.metrics.reports.config import ReportSettings


class CollectSettings(Settings, frozen=True):
    """How often every worker is asked, and for how long it may think: at most as long as it takes until it is asked again.

    A worker whose metrics are longer than `max_text_bytes`, or hold more than `max_samples`, is seen, and its metrics are not; the
    same while `max_samples_in_all` are held of all workers together. `remember_s` is how far back alerts can look.
    """

    interval_s: Annotated[float, Meta(ge=0.1, le=300)] = 5.0
    timeout_s: Annotated[float, Meta(ge=0.05, le=300)] = 4.0
    remember_s: Annotated[float, Meta(ge=60, le=HOUR_S)] = 900.0
    max_text_bytes: Annotated[int, Meta(ge=1024, le=15 * 1024 * 1024)] = 4 * 1024 * 1024
    max_samples: Annotated[int, Meta(ge=1)] = 20_000
    max_samples_in_all: Annotated[int, Meta(ge=1)] = 200_000


class MetricsSettings(WorkerSettings, frozen=True):
    """What the metrics worker can be told."""

    collect: CollectSettings = CollectSettings()
    history: HistorySettings = HistorySettings()
    alerts: AlertSettings = AlertSettings()
    reports: ReportSettings = ReportSettings()
    mail: MailSettings = MailSettings()
