"""A model hub for tests: the routes of the real one that pulling takes, its redirects to another host, and its faults.

Source: https://huggingface.co/docs/hub/api, and what `huggingface_hub` reads of the answers.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from hyperinfer.sdk.thread import LoopThread

HOST = "127.0.0.1"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE_BYTES = 64 * 1024


@dataclass
class Repo:
    """A repository: its files by path. `token` is what opens a private one, `gated` says that terms have to be accepted."""

    files: dict[str, bytes] = field(default_factory=dict)
    token: str = ""
    gated: bool = False


@dataclass
class Faults:
    """What goes wrong; numbers count down."""

    cuts: int = 0
    """Bodies to be cut in their middle."""
    busy: int = 0
    """Requests for a file to be answered with 503."""
    wrong_bytes: int = 0
    """Bodies to be sent with their last byte changed."""
    ignores_range: bool = False
    lies_about_size: int = 0
    """Bytes by which every file is announced larger than it is."""
    tells_no_hash: bool = False
    stalls: bool = False
    """Half of a body is sent, then nothing until the client goes."""


@dataclass
class Record:
    """What was asked of it: the bytes of files that were sent, and the headers of every request by host."""

    sent_bytes: int = 0
    ranges: list[str] = field(default_factory=list)
    to_hub: list[dict[str, str]] = field(default_factory=list)
    to_cdn: list[dict[str, str]] = field(default_factory=list)


class HubServer:
    """A hub with these repositories, and the other host that its files come from."""

    def __init__(self, repos: dict[str, Repo]) -> None:
        self.repos = repos
        self.faults = Faults()
        self.record = Record()
        self.url = ""
        self._cdn_url = ""

    @classmethod
    @contextmanager
    def served(cls, repos: dict[str, Repo]) -> Iterator["HubServer"]:
        """A hub served from a thread of its own, for clients that block."""
        server = cls(repos)
        thread = LoopThread()
        try:
            running = server.running()
            thread.run(running.__aenter__())
            try:
                yield server
            finally:
                thread.run(running.__aexit__(None, None, None))
        finally:
            thread.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for the length of the block."""
        hub, cdn = web.Application(), web.Application()
        hub.add_routes(
            [
                web.get("/api/models/{org}/{name}", self._info),
                web.get("/api/models/{org}/{name}/revision/{revision}", self._info),
                web.get("/{org}/{name}/resolve/{revision}/{path:.+}", self._resolve),
            ]
        )
        cdn.add_routes([web.get("/{org}/{name}/{path:.+}", self._content)])
        async with _site(hub) as self.url, _site(cdn) as self._cdn_url:
            yield

    async def _info(self, request: web.Request) -> web.Response:
        self.record.to_hub.append(_headers(request))
        repo, name = self._repo(request)
        if request.match_info.get("revision", "main") not in {"main", COMMIT}:
            raise _refused(404, "RevisionNotFound")
        return web.json_response(
            {"id": name, "sha": COMMIT, "siblings": [self._sibling(path, body) for path, body in repo.files.items()]}
        )

    async def _resolve(self, request: web.Request) -> web.Response:
        self.record.to_hub.append(_headers(request))
        repo, name = self._repo(request)
        path = request.match_info["path"]
        body = repo.files.get(path)
        if body is None:
            raise _refused(404, "EntryNotFound")
        if self.faults.busy:
            self.faults.busy -= 1
            return web.Response(status=503)
        headers = {
            "Location": f"{self._cdn_url}/{name}/{path}",
            "ETag": '"git"',
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(body)),
            "X-Linked-Etag": f'"{hashlib.sha256(body).hexdigest()}"',
        }
        return web.Response(status=302, headers=headers)

    async def _content(self, request: web.Request) -> web.StreamResponse:
        self.record.to_cdn.append(_headers(request))
        info, faults = request.match_info, self.faults
        body = self.repos[f"{info['org']}/{info['name']}"].files[info["path"]]
        begin = 0
        if (asked := request.headers.get("Range")) and not faults.ignores_range:
            self.record.ranges.append(asked)
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
        end = len(body)
        reply = web.StreamResponse(status=206 if begin else 200, headers={"Content-Length": str(end - begin)})
        if begin:
            reply.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{end}"
        await reply.prepare(request)
        if faults.wrong_bytes:
            faults.wrong_bytes -= 1
            body = body[:-1] + bytes([body[-1] ^ 1])
        half = begin + (end - begin) // 2
        await self._send(reply, body[begin:half])
        if faults.cuts:
            faults.cuts -= 1
            assert request.transport is not None
            request.transport.close()  # what was written still goes out
            return reply
        if faults.stalls:
            await asyncio.Event().wait()
        await self._send(reply, body[half:])
        return reply

    async def _send(self, reply: web.StreamResponse, body: bytes) -> None:
        for at in range(0, len(body), PIECE_BYTES):
            piece = body[at : at + PIECE_BYTES]
            await reply.write(piece)
            self.record.sent_bytes += len(piece)

    def _repo(self, request: web.Request) -> tuple[Repo, str]:
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        repo = self.repos.get(name)
        allowed = repo is not None and request.headers.get("Authorization") in {f"Bearer {repo.token}", None}
        if repo is None or (repo.token and not (allowed and "Authorization" in request.headers)):
            raise _refused(401 if "Authorization" not in request.headers else 404, "RepoNotFound")
        if repo.gated:
            raise _refused(403, "GatedRepo")
        return repo, name

    def _sibling(self, path: str, body: bytes) -> dict[str, Any]:
        size = len(body) + self.faults.lies_about_size
        sibling: dict[str, Any] = {"rfilename": path, "size": size, "blobId": "b" * 40}
        if not self.faults.tells_no_hash:
            sibling["lfs"] = {"size": size, "sha256": hashlib.sha256(body).hexdigest(), "pointerSize": 134}
        return sibling


@asynccontextmanager
async def _site(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _refused(status: int, code: str) -> web.HTTPException:
    kinds = {401: web.HTTPUnauthorized, 403: web.HTTPForbidden, 404: web.HTTPNotFound}
    return kinds[status](headers={"X-Error-Code": code})


def _headers(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}
