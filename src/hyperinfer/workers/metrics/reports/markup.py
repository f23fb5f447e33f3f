"""HTML as e-mail programs take it: each element carries its looks, and a sheet, where one is taken, changes them on dark and narrow
screens. Pure."""

from html import escape

INK, SOFT, LINE, RED = "#1b1f24", "#5c6670", "#e2e6ea", "#b3261e"
GROUND, PAPER, TRACK, BLUE = "#f2f4f6", "#ffffff", "#e9edf2", "#2f6fde"
FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"

SHADES = ("s1", "s2", "s3", "s4", "s5")
"""From few to many."""
LOOKS = {
    "ground": f"background:{GROUND}",
    "body": f"margin:0;padding:0;font-family:{FONT}",
    "margin": "padding:16px 8px",
    "sheet": "max-width:680px",
    "paper": f"background:{PAPER};border:1px solid {LINE};border-radius:8px;padding:28px",
    "ink": f"color:{INK}",
    "soft": f"color:{SOFT}",
    "red": f"color:{RED}",
    "h1": "margin:4px 0 2px;font-size:24px;line-height:30px;font-weight:600",
    "h2": "margin:26px 0 6px;font-size:15px;line-height:20px;font-weight:600",
    "words": "margin:8px 0;font-size:13px;line-height:18px",
    "small": "font-size:12px;line-height:16px;font-weight:400",
    "tiles": "font-size:0;margin:14px -4px 0",
    "slot": "display:inline-block;vertical-align:top;width:148px;padding:4px",
    "tile": f"background:{GROUND};border-radius:6px;padding:10px 12px;height:80px",
    "figure": "font-size:22px;line-height:30px;font-weight:600",
    "table": "border-collapse:collapse;font-size:13px;line-height:18px",
    "fixed": "border-collapse:collapse;table-layout:fixed",
    "spaced": "table-layout:fixed",
    "title": "padding:4px 0 4px 12px;font-size:11px;line-height:14px;font-weight:400;text-align:right",
    "name": "padding:6px 0;width:60%;word-break:break-word",
    "number": "padding:6px 0 6px 12px;text-align:right;white-space:nowrap;vertical-align:top",
    "line": f"border-top:1px solid {LINE}",
    "strip": "border-collapse:collapse;margin-top:4px",
    "bar": f"background:{BLUE}",
    "track": f"background:{TRACK}",
    "thin": "height:4px;font-size:0;line-height:0",
    "column": f"height:72px;vertical-align:bottom;border-bottom:1px solid {LINE}",
    "standing": "margin:0 1px;font-size:0",
    "square": "height:16px;border-radius:2px;font-size:0;line-height:0",
    "s1": "background:#cfdff8",
    "s2": "background:#9dc0f2",
    "s3": "background:#6499e8",
    "s4": f"background:{BLUE}",
    "s5": "background:#1d4f9f",
    "hour": "font-size:11px;line-height:16px",
    "day": "font-size:11px;line-height:16px;width:30px",
    "foot": "margin-top:28px;padding-top:12px",
    "wide": "",
}
"""Looks by their names, which are the classes too."""

SHEET = """
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
 .ground { background:#0f1216 !important; }
 .paper { background:#181c21 !important; border-color:#2b3138 !important; }
 .tile { background:#22272e !important; }
 .ink { color:#e8ebee !important; }
 .soft { color:#9aa5b1 !important; }
 .red { color:#ff8a80 !important; }
 .line, .column { border-color:#2b3138 !important; }
 .track { background:#262c33 !important; }
 .bar { background:#6b9dff !important; }
 .s1 { background:#20385f !important; }
 .s2 { background:#2a4f8f !important; }
 .s3 { background:#3a6cc4 !important; }
 .s4 { background:#6b9dff !important; }
 .s5 { background:#bcd3ff !important; }
}
@media (max-width: 480px) {
 .wide { display:none !important; }
 .paper { padding:20px 16px !important; }
 .slot { width:138px !important; }
}
"""
CHANGING = frozenset(
    {"ground", "paper", "tile", "ink", "soft", "red", "line", "column", "track", "bar", "wide", "slot", *SHADES}
)
"""Looks that the sheet changes; the others need no class."""


def el(name: str, content: str, looks: str = "", *, style: str = "", **attributes: str) -> str:
    """An element with looks, by their names with blanks between, and a style beside them. The content is markup: what is text goes
    through `said` before."""
    named = looks.split()
    styles = ";".join(filter(None, (*(LOOKS[look] for look in named), style)))
    classes = " ".join(look for look in named if look in CHANGING)
    given = {**attributes, "class": classes, "style": styles}
    written = "".join(f' {key}="{escape(value)}"' for key, value in given.items() if value)
    return f"<{name}{written}>{content}</{name}>"


def said(text: str) -> str:
    """Text, whoever chose it. It is never within a tag, and so may have quotes."""
    return escape(text, quote=False)


def table(rows: str, looks: str = "table") -> str:
    """A table over the whole width."""
    return el("table", rows, looks, width="100%", cellpadding="0", cellspacing="2" if looks == "spaced" else "0")


def section(title: str, more: str = "") -> str:
    """The heading of a part, and what is to be known of it."""
    return el("h2", said(title) + (el("span", said(f"  {more}"), "soft small") if more else ""), "ink h2")


def words(text: str) -> str:
    """A paragraph."""
    return el("p", said(text), "soft words")


def bar(part: float) -> str:
    """A line as long as a part of one."""
    filled = max(1, round(part * 100)) if part > 0 else 0
    cells = [
        el("td", "&nbsp;", f"{look} thin", width=f"{width}%")
        for look, width in (("bar", filled), ("track", 100 - filled))
        if width
    ]
    return table(el("tr", "".join(cells)), "strip")


def document(title: str, content: str) -> str:
    """The page."""
    paper = el("td", content, "paper ink")
    outer = el("td", table(el("tr", paper), "sheet"), "margin", align="center")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
        f"<title>{said(title)}</title><style>{SHEET}</style>"
    )
    body = el("body", table(el("tr", outer), "ground"), "ground body ink")
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>{body}</html>\n'
