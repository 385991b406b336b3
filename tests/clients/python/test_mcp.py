"""The official MCP client for Python: agents are its tools. It opens in the newest revision, or in the older ones."""

import asyncio
import time
from contextlib import asynccontextmanager

import httpx2
import pytest
from conftest import CONTEXT
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

MODES = {"auto": "2026-07-28", "legacy": "2025-11-25"}


@asynccontextmanager
async def connected(server, headers, mode):
    """A client whose requests carry these headers."""
    async with httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        async with Client(streamable_http_client(f"{server}/mcp", http_client=http), mode=mode) as client:
            yield client


@pytest.fixture(params=MODES)
def mode(request):
    """How the client opens."""
    return request.param


@pytest.fixture
def ask(server, case, mode):
    """Opens a client, does something with it, and gives what came of it."""

    def run(task, **headers):
        async def connect():
            async with connected(server, {**CONTEXT, "X-Case": case, **headers}, mode) as client:
                return await task(client)

        return asyncio.run(connect())

    return run


def text_of(result):
    """The text of a result that is no error."""
    assert not result.is_error, result
    (block,) = result.content
    return block.text


def test_it_finds_the_server_and_its_tools_without_any_context(server, mode):
    async def look():
        async with connected(server, {}, mode) as client:
            return client.protocol_version, client.server_info.name, (await client.list_tools()).tools

    version, name, tools = asyncio.run(look())
    assert (version, name) == (MODES[mode], "letterhead")
    assert [tool.name for tool in tools] == ["assistant", "own-key", "orchestrator", "researcher", "billing"]
    assert tools[0].description == "The one that answers when no other is asked for."
    assert tools[0].input_schema["required"] == ["input"]


def test_calling_a_tool_asks_the_agent_with_the_headers(ask, upstream):
    result = ask(lambda client: client.call_tool("own-key", {"input": "Good morning."}))
    assert "Good morning." in text_of(result)
    call = upstream.call()
    assert call.instructions == "You speak for u_123."
    assert call.header("Authorization") == ["Bearer t_abc"]
    assert call.conversation == [("user", "Good morning.")]


def test_a_conversation_goes_on_by_its_id(ask, upstream):
    async def twice(client):
        first = await client.call_tool("own-key", {"input": "One."})
        await client.call_tool("own-key", {"input": "Two.", "session_id": first.meta["session_id"]})

    ask(twice)
    assert [len(call.conversation) for call in upstream.calls()] == [1, 3]


def test_a_header_names_the_conversation_too(ask, case, upstream):
    result = ask(lambda client: client.call_tool("own-key", {"input": "One."}), **{"X-Session-Id": case})
    assert result.meta["session_id"] == case


def test_what_is_wrong_with_the_headers_is_an_error_with_all_faults(server, mode):
    async def call():
        async with connected(server, {"user_id": "u_123", "seats": "none"}, mode) as client:
            with pytest.raises(MCPError) as raised:
                await client.call_tool("assistant", {"input": "Hi."})
            return raised.value

    error = asyncio.run(call())
    assert error.code == -32602
    assert {fault["header"] for fault in error.data["errors"]} == {"auth_token", "seats"}


def test_a_failed_turn_is_a_result_that_says_so(ask):
    headers = {"X-Model-Name": "script:status-500"}
    result = ask(lambda client: client.call_tool("assistant", {"input": "Hi."}), **headers)
    assert result.is_error
    assert result.meta["problem"]["error"]["code"] == "upstream_failed"
    assert "words-of-the-upstream" not in result.model_dump_json()


def test_progress_tells_what_the_agents_do(ask):
    heard = []

    async def hear(progress, total, message):
        heard.append((progress, message))

    result = ask(
        lambda client: client.call_tool(
            "orchestrator", {"input": "/ask researcher What is ink?"}, progress_callback=hear
        )
    )
    assert "You find facts for u_123" in text_of(result)
    assert [progress for progress, _ in heard] == list(range(1, len(heard) + 1))
    child = [message.removeprefix("researcher: ") for _, message in heard if message.startswith("researcher: ")]
    assert "You find facts for u_123" in "".join(child)


def test_what_is_not_declared_is_not_there(ask):
    async def list_prompts(client):
        with pytest.raises(MCPError) as raised:
            await client.list_prompts()
        return raised.value

    assert ask(list_prompts).code == -32601


def test_who_goes_away_cancels(server, case):
    async def leave():
        headers = {**CONTEXT, "X-Case": case, "X-Session-Id": case, "X-Model-Name": "script:hold"}
        async with connected(server, headers, "auto") as client:

            async def hear(progress, total, message):
                if message == "writing":
                    written.set()

            written = asyncio.Event()
            call = asyncio.create_task(client.call_tool("assistant", {"input": "Hi."}, progress_callback=hear))
            await asyncio.wait_for(written.wait(), 20)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(leave())
    # The provider holds its answer for longer than this: it was not waited for.
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        response = httpx2.get(f"{server}/api/v1/sessions/{case}/messages", trust_env=False)
        if response.status_code == 200 and len(response.json()["data"]) == 2:
            break
        time.sleep(0.05)
    assert [(row["content"], row["status"]) for row in response.json()["data"]] == [
        ("Hi.", "complete"),
        ("partial", "incomplete"),
    ]
