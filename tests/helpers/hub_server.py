"""A server on 127.0.0.1 that speaks as much of the Hugging Face Hub's protocol as its client needs."""

import base64
import hashlib
import http.server
import json
from urllib.parse import unquote, urlsplit

from tests.helpers.http_servers import QuietHandler

COMMIT = "a" * 40


class HubServer(http.server.ThreadingHTTPServer):
    """Keeps the files of repositories: `files` is repository -> path -> contents."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


def _describe(path, content):
    oid = hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()  # as git names it
    return {"type": "file", "path": path, "size": len(content), "oid": oid}


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if self.headers.get("Authorization") != "Bearer hf_may_write":
            return self._answer(403, {"error": "this token may not write"})
        if parts == ["api", "repos", "create"]:
            told = json.loads(body)
            name = "/".join(filter(None, (told.get("organization"), told["name"])))
            self.server.files.setdefault(name, {})
            return self._answer(200, {"url": f"{self.server.url}/{name}", "name": name})
        if parts == ["api", "validate-yaml"]:
            return self._answer(200, {"errors": [], "warnings": []})
        repo = "/".join(parts[2:4])
        if parts[4] == "preupload":
            files = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in json.loads(body)["files"]
            ]
            return self._answer(200, {"files": files})
        assert parts[4] == "commit", self.path
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                content = base64.b64decode(line["value"]["content"])
                self.server.files[repo][line["value"]["path"]] = content
        url = f"{self.server.url}/{repo}/commit/{COMMIT}"
        return self._answer(200, {"commitUrl": url, "commitOid": COMMIT, "success": True})

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            repo = "/".join(parts[2:4])
            if repo not in self.server.files:
                return self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            if parts[4:5] == ["tree"]:
                return self._answer(200, [_describe(*each) for each in self.server.files[repo].items()])
            siblings = [{"rfilename": name} for name in self.server.files[repo]]
            return self._answer(200, {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings})
        repo, name = "/".join(parts[:2]), "/".join(parts[4:])
        content = self.server.files.get(repo, {}).get(name)
        if content is None:
            return self._answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        self._answer(200, content, {"ETag": etag, "X-Repo-Commit": COMMIT})

    def _answer(self, status, content, headers=()):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": len(body), **dict(headers)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
