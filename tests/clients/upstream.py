"""A model provider that does what its caller asks for, over OpenAI's chat completions protocol.

The demo model inside Letterhead never fails. This one does: the *model's name* is the script that it plays, so a client
chooses the behaviour by nothing but the name of the model (`script:break` for the provider `script`). Each call is
remembered under its `X-Case` header, as it arrived on the wire: `GET /calls/CASE` gives them back, in order.

Scripts
  echo          says back the last user message
  length        the same, ended by the token limit
  odd           the same, with an end that OpenAI never gives, and without usage
  weather       calls the tool `get_weather`; once the conversation has a result, says it
  two-cities    calls `get_weather` twice in one answer, the pieces of both mixed
  hold          says "partial", then waits for `POST /release/CASE` before it goes on
  break         says "partial", then drops the connection in the middle of the body
  end-early     says "partial", then ends the body properly, without a finish_reason
  half-json     answers with half of a JSON document
  html          answers with a web page
  status-NNN    answers with that status and a body that must not reach anyone
  slow-down     answers 429 with `Retry-After: 120`
"""

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API_KEY = "upstream-key"
SECRET_BODY = "words-of-the-upstream-that-stay-there"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
HOLD_SECONDS = 30


class Upstream(ThreadingHTTPServer):
    """The provider, on a free port of the loopback interface. Start it with `serve_forever` on a thread."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls = defaultdict(list)
        self.released = defaultdict(threading.Event)
        self.lock = threading.Lock()

    @property
    def url(self):
        """The base of this server, without `/v1`."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that leaves in the middle is part of the tests, not a fault worth a traceback."""

    def record(self, case, call):
        """Keeps one call of a case."""
        with self.lock:
            self.calls[case].append(call)

    def calls_of(self, case):
        """The calls of a case so far, in the order in which they came."""
        with self.lock:
            return list(self.calls[case])

    def gate(self, case):
        """What `hold` waits for."""
        with self.lock:
            return self.released[case]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # A piece of an answer is written at once, header and all: no waiting for the other side's acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, format, *args):
        """Silent: what matters is recorded."""

    def do_GET(self):
        """`/calls/CASE`: what arrived."""
        self.send_json(200, self.server.calls_of(self.path.removeprefix("/calls/")))

    def do_POST(self):
        """`/release/CASE`, `/refunds/CASE`, or a chat completion."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.startswith("/release/"):
            self.server.gate(self.path.removeprefix("/release/")).set()
            return self.send_json(200, {})
        if self.path.startswith("/refunds/"):
            case = self.path.removeprefix("/refunds/")
            self.server.record(case, {"refund": case})
            return self.send_json(200, {"refunded": case})
        if self.path != "/v1/chat/completions":
            return self.send_json(404, {"error": {"message": f"no such path: {self.path}"}})
        if self.headers.get_all("authorization") is None:
            return self.send_json(401, {"error": {"message": "no key"}})
        request = json.loads(body)
        case = self.headers.get("x-case", "")
        self.server.record(case, {"headers": [list(pair) for pair in self.headers.items()], "body": request})
        return self.play(request, case)

    def play(self, request, case):
        """Does what the model's name says."""
        script = request["model"]
        if script.startswith("status-"):
            return self.send_json(int(script.removeprefix("status-")), {"error": {"message": SECRET_BODY, "code": "x"}})
        if script == "slow-down":
            return self.send_json(429, {"error": {"message": SECRET_BODY}}, {"Retry-After": "120"})
        if script == "half-json":
            return self.send_bytes(200, b'{"id":"half","object":"chat.compl', "application/json")
        if script == "html":
            return self.send_bytes(200, f"<html>{SECRET_BODY}</html>".encode(), "text/html")
        pieces, finish = answer(script, request["messages"])
        if pieces is None:
            return self.send_json(404, {"error": {"message": "no such script"}})
        usage = None if script == "odd" else USAGE
        if request.get("stream"):
            return self.stream(script, case, pieces, finish, usage, request.get("stream_options") or {})
        if script == "hold":
            self.server.gate(case).wait(HOLD_SECONDS)
        if script in ("break", "end-early"):
            self.close_connection = True
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "5000")
            self.end_headers()
            self.wfile.write(b'{"id":')
            return None
        return self.send_json(200, whole(script, pieces, finish, usage))

    def stream(self, script, case, pieces, finish, usage, options):
        """The answer as server-sent events, in chunked encoding so that a break is a broken body."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.send_chunk(script, [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        for position, delta in enumerate(pieces):
            if script == "hold" and position == 1:
                self.server.gate(case).wait(HOLD_SECONDS)
            self.send_chunk(script, [{"index": 0, "delta": delta, "finish_reason": None}])
        if script == "break":
            self.close_connection = True
            return
        if script != "end-early":
            self.send_chunk(script, [{"index": 0, "delta": {}, "finish_reason": finish}])
            if usage and options.get("include_usage"):
                self.send_chunk(script, [], usage)
            self.send_piece(b"data: [DONE]\n\n")
        self.send_piece(b"")

    def send_chunk(self, script, choices, usage=None):
        """One `chat.completion.chunk`."""
        chunk = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": script, "choices": choices}
        if usage:
            chunk["usage"] = usage
        self.send_piece(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def send_piece(self, data):
        """One chunk of the body; an empty one ends it."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def send_json(self, status, value, headers=None):
        """A JSON answer in one piece."""
        self.send_bytes(status, json.dumps(value).encode(), "application/json", headers)

    def send_bytes(self, status, data, content_type, headers=None):
        """Any answer in one piece."""
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def answer(script, messages):
    """The deltas of an answer and its finish_reason; `None` for an unknown script."""
    if script in ("weather", "two-cities"):
        results = [text_of(message) for message in messages if message["role"] == "tool"]
        if results:
            return words(f"The tool said: {'; '.join(results)}"), "stop"
        return tool_calls(["Berlin"] if script == "weather" else ["Berlin", "Paris"]), "tool_calls"
    if script in ("echo", "length", "odd"):
        said = next((text_of(message) for message in reversed(messages) if message["role"] == "user"), "")
        return words(f"You said: {said}"), {"length": "length", "odd": "eos_token"}.get(script, "stop")
    if script in ("hold", "break", "end-early"):
        return [{"content": "partial"}] + ([{"content": " and whole"}] if script == "hold" else []), "stop"
    return None, None


def tool_calls(cities):
    """Calls of `get_weather` as deltas: the names first, then the arguments in pieces, the calls taking turns."""
    arguments = [json.dumps({"city": city}) for city in cities]
    in_turn = [(index, text[:5]) for index, text in enumerate(arguments)]
    in_turn += [(index, text[5:]) for index, text in enumerate(arguments)]
    opening = [
        {
            "tool_calls": [
                {
                    "index": i,
                    "id": f"call_{i + 1}",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": ""},
                }
            ]
        }
        for i in range(len(cities))
    ]
    return opening + [{"tool_calls": [{"index": i, "function": {"arguments": part}}]} for i, part in in_turn]


def words(text):
    """A text as deltas, one for each word."""
    first, *rest = text.split(" ")
    return [{"content": first}] + [{"content": f" {word}"} for word in rest]


def text_of(message):
    """The text of a message, whose content may be in parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def whole(script, deltas, finish, usage):
    """The deltas put together into one `chat.completion`."""
    message = {"role": "assistant", "content": "".join(delta.get("content", "") for delta in deltas) or None}
    calls = {}
    for delta in deltas:
        for piece in delta.get("tool_calls", []):
            call = calls.setdefault(piece["index"], {"type": "function", "function": {"name": "", "arguments": ""}})
            call["id"] = piece.get("id", call.get("id"))
            call["function"]["name"] += piece["function"].get("name", "")
            call["function"]["arguments"] += piece["function"]["arguments"]
    if calls:
        message["tool_calls"] = list(calls.values())
    completion = {
        "id": "up-1",
        "object": "chat.completion",
        "created": 1,
        "model": script,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    return completion | ({"usage": usage} if usage else {})
