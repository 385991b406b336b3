"""A users API to run the example against, with nothing but Python 3: `python3 api.py`.

It knows two users, each with a token of their own. `GET /asked` tells what it was asked so far, sorted: two
fetches that need nothing of each other come in any order.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USERS = {
    "u_123": {"token": "t_abc", "name": "Ada Okafor", "email": "ada@example.com", "tone": "formal"},
    "u_456": {"token": "t_def", "name": "Juan Pérez", "email": "juan@example.com", "tone": "relaxed"},
}
ASKED = []


class Api(BaseHTTPRequestHandler):
    """Answers for whom the token belongs to, and for nobody else."""

    def do_GET(self):
        """`GET /users/{id}`: the user, below `user`."""
        if self.path == "/asked":
            self.answer(200, sorted(ASKED))
        elif user := self.user(self.path.removeprefix("/users/")):
            self.answer(200, {"user": {"name": user["name"], "email": user["email"]}})

    def do_POST(self):
        """`POST /users/{id}/profile`: what the user likes."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if user := self.user(self.path.removeprefix("/users/").removesuffix("/profile")):
            preferences = {"tone": user["tone"]} if body["includePreferences"] else {}
            self.answer(200, {"name": user["name"], "preferences": preferences})

    def user(self, name):
        """The user of this id, if the token is theirs."""
        ASKED.append(f"{self.command} {self.path}")
        user = USERS.get(name)
        if user and self.headers["Authorization"] == f"Bearer {user['token']}":
            return user
        self.answer(401, {"error": "this token is not that user's"})
        return None

    def answer(self, status, body):
        """Sends JSON."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Nothing: headers and paths are nobody's business."""


HOST, PORT = "127.0.0.1:8081".split(":")
with ThreadingHTTPServer((HOST, int(PORT)), Api) as server:
    print(f"listening on http://{HOST}:{PORT}", flush=True)
    server.serve_forever()
