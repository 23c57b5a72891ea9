"""A model hub on this machine, as far as the hub's own client asks: model info, file sizes, files in pieces."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """repos: files by name of each repository. cut, busy, short, wrong: how many more downloads end in the middle, are
    answered `code`, or give fewer or other bytes than were announced. asked: the names of downloads."""

    def __init__(self, repos):
        self.repos, self.asked = repos, []
        self.cut, self.busy, self.code, self.short, self.wrong = 0, 0, 503, 0, 0
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def large(name: str) -> bool:
    """Whether a hub keeps a file beside git, by its hash."""
    return name.endswith((".safetensors", ".parquet", ".bin"))


def announced(name: str, data: bytes) -> dict:
    """What a hub says of a file."""
    told = {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
    lfs = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 130}
    return told | {"lfs": lfs} if large(name) else told


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:1] == ["api"]:
            return self._info("/".join(parts[2:4]), tree=parts[4:5] == ["tree"])
        parts = parts[parts[0] == "datasets" :]
        return self._file("/".join(parts[:2]), "/".join(parts[4:]), body=True)

    def do_HEAD(self):
        parts = self.path.strip("/").split("/")
        parts = parts[parts[0] == "datasets" :]
        self._file("/".join(parts[:2]), "/".join(parts[4:]), body=False)

    def _info(self, repo, tree):
        if repo not in self.hub.repos:
            return self._answer(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
        if tree:
            told = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.hub.repos[repo].items()
            ]
            return self._answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})
        siblings = [announced(name, data) for name, data in self.hub.repos[repo].items()]
        told = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False}
        return self._answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _file(self, repo, name, body):
        data = self.hub.repos.get(repo, {}).get(name)
        if data is None:
            return self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        tag = hashlib.sha256(data).hexdigest()
        head = {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if body:
            self.hub.asked.append(name)
            if self.hub.busy:
                self.hub.busy -= 1
                return self._answer(self.hub.code, b"busy", {"Retry-After": "0"})
            if self.hub.short:
                self.hub.short -= 1
                return self._answer(200, data[: len(data) // 2], head)
            if self.hub.wrong and large(name):
                self.hub.wrong -= 1
                return self._answer(200, data[:-1] + b"?", head)
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0]) if body else 0
        if start:
            head["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return self._answer(206 if start else 200, data[start:], head, body)

    def _answer(self, code, data, head, body=True):
        self.send_response(code)
        for name, value in head.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        if self.hub.cut and len(data) > 1000:
            self.hub.cut -= 1
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(data)
