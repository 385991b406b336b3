"""A call that waits for a person: OpenAI Python, and the MCP client with somebody to ask."""

import asyncio
import json

import httpx2
import pytest
from conftest import CONTEXT, user
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult


def wish(case):
    """What makes the demo model call the tool that pays back."""
    return f'/tool refund {json.dumps({"order": case})}'


def refunds(upstream):
    """How often it was called."""
    return len([call for call in upstream.received() if "refund" in call])


@pytest.fixture
def completions(client, case):
    """Chat completions in this test's session."""
    return client.with_options(default_headers={**CONTEXT, "X-Session-Id": case}).chat.completions


def test_the_answer_says_what_is_required_and_extra_body_answers_it(completions, upstream, case):
    paused = completions.create(model="billing", messages=user(wish(case)))
    assert paused.choices[0].finish_reason == "stop"
    assert paused.choices[0].message.tool_calls is None
    (asked,) = paused.requires_action["approvals"]
    assert (asked["name"], json.loads(asked["arguments"])) == ("refund", {"order": case})
    assert refunds(upstream) == 0

    approvals = [{"id": asked["id"], "approved": True}]
    done = completions.create(model="billing", messages=[], extra_body={"approvals": approvals})
    assert "refunded" in done.choices[0].message.content
    assert refunds(upstream) == 1


def test_the_last_chunk_of_a_stream_says_it_too(completions, upstream, case):
    chunks = list(completions.create(model="billing", messages=user(wish(case)), stream=True))
    (action,) = [chunk.requires_action for chunk in chunks if getattr(chunk, "requires_action", None)]
    refused = [{"id": action["approvals"][0]["id"], "approved": False, "reason": "too much"}]
    with completions.stream(model="billing", messages=[], extra_body={"approvals": refused}) as stream:
        said = stream.get_final_completion().choices[0].message.content
    assert "refused" in said and "too much" in said
    assert refunds(upstream) == 0


@pytest.mark.parametrize(
    "reply, made, said",
    [
        (ElicitResult(action="accept", content={"approve": True}), 1, "refunded"),
        (ElicitResult(action="accept", content={"approve": False}), 0, "refused"),
        (ElicitResult(action="decline"), 0, "refused"),
    ],
)
def test_an_mcp_client_asks_its_person(server, upstream, case, reply, made, said):
    questions = []

    async def ask(_context, params):
        questions.append(params.message)
        return reply

    async def call():
        async with httpx2.AsyncClient(headers=CONTEXT, timeout=30, trust_env=False) as http:
            transport = streamable_http_client(f"{server}/mcp", http_client=http)
            async with Client(transport, elicitation_callback=ask) as client:
                return await client.call_tool("billing", {"input": wish(case)})

    result = asyncio.run(call())
    assert not result.is_error and said in result.content[0].text
    assert len(questions) == 1 and case in questions[0]
    assert refunds(upstream) == made


def test_an_mcp_client_without_a_person_is_told_that_it_cannot(server, upstream, case):
    async def call():
        async with httpx2.AsyncClient(headers=CONTEXT, timeout=30, trust_env=False) as http:
            async with Client(streamable_http_client(f"{server}/mcp", http_client=http)) as client:
                return await client.call_tool("billing", {"input": wish(case)})

    result = asyncio.run(call())
    assert result.is_error and "needs a person's approval" in result.content[0].text
    assert refunds(upstream) == 0
