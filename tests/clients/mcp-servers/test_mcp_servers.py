"""Agents use the tools of MCP servers that were built with the official SDKs for Python and TypeScript."""

import json
import os
import urllib.error
import urllib.request

import pytest

TOKEN = "t_abc_of_the_caller"
# The agent, the prefix of its tools, and what the server calls the tool that finds customers.
AGENTS = {"python": ("py", "py_customers_find"), "typescript": ("ts", "ts_find")}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(params=AGENTS)
def agent(request):
    """An agent that has the tools of one server."""
    return request.param


def post(path, body, **headers):
    """The status and the JSON of a request to Letterhead."""
    request = urllib.request.Request(
        os.environ["LETTERHEAD_URL"] + path,
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", **headers},
    )
    try:
        with OPENER.open(request, timeout=40) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def say(agent, text, token=TOKEN, **headers):
    """What comes of saying something to an agent."""
    if token:
        headers["auth_token"] = token
    body = {"model": agent, "messages": [{"role": "user", "content": text}]}
    return post("/v1/chat/completions", body, **headers)


def said(agent, text, **headers):
    """The agent's answer."""
    status, body = say(agent, text, **headers)
    assert status == 200, body
    return body["choices"][0]["message"]["content"]


def test_a_tool_is_called_with_the_models_arguments(agent):
    prefix, _ = AGENTS[agent]
    assert "3" in said(agent, f'/tool {prefix}_add {{"a": 1, "b": 2}}')


def test_what_a_tool_gives_reaches_the_model(agent):
    _, find = AGENTS[agent]
    answer = said(agent, f'/tool {find} {{"name": "Ada"}}')
    assert "Ada" in answer and "gold" in answer


def test_a_tool_that_fails_says_why_and_the_turn_goes_on(agent):
    prefix, _ = AGENTS[agent]
    assert "the ledger is closed" in said(agent, f"/tool {prefix}_fail {{}}")


def test_arguments_that_the_server_refuses_are_a_result_too(agent):
    prefix, _ = AGENTS[agent]
    assert said(agent, f'/tool {prefix}_add {{"a": "one"}}')


def test_without_the_token_nothing_is_asked(agent):
    status, body = say(agent, "Hello", token=None)
    assert (status, body["error"]["code"]) == (400, "missing_credential"), body


def test_a_token_that_the_server_refuses_ends_the_turn(agent):
    status, body = say(agent, "Hello", token="t_of_somebody_else")
    assert (status, body["error"]["code"]) == (502, "context_unavailable"), body
    assert "status 401" in body["detail"] and "who are you" not in json.dumps(body)


def test_each_server_is_spoken_to_in_its_newest_revision():
    # The one for TypeScript is asked for the newest once, and then opened by `initialize`, which says none.
    expected = {"MCP_PYTHON": ["2026-07-28"], "MCP_TYPESCRIPT": ["2025-11-25", "2026-07-28", "none"]}
    for agent in AGENTS:
        said(agent, "Hello")
    for variable, revisions in expected.items():
        seen = os.environ[variable].replace("/mcp", "/seen")
        with OPENER.open(urllib.request.Request(seen, headers={"authorization": f"Bearer {TOKEN}"}), timeout=10) as response:
            assert json.load(response) == revisions


def test_a_forgotten_session_is_opened_anew():
    assert "3" in said("typescript", '/tool ts_add {"a": 1, "b": 2}')
    forget = os.environ["MCP_TYPESCRIPT"].replace("/mcp", "/forget")
    request = urllib.request.Request(forget, data=b"", headers={"authorization": f"Bearer {TOKEN}"}, method="POST")
    OPENER.open(request, timeout=10).close()
    assert "9" in said("typescript", '/tool ts_add {"a": 4, "b": 5}')


def test_the_trail_says_what_was_sent_and_which_server_is_gone(agent):
    prefix, _ = AGENTS[agent]
    session = f"trail-{agent}"
    said(agent, f'/tool {prefix}_add {{"a": 1, "b": 2}}', **{"X-Session-Id": session})
    request = urllib.request.Request(os.environ["LETTERHEAD_URL"] + f"/api/v1/sessions/{session}/trail")
    with OPENER.open(request, timeout=10) as response:
        entries = json.load(response)["data"]
    ours = [entry for entry in entries if entry["destination"] == f"mcp_servers.{prefix}"]
    assert any(entry["header"] == "Authorization" and entry["sent"] for entry in ours), entries
    assert {entry["kind"] for entry in ours} == {"mcp_server"}
    gone = [entry["reason"] for entry in entries if entry["destination"] == "mcp_servers.gone"]
    assert any("the turn goes on without its tools" in reason for reason in gone), entries
    assert TOKEN not in json.dumps(entries)
