"""An MCP server to run the example against, with nothing but Python 3: `python3 shop.py`.

It speaks no more of the protocol than it needs (revision 2026-07-28, no sessions); with an official SDK one is as short.
Two customers, each with a token, find and cancel their own orders and nobody else's. A third tool is there as well.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CUSTOMERS = {"Bearer t_ada": "Ada", "Bearer t_juan": "Juan"}
ORDERS = {"A-7": {"of": "Ada", "state": "shipped"}, "B-8": {"of": "Juan", "state": "packed"}}
ORDER = {"type": "object", "required": ["order"], "properties": {"order": {"type": "string"}}}
TOOLS = [
    {"name": "orders.find", "description": "Finds an order.", "inputSchema": ORDER, "annotations": {"readOnlyHint": True}},
    {"name": "orders.cancel", "description": "Cancels an order.", "inputSchema": ORDER},
    {"name": "orders.delete_all", "description": "Deletes all orders.", "inputSchema": {"type": "object"}},
]


class Shop(BaseHTTPRequestHandler):
    """One JSON-RPC request, one answer."""

    def do_POST(self):
        """`POST /mcp`"""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        customer = CUSTOMERS.get(self.headers["Authorization"])
        if not customer:
            return self.answer(401, {"error": "this token is nobody's"})
        if message["method"] == "server/discover":
            result = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
        elif message["method"] == "tools/list":
            result = {"tools": TOOLS}
        else:
            result = self.call(customer, message["params"])
        return self.answer(200, {"jsonrpc": "2.0", "id": message["id"], "result": {"resultType": "complete", **result}})

    def call(self, customer, params):
        """`tools/call`: for the customer whose token it is."""
        number = params["arguments"].get("order")
        order = ORDERS.get(number)
        if not order or order["of"] != customer:
            return {"content": [{"type": "text", "text": f"{customer} has no order {number}."}], "isError": True}
        if params["name"] == "orders.cancel":
            order["state"] = "cancelled"
        return {"content": [{"type": "text", "text": f"Order {number} is {order['state']}."}]}

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
with ThreadingHTTPServer((HOST, int(PORT)), Shop) as server:
    print(f"listening on http://{HOST}:{PORT}", flush=True)
    server.serve_forever()
