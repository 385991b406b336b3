"""An agent behind A2A, built with the official SDK for Python. Prints its URL; serves until it is stopped.

It does what it is told, and lets in who has the token. Its card is at three addresses: below `/one` one of 1.0 that
streams, below `/whole` one of 1.0 that does not, below `/older` one of 0.3. `/seen` has all calls, `/cancelled` the tasks
that were cancelled.
"""

import asyncio
import json
import socket

import uvicorn
from a2a.helpers import new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Role
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

TOKEN = "Bearer t_abc_of_the_caller"
CANCELLED = []


class Legal(AgentExecutor):
    """Does what the first word of a question says."""

    async def execute(self, context, queue):
        text = context.get_user_input()
        word = text.split()[0]
        if word == "message":
            await queue.enqueue_event(new_text_message("An answer without a task.", role=Role.ROLE_AGENT))
            return
        await queue.enqueue_event(new_task_from_user_message(context.message))
        task = TaskUpdater(queue, context.task_id, context.context_id)
        said = task.new_agent_message([new_text_part(f"because of: {text}")])
        if word == "wait":
            await task.start_work()
            await task.add_artifact([new_text_part(f"I wait, and say so at length. {'I wait. ' * 20}")])
            await asyncio.sleep(60)
        elif word == "input":
            await task.requires_input(said)
        elif word == "auth":
            await task.requires_auth(said)
        elif word == "reject":
            await task.reject(said)
        elif word == "fail":
            await task.failed(said)
        elif word == "raise":
            raise RuntimeError("the ledger is closed")
        else:
            await task.start_work()
            for at, piece in enumerate(["Contract ", "says: ", text, "."]):
                await task.add_artifact([new_text_part(piece)], artifact_id="answer", append=at > 0)
            await task.complete()

    async def cancel(self, context, queue):
        CANCELLED.append(context.task_id)
        await TaskUpdater(queue, context.task_id, context.context_id).cancel()


def card(url, version, streaming):
    return AgentCard(
        name="Legal",
        description="What the card says of it.",
        version="1.0.0",
        capabilities=AgentCapabilities(streaming=streaming),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="contracts", name="Contracts", description="Reads contracts.", tags=["law"])],
        supported_interfaces=[AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=version)],
    )


def agent(base, place, version, streaming):
    """The routes of one agent."""
    described = card(f"{base}/{place}/rpc", version, streaming)
    handler = DefaultRequestHandler(agent_executor=Legal(), task_store=InMemoryTaskStore(), agent_card=described)
    rpc = create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=version == "0.3")
    cards = create_agent_card_routes(described)
    if version == "0.3":
        # As agents had it that know of no other version.
        older = {
            "name": "Legal",
            "protocolVersion": "0.3.0",
            "url": f"{base}/{place}/rpc",
            "preferredTransport": "JSONRPC",
            "capabilities": {"streaming": streaming},
        }
        cards = [Route("/.well-known/agent-card.json", lambda _: JSONResponse(older))]
    return Mount(f"/{place}", routes=[*cards, *rpc])


class Guarded:
    """The application, for those who have the token."""

    def __init__(self, app):
        self.app = app
        self.seen = []

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if scope["path"] == "/seen":
            return await JSONResponse(self.seen)(scope, receive, send)
        if scope["path"] == "/cancelled":
            return await JSONResponse(CANCELLED)(scope, receive, send)
        if headers.get("authorization") != TOKEN:
            return await PlainTextResponse("who are you?", status_code=401)(scope, receive, send)
        body = b""

        async def received():
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        await self.app(scope, received, send)
        method = json.loads(body)["method"] if body else "card"
        self.seen.append({"path": scope["path"], "method": method, "headers": headers})


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = Starlette(
        routes=[
            agent(base, "one", "1.0", True),
            agent(base, "whole", "1.0", False),
            agent(base, "older", "0.3", True),
        ]
    )
    print(base, flush=True)
    uvicorn.Server(uvicorn.Config(Guarded(app), log_level="warning")).run(sockets=[listener])
