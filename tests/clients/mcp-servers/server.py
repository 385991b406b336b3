"""An MCP server built with the official SDK for Python. Prints its URL; serves until it is stopped.

It lets in who has the token, on every request: also on those that only ask which tools there are.
"""

import socket

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from starlette.responses import JSONResponse, PlainTextResponse

TOKEN = "Bearer t_abc_of_the_caller"

server = MCPServer("python-crm")


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool(name="customers.find")
def find(name: str) -> dict[str, str]:
    """Finds a customer."""
    return {"name": name, "plan": "gold"}


@server.tool()
def fail() -> str:
    """Fails."""
    raise ToolError("the ledger is closed")


class Guarded:
    """The application, for those who have the token. `/seen` says which revisions were spoken."""

    def __init__(self, app):
        self.app = app
        self.seen = set()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            headers = {name: value.decode() for name, value in scope["headers"]}
            if headers.get(b"authorization") != TOKEN:
                return await PlainTextResponse("who are you?", status_code=401)(scope, receive, send)
            if scope["path"] == "/seen":
                return await JSONResponse(sorted(self.seen))(scope, receive, send)
            self.seen.add(headers.get(b"mcp-protocol-version", "none"))
        return await self.app(scope, receive, send)


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    uvicorn.Server(uvicorn.Config(Guarded(server.streamable_http_app()), log_level="warning")).run(sockets=[listener])
