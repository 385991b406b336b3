"""An agent asks agents behind A2A that were built with the official SDKs for Python and JavaScript, in 1.0 and in 0.3."""

import json
import os
import time
import urllib.error
import urllib.request
import uuid

import pytest

TOKEN = "t_abc_of_the_caller"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
BASES = {"python": "A2A_PYTHON", "js": "A2A_JS"}
AGENTS = [f"{sdk}_{place}" for sdk in BASES for place in ("one", "whole", "older")]


@pytest.fixture(params=AGENTS)
def agent(request):
    """An external agent's name."""
    return request.param


def get(url, **headers):
    """The JSON of a page."""
    with OPENER.open(urllib.request.Request(url, headers=headers), timeout=10) as response:
        return json.load(response)


def of(agent, page):
    """What an agent's program says of itself."""
    return get(f"{os.environ[BASES[agent.split('_')[0]]]}/{page}")


def open_turn(text, path="/v1/chat/completions", stream=False, token=TOKEN, **headers):
    """The response to something said."""
    headers = {"content-type": "application/json", **headers}
    if token:
        headers["auth_token"] = token
    body = {"messages": [{"role": "user", "content": text}], "stream": stream}
    request = urllib.request.Request(os.environ["LETTERHEAD_URL"] + path, json.dumps(body).encode(), headers)
    return OPENER.open(request, timeout=40)


def said(text, **more):
    """The answer to something said."""
    with open_turn(text, **more) as response:
        return json.load(response)["choices"][0]["message"]["content"]


def test_an_answer_comes_back(agent):
    assert "Contract says: May we?." in said(f"/ask {agent} May we?")


def test_its_text_streams_as_a_childs(agent):
    text = ""
    with open_turn(f"/ask {agent} May we?", path="/api/v1/chat/completions", stream=True) as response:
        event = None
        for line in response.read().decode().splitlines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: {") and event == "child_content":
                child = json.loads(line.removeprefix("data: "))
                assert child["agent_name"] == agent
                text += child["content"]
                event = None
    assert text == "Contract says: May we?."


def test_an_answer_without_a_task_is_an_answer(agent):
    assert "An answer without a task." in said(f"/ask {agent} message")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("input", "asks back before it answers"),
        ("auth", "wants to be authorised first"),
        ("reject", "refuses to do this"),
        ("fail", "failed. It says: because of: fail"),
    ],
)
def test_each_end_without_an_answer_is_told(agent, word, told):
    answer = said(f"/ask {agent} {word} x")
    assert told in answer and f"because of: {word} x" in answer


def test_an_agent_that_breaks_is_a_result(agent):
    # Some say why, and some do not: the turn goes on.
    assert agent in said(f"/ask {agent} raise")


def test_the_headers_of_the_configuration_go_along_on_every_call(agent):
    mark = f"r-{uuid.uuid4()}"
    said(f"/ask {agent} May we?", **{"X-Request-Id": mark, "X-Canary": "c", "Authorization": "Bearer of-the-client"})
    place = agent.split("_")[1]
    version = "0.3" if place == "older" else "1.0"
    deadline = time.monotonic() + 10
    calls = []
    while not calls and time.monotonic() < deadline:
        calls = [call for call in of(agent, "seen") if call["headers"].get("x-request-id") == mark and call["method"] != "card"]
    assert [call["headers"]["a2a-version"] for call in calls] == [version]
    for call in calls:
        assert call["headers"]["authorization"] == f"Bearer {TOKEN}"
        assert "traceparent" in call["headers"] and "x-canary" not in call["headers"]
        assert "auth_token" not in call["headers"] and "x-session-id" not in call["headers"]
    methods = {"one": "SendStreamingMessage", "whole": "SendMessage", "older": "message/stream"}
    assert [call["method"] for call in calls] == [methods[place]]


def test_without_the_token_nothing_is_asked(agent):
    before = len(of(agent, "seen"))
    assert "was not asked" in said(f"/ask {agent} May we?", token=None)
    assert len(of(agent, "seen")) == before


def test_a_token_that_is_refused_is_a_result(agent):
    answer = said(f"/ask {agent} May we?", token="t_of_somebody_else")
    assert "status 401" in answer and "who are you" not in answer


# One that does not stream says which task it is at when it is done with it.
@pytest.mark.parametrize("agent", [agent for agent in AGENTS if not agent.endswith("whole")])
def test_a_turn_that_nobody_waits_for_cancels_the_task(agent):
    before = len(of(agent, "cancelled"))
    response = open_turn(f"/ask {agent} wait", path="/api/v1/chat/completions", stream=True)
    # What it says while it waits says that the task is known here.
    for line in response:
        if line.startswith(b"event: child_content"):
            break
    response.close()
    deadline = time.monotonic() + 10
    while len(of(agent, "cancelled")) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(of(agent, "cancelled")) == before + 1


def test_the_trail_says_what_was_sent(agent):
    session = f"trail-{agent}"
    said(f"/ask {agent} May we?", **{"X-Session-Id": session})
    entries = get(f"{os.environ['LETTERHEAD_URL']}/api/v1/sessions/{session}/trail")["data"]
    ours = [entry for entry in entries if entry["destination"] == f"external_agents.{agent}"]
    assert [(entry["header"], entry["sent"]) for entry in ours] == [("Authorization", True), ("X-Request-Id", True)]
    assert {entry["kind"] for entry in ours} == {"external_agent"}
    assert TOKEN not in json.dumps(entries)
