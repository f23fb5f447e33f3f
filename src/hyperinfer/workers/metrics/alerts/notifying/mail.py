"""Alerts as an e-mail: a text, and the same as HTML that mail programs show as it is meant, by day and by night."""

from collections.abc import Iterable
from html import escape

from hyperinfer.contracts.metrics import Alert
from hyperinfer.facilities.mail import Mail, Mailer
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice

MAX_ALERTS = 50

COLOURS = {"critical": "#c62828", "warning": "#b26a00", "info": "#1565c0", "resolved": "#2e7d32"}
FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
MONO = "font-family:ui-monospace,Menlo,Consolas,monospace"
# Programs that know no `prefers-color-scheme` show the light one; none loads anything.
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">
<style>
@media (prefers-color-scheme: dark) {
.page { background: #16181d !important; }
.card { background: #22252c !important; border-top-color: #3a3f4a !important; border-right-color: #3a3f4a !important;
border-bottom-color: #3a3f4a !important; }
.ink { color: #e8eaee !important; } .dim { color: #a3a9b5 !important; }
}
</style></head>
"""


class Letters:
    """The receiver of e-mails: a mail server, and to whom."""

    name = "mail"

    def __init__(self, mailer: Mailer, to: tuple[str, ...]) -> None:
        self._mailer = mailer
        self._to = to

    async def tell(self, notice: Notice) -> None:
        """Send a notice. Raises what `Mailer.send` does."""
        await self._mailer.send(letter(notice, self._to))


def letter(notice: Notice, to: tuple[str, ...]) -> Mail:
    """A notice as an e-mail."""
    return Mail(_subject(notice), _text(notice), html=_html(notice), to=to)


def _subject(notice: Notice) -> str:
    first = notice.alerts[0]
    if len(notice.alerts) == 1:
        return f"[hyperinfer] {_state(first)}: {first.summary}"
    counts = ((len(notice.firing), "firing"), (len(notice.resolved), "resolved"))
    return f"[hyperinfer] {', '.join(f'{count} {what}' for count, what in counts if count)}: {first.summary}"


def _text(notice: Notice) -> str:
    parts = [_paragraph(alert) for alert in notice.alerts[:MAX_ALERTS]]
    return "\n\n".join((*parts, *_rest(notice), "`hyperinfer alerts` shows what is open now.")) + "\n"


def _paragraph(alert: Alert) -> str:
    lines = [f"{_state(alert).upper()}  {alert.summary}"]
    if alert.state != "resolved":
        lines.append(f"What helps: {alert.do}")
    return "\n".join((*lines, f"{_when(alert)}   {_labels(alert)}".rstrip()))


def _html(notice: Notice) -> str:
    cards = "".join(_card(alert) for alert in notice.alerts[:MAX_ALERTS])
    rest = "".join(f'<p class="dim" style="margin:0 0 12px;color:#667085">{escape(line)}</p>' for line in _rest(notice))
    return (
        f'{HEAD}<body class="page" style="margin:0;background:#f2f4f7;{FONT}">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" class="page" style="background:#f2f4f7">'
        '<tr><td align="center" style="padding:24px 12px">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:640px"><tr><td>'
        f'<p class="ink" style="margin:0 0 16px;font-size:20px;font-weight:600;color:#101828">{escape(_headline(notice))}</p>'
        f"{cards}{rest}"
        f'<p class="dim" style="margin:8px 0 0;font-size:13px;color:#667085"><span style="{MONO}">hyperinfer alerts</span>'
        " shows what is open now.</p></td></tr></table></td></tr></table></body></html>\n"
    )


def _card(alert: Alert) -> str:
    state = _state(alert)
    colour = COLOURS[state]
    helps = (
        ""
        if alert.state == "resolved"
        else f'<p class="ink" style="margin:8px 0 0;font-size:14px;line-height:20px;color:#344054">{escape(alert.do)}</p>'
    )
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" class="card" style="margin:0 0 12px;'
        f'background:#ffffff;border:1px solid #e4e7ec;border-left:4px solid {colour};border-radius:6px">'
        '<tr><td style="padding:14px 16px">'
        f'<span style="display:inline-block;padding:2px 8px;border-radius:10px;background:{colour};color:#ffffff;'
        f'font-size:12px;font-weight:600">{escape(state)}</span>'
        f'<p class="ink" style="margin:8px 0 0;font-size:16px;line-height:22px;font-weight:600;color:#101828">{escape(alert.summary)}</p>'
        f"{helps}"
        f'<p class="dim" style="margin:8px 0 0;font-size:12px;line-height:18px;color:#667085">{escape(_when(alert))}<br>'
        f'<span style="{MONO}">{escape(_labels(alert))}</span></p></td></tr></table>'
    )


def _headline(notice: Notice) -> str:
    if not notice.firing:
        return "It is well again." if len(notice.resolved) == 1 else f"{len(notice.resolved)} things are well again."
    if all(alert.severity == "info" for alert in notice.firing):
        return "For your information."
    return "Something is not well." if len(notice.firing) == 1 else f"{len(notice.firing)} things are not well."


def _state(alert: Alert) -> str:
    return "resolved" if alert.state == "resolved" else alert.severity


def _when(alert: Alert) -> str:
    over = f", until {_minute(alert.resolved_at)}" if alert.resolved_at else ""
    return f"since {_minute(alert.since)}{over} UTC"


def _minute(at: str) -> str:
    return at[:16].replace("T", " ")


def _labels(alert: Alert) -> str:
    return "  ".join((alert.rule, *(f"{name}={value}" for name, value in alert.labels.items())))


def _rest(notice: Notice) -> Iterable[str]:
    more = len(notice.alerts) - MAX_ALERTS
    return (f"… and {more} more.",) if more > 0 else ()
