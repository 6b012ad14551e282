"""An operator's program that takes webhooks, in a thread; it answers as `answers` says, then 204."""

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Hook:
    """Use it as a context manager; `posted` holds headers and body of each request."""

    def __init__(self) -> None:
        self.answers: deque[int] = deque()
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self._changed = threading.Condition()
        hook = self

        class Request(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with hook._changed:
                    status = hook.answers.popleft() if hook.answers else 204
                    hook.posted.append(({k.lower(): v for k, v in self.headers.items()}, body))
                    hook._changed.notify_all()
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: the test tells."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, count: int, *, seconds: float = 30.0) -> list[tuple[dict[str, str], bytes]]:
        """All requests, once that is `count`."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.posted) >= count, seconds)
            return list(self.posted)
