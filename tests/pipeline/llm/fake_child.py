"""Stands in for `embedded_child.py` without a model. The "model" is a file that says how to behave.

ok: serve; exit: end at once; junk: announce nonsense; silent: announce nothing; stubborn: serve and ignore the end of
stdin. Everything is written with the standard library, as the real one must not import the package either.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    key = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        allowed = self.headers["Authorization"] == f"Bearer {self.key}"
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for text in (f"pid {os.getpid()} ", json.dumps(body.get("lora"))):
            event = {"choices": [{"delta": {"content": text}}]}
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    config = json.loads(sys.stdin.buffer.readline())
    behaviour = Path(config["model_path"]).read_text()
    print("native noise " + behaviour, file=sys.stderr, flush=True)
    if behaviour == "exit":
        sys.exit(3)
    if behaviour == "junk":
        print("Welcome!", flush=True)
    if behaviour in ("junk", "silent"):
        sys.stdin.read()
        return
    Handler.key = config["api_key"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_address[1]}"}), flush=True)
    sys.stdin.read()
    if behaviour == "stubborn":
        time.sleep(60)


if __name__ == "__main__":
    main()
