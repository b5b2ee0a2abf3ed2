"""The live page, brought before somebody's eyes: its address, and a browser where there is a desktop."""

from __future__ import annotations

import os
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from amtnet_ros.view.live import LiveView
from amtnet_ros.view.server import PageServer

_BROWSER = 5.0  # seconds that a browser may take to start


def has_desktop() -> bool:
    """Whether there is a screen to open a browser on."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def shown(view: LiveView, host: str, port: int | None, say: Callable[[str], None]) -> Iterator[LiveView]:
    """Serve the view's page while inside; leaving closes both.

    Says the page's address. On a desktop a browser opens it, and is waited for, so that nothing is missed.
    Raises UserError where nothing can listen there.
    """
    server = PageServer(view, host, port)
    try:
        say(f"View: {server.address}")
        if has_desktop():
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
            view.await_viewer(_BROWSER)
        yield view
    finally:
        view.close()
        server.close()
