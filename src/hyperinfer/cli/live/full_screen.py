"""The terminal of the live view: its other screen, its keys and its colours. It is left as it was, however that comes about."""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from hyperinfer.cli.live.feed import Feed
from hyperinfer.cli.live.screen import body_rows, draw
from hyperinfer.cli.live.watched import ORDERS, Watched
from hyperinfer.cli.manner import ascii_only
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.config import plain as without_colours

REDRAWN_EVERY_S = 1.0
"""How often it is drawn again although nothing has come: ages go on."""

STYLE = Style.from_dict(
    {
        "brand": "bold ansicyan",
        "title": "ansibrightblack",
        "sorted": "bold underline",
        "name": "bold",
        "value": "bold",
        "spark": "ansicyan",
        "good": "ansigreen",
        "warn": "ansiyellow",
        "bad": "bold ansired",
        "dim": "ansibrightblack",
        "key": "bold ansicyan",
    }
)


class FullScreen:
    """Draws what is watched until its person leaves."""

    def __init__(self, watched: Watched, feed: Feed) -> None:
        self._watched = watched
        self._feed = feed
        self._clock = SystemClock()
        self._plain = ascii_only()
        self._application: Application[None] = Application(
            layout=Layout(Window(FormattedTextControl(self._text, show_cursor=False), wrap_lines=False)),
            key_bindings=self._keys(),
            style=STYLE,
            full_screen=True,
            color_depth=ColorDepth.DEPTH_1_BIT if without_colours() else None,
            refresh_interval=REDRAWN_EVERY_S,
        )
        self._application.ttimeoutlen = 0.05  # a lone Escape is told from a key that begins with it
        feed.told = self._application.invalidate

    async def run(self) -> None:
        """Draw. Returns when its person leaves or the process is told to end; raises what ends the feed."""
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):  # Windows has no such signals
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._leave)
        async with background(self._feed.run(), name="feed"):
            await self._application.run_async(handle_sigint=False)

    def _leave(self) -> None:
        future = self._application.future
        if future is not None and not future.done():
            self._application.exit()

    def _size(self) -> tuple[int, int]:
        size = self._application.output.get_size()
        return size.columns, size.rows

    def _text(self) -> StyleAndTextTuples:
        columns, rows = self._size()
        lines = draw(self._watched, columns, rows, self._clock.now(), plain=self._plain)
        text: StyleAndTextTuples = []
        for at, line in enumerate(lines):
            if at:
                text.append(("", "\n"))
            text += [(f"class:{style}" if style else "", piece) for style, piece in line]
        return text

    def _scroll(self, lines: int) -> None:
        self._watched.offset += lines

    def _page(self) -> int:
        return max(1, body_rows(self._watched, *self._size()) - 1)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        def on(*names: str) -> Any:
            def bind(act: Any) -> None:
                def pressed(event: KeyPressEvent) -> None:
                    act()
                    event.app.invalidate()

                for name in names:
                    keys.add(name)(pressed)

            return bind

        watched = self._watched
        on("q", "Q", "c-c", "c-d")(self._leave)
        on("p", " ")(watched.pause)
        on("?", "h")(watched.toggle_help)
        on("escape")(watched.close_help)
        on("up", "k")(lambda: self._scroll(-1))
        on("down", "j")(lambda: self._scroll(1))
        on("pageup")(lambda: self._scroll(-self._page()))
        on("pagedown")(lambda: self._scroll(self._page()))
        on("home", "g")(lambda: self._scroll(-(10**6)))
        on("end", "G")(lambda: self._scroll(10**6))
        for order in ORDERS:
            on(order.key)(lambda key=order.key: watched.sort(key))
        if sys.platform != "win32":
            keys.add("c-z")(lambda event: event.app.suspend_to_background())
        return keys
