"""Writes docs/reference/http.md from the routes themselves; a test holds the two together."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from hyperinfer.edge.app import groups
from hyperinfer.edge.errors import SHOWN
from hyperinfer.edge.openapi import access_of, path_of
from hyperinfer.edge.operations import JSON, Group, Operation
from hyperinfer.edge.shapes import Shape

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "http.md"

HEAD = """# HTTP API

<!-- Written by scripts/http_reference.py from the routes; change those, then run it again. -->

The whole description, with every field, is at `/openapi.json` of a running gateway (OpenAPI 3.1), and `/docs` shows it in a
browser, without a network. This page is the overview.

* **Credentials**: an API key or session token as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Two different ones are refused. One in a
  URL is refused too, wherever it stands, and should be revoked: URLs are kept by proxies, browsers and logs.
* **Browsers** log in with `"cookie": true`: the session is then in the cookie `hi_session`, which no script can read and no other site's
  page sends, and the answer holds a `csrf_token`. `/api/*` takes the cookie where no key is sent; what changes something also needs the
  header `X-CSRF-Token`, and an `Origin` or `Sec-Fetch-Site` of our own. `/v1/*` and Ollama's routes never take cookies. Behind a proxy that ends TLS
  set `http.secure_cookies`, `http.hosts` and, if pages elsewhere may call, `http.origins`.
* **Bodies** are JSON. Under `/api` a field that is not known is refused by name, but for Ollama's routes; so is, everywhere, one of the wrong type or out of bounds: status 400, `param` names
  the field. Names are in snake_case, times RFC 3339 in UTC.
* **Tables below**: fields in bold must be there, those after a ? stand in the URL; *who* is the scope that an API key needs (a session
  may do all that its holder may), or *session* for what no API key may do.
* **OpenAI's routes** take what OpenAI's do; unknown fields go on to the model's server. What a model cannot do is refused by name:
  status 400, code `unsupported_parameter`, `param`. The request header `x-hyperinfer-cache: on` or `off` says whether the answer
  may come from, and go to, a response cache; left out, the workers' settings decide.
* **Lists** are `{"object": "list", "data": […], "next": …}`; `next` is the `cursor` of the page after it, or null.
* **Spreadsheets**: where it says CSV, ask with `?format=csv` or `Accept: text/csv`. Cells are safe to open in a spreadsheet. Single requests and the
  audit log come as a download of up to 100,000 rows, whose last line says how to have the rest.
* **Answers of a model** say who gave them in `x-hyperinfer-worker` and `x-hyperinfer-model`, how long that took to begin in `server-timing`, how
  many workers were asked in `x-hyperinfer-attempts` if it were several, and `x-hyperinfer-cache: hit` or `miss` where the cache was asked.
* **Limits**: answers of a model carry `x-ratelimit-limit-*`, `-remaining-*` and `-reset-*` for `requests` and `tokens`; a refusal (429) also
  `retry-after` in seconds, and `retry-after-ms`: coming back then is admitted if nobody else came before.
"""
FOOT = """## Errors

`{"error": {"message", "type", "param", "code"}}`, as OpenAI's; the routes that imitate another API refuse in its own shape, with the same statuses.
`x-request-id` names the request in the operator's log.

| status | type | code |
|---|---|---|
"""


def page() -> str:
    """The page."""
    return HEAD + "".join(_groups()) + FOOT + "".join(sorted(_errors()))


def _groups() -> Iterator[str]:
    for group in groups(request_timeout_s=1.0, metrics=True):
        yield f"\n## {group.name}\n\n| route | what | takes | who |\n|---|---|---|---|\n"
        for operation in group.operations:
            yield f"| `{operation.verb} {path_of(operation)}` | {_what(operation)} | {_takes(operation, group)} | {_who(operation)} |\n"
    yield "\n"


def _what(operation: Operation) -> str:
    forms = [
        name
        for media, name in (("text/csv", "CSV"), ("application/x-ndjson", "JSON lines"))
        if media in operation.media
    ]
    return operation.summary + (f" (JSON, {', '.join(forms)})" if forms and JSON in operation.media else "")


def _takes(operation: Operation, group: Group) -> str:
    if operation.answer is None:
        return f"as {group.name.split()[0]}'s"
    if operation.body is not None:
        return ", ".join(_fields(operation.body))
    return "?" + ", ".join(_fields(operation.query)) if operation.query else ""


def _fields(shape: Shape) -> Iterator[str]:
    for field in msgspec.structs.fields(shape):
        needed = field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
        yield f"**`{field.name}`**" if needed else f"`{field.name}`"


def _who(operation: Operation) -> str:
    sentence = access_of(operation)
    return {
        "Needs no credential.": "*anybody*",
        "Needs a credential, of whatever scope.": "*any key*",
        "Needs a session: no API key may do this.": "*session*",
        "For administrators; an API key needs the scope `admin`.": "`admin`",
    }.get(sentence, f"`{operation.access.scope}`")


def _errors() -> Iterator[str]:
    for look in SHOWN.values():
        code = f"`{look.code}`" if look.code else ""
        yield f"| {look.status} | `{look.type}` | {code} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
