"""A Hub of one repository on this machine, speaking as much of huggingface.co's protocol as a download needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serving(folder: Path, lies: frozenset[str] = frozenset()) -> Iterator[str]:
    """The endpoint that serves `folder` as any repository; files in `lies` arrive with one byte changed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def log_message(self, format: str, *args: object) -> None: ...

        def _answer(self, body: bool) -> None:
            if self.path.startswith("/api/models/"):
                content, etag = json.dumps(_described(folder)).encode(), "api"
            else:
                name = self.path.partition(f"/resolve/{COMMIT}/")[2]
                if not name or not (folder / name).is_file():
                    self.send_error(404)
                    return
                content = (folder / name).read_bytes()
                etag = hashlib.sha256(content).hexdigest()
                if name in lies and body:
                    content = content[:-1] + bytes([content[-1] ^ 1])
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{etag}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(content)

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up early is nothing to print on the very stream that a test reads."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _described(folder: Path) -> dict:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    siblings = [
        {
            "rfilename": path.relative_to(folder).as_posix(),
            "size": path.stat().st_size,
            "lfs": {
                "size": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "pointerSize": 130,
            },
        }
        for path in files
    ]
    return {"id": "any/repo", "modelId": "any/repo", "sha": COMMIT, "siblings": siblings, "tags": [], "private": False,
            "downloads": 0}  # fmt: skip
