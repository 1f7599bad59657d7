"""A mirror of MNIST on this machine, whose files may be damaged on the way."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from convolt.data.download import FILES
from idx_files import idx_bytes


class Mirror:
    """What a server has, what it sends of it, and what it was asked for.

    Attributes
    ----------
    url : str
        The folder of the files.
    files : dict
        The content by name: four files of twelve training and five test images.
    damage : dict
        By name of a file, how it is sent: "corrupt", with one bit flipped; "truncated", its second
        half never sent; "short", a first half that claims to be all; "missing", status 404.
    requests : list of str
        The names that were asked for, in order.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.url = ""
        self.files = {}
        for file in FILES:
            count = 12 if file.startswith("train") else 5
            shape = (count, 28, 28) if "images" in file else (count,)
            array = rng.integers(0, 10, shape, dtype=np.uint8)
            self.files[f"{file}.gz"] = gzip.compress(idx_bytes(array), mtime=0)
        self.damage: dict[str, str] = {}
        self.requests: list[str] = []

    @property
    def sha256(self) -> tuple[str, ...]:
        """The checksums of the files as they should be, in the order of `FILES`."""
        return tuple(hashlib.sha256(self.files[f"{file}.gz"]).hexdigest() for file in FILES)


@contextmanager
def serve(mirror: Mirror) -> Iterator[None]:
    """Serve the files of `mirror` on a port of its own, and tell it its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            mirror.requests.append(name)
            damage = mirror.damage.get(name)
            if damage == "missing":
                self.send_error(404)
                return
            content = sent = mirror.files[name]
            if damage == "corrupt":
                sent = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
            elif damage in ("truncated", "short"):
                sent = content[: len(content) // 2]
            self.send_response(200)
            length = len(content) if damage == "truncated" else len(sent)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        mirror.url = f"http://127.0.0.1:{server.server_port}/mnist/"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
