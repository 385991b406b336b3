"""A directory of tenants to run the example against, with nothing but Python 3: `python3 api.py`.

It answers whoever has its key, so that it has to be asked for the right tenant. `GET /asked` tells what it was asked.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TENANTS = {
    "acme": {"name": "Acme Corp", "tone": "formal"},
    "globex": {"name": "Globex", "tone": "relaxed"},
}
ASKED = []


class Directory(BaseHTTPRequestHandler):
    """Tells what a tenant is like."""

    def do_GET(self):
        """`GET /tenants/{id}`: the tenant."""
        if self.path == "/asked":
            return self.answer(200, ASKED)
        ASKED.append(self.path)
        tenant = TENANTS.get(self.path.removeprefix("/tenants/"))
        if self.headers["X-Api-Key"] != "k_Lapwing":
            self.answer(401, {})
        elif tenant is None:
            self.answer(404, {})
        else:
            self.answer(200, tenant)

    def answer(self, status, body):
        """Sends JSON."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Says nothing of each request."""


HOST, PORT = "127.0.0.1:8081".split(":")
with ThreadingHTTPServer((HOST, int(PORT)), Directory) as server:
    print(f"listening on http://{HOST}:{PORT}", flush=True)
    server.serve_forever()
