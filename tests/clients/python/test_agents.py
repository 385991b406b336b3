"""OpenAI Python and an agent with tools of its own: to OpenAI's clients, a call of theirs is none of their business."""

import openai
import pytest
from conftest import WEATHER, user
from openai.types.chat import ChatCompletion

ASK = user("/ask researcher What is ink?")


def test_a_call_of_the_agents_own_never_shows_as_a_tool_call(client):
    completion = client.chat.completions.create(model="orchestrator", messages=ASK)
    (choice,) = completion.choices
    assert choice.message.tool_calls is None
    assert choice.finish_reason == "stop"
    # The child was told for whom it works, though nobody passed that on.
    assert "You find facts for u_123" in choice.message.content


@pytest.mark.parametrize("base", ["/v1", "/api/v1"])
def test_nor_does_it_in_a_stream(client, server, base):
    stream = client.with_options(base_url=f"{server}{base}").chat.completions.create(
        model="orchestrator", messages=ASK, stream=True
    )
    choices = [choice for chunk in stream for choice in chunk.choices]
    assert all(not choice.delta.tool_calls for choice in choices)
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    text = "".join(choice.delta.content or "" for choice in choices)
    assert text.count("You find facts for u_123") == 1


def test_the_events_tell_of_the_call_and_of_the_child(api):
    stream = api.chat.completions.create(model="orchestrator", messages=ASK, stream=True)
    events = [chunk.model_extra for chunk in stream if not chunk.choices]
    calls = [event for event in events if event["type"] == "tool_call" and event["tool_name"] == "ask_agent"]
    assert len(calls) >= 2
    assert len({call["tool_id"] for call in calls}) == 1
    assert calls[0]["arguments"] == {"agent": "researcher", "input": "What is ink?"}
    assert "You find facts" in str(calls[-1]["result"])
    said = [event for event in events if event["type"] == "child_content"]
    assert {event["agent_name"] for event in said} == {"researcher"}
    assert "You find facts for u_123" in "".join(event["content"] for event in said)


def test_a_tool_of_the_client_beside_those_of_the_agent(client):
    messages = user('/ask researcher What is ink?\n/tool get_weather {"city": "Oslo"}')
    completion = client.chat.completions.create(model="orchestrator", messages=messages, tools=[WEATHER])
    (choice,) = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert [call.function.name for call in choice.message.tool_calls] == ["get_weather"]


def test_a_tool_of_the_clients_may_not_be_called_like_one_of_the_agents(client):
    double = {"type": "function", "function": WEATHER["function"] | {"name": "ask_agent"}}
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="orchestrator", messages=user("hi"), tools=[double])
    assert raised.value.code == "invalid_body"


def test_a_handoff_holds_though_the_client_names_the_first_agent_every_time(api, case):
    def ask(text):
        body = {"model": "orchestrator", "messages": user(text)}
        completion = api.post(f"/chat/completions/{case}", cast_to=ChatCompletion, body=body)
        return completion.choices[0].message.content

    assert "You lead for u_123" in ask("hello")
    assert "You handle billing for u_123" in ask("/handoff billing")
    assert "You handle billing for u_123" in ask("and now?")
