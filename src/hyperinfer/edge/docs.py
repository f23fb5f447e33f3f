"""`/openapi.json`, and `/docs` to read and try it: everything comes from this server, so that it works without a network."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]  # it ships no types

from hyperinfer.edge.openapi_3_0 import as_3_0
from hyperinfer.errors import NotFound

FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
"""What of the viewer is served; nothing else of its package is."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hyperinfer API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<noscript>This page needs JavaScript; the description itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<div id="viewer"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "/docs/openapi-3.0.json",
  dom_id: "#viewer",
  deepLinking: true,
  docExpansion: "list",
  persistAuthorization: false,
  validatorUrl: null,
});
"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load and do: only what comes from here, and nothing written into it."""
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-cache",
}


class DocsRoutes:
    """The description of the API, made once, when somebody first asks for it: most processes are never asked."""

    def __init__(self, describe: Callable[[], dict[str, Any]]) -> None:
        self._described = cache(describe)
        self._document = cache(lambda: msgspec.json.encode(self._described()))
        self._older = cache(lambda: msgspec.json.encode(as_3_0(self._described())))

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/openapi.json", self.document, methods=["GET"]),
            Route("/docs", self.page, methods=["GET"]),
            Route("/docs/{file}", self.file, methods=["GET"]),
        ]

    async def document(self, request: Request) -> Response:
        """The description in OpenAPI 3.1."""
        return Response(self._document(), media_type="application/json")

    async def page(self, request: Request) -> Response:
        """The viewer."""
        return Response(PAGE, media_type="text/html", headers=HEADERS)

    async def file(self, request: Request) -> Response:
        """What the viewer is made of."""
        name = request.path_params["file"]
        if name == "openapi-3.0.json":
            return Response(self._older(), media_type="application/json", headers=HEADERS)
        if name == "start.js":
            return Response(START, media_type="text/javascript", headers=HEADERS)
        if name not in FILES:
            raise NotFound(f"The viewer has no file {name[:100]!r}.")
        return Response(_read(name), media_type=FILES[name], headers=HEADERS)


@cache
def _read(name: str) -> bytes:
    """A file of the viewer; it is part of the installation, so it is read once and kept (1.4 MB in all)."""
    return bytes((swagger_ui_path / name).read_bytes())
