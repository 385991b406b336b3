"""OpenAI Python: the client's own tools. The call comes out, the client runs it, the result goes back."""

import json

import pytest
from conftest import WEATHER, user


def accumulate(stream):
    """The tool calls of a stream put together as OpenAI's guide does it: by `index`; and how it ended."""
    calls, finish = {}, None
    for chunk in stream:
        choice = chunk.choices[0]
        finish = choice.finish_reason or finish
        for piece in choice.delta.tool_calls or []:
            call = calls.setdefault(piece.index, {"id": None, "name": "", "arguments": ""})
            call["id"] = piece.id or call["id"]
            call["name"] += piece.function.name or ""
            call["arguments"] += piece.function.arguments or ""
    return [calls[index] for index in sorted(calls)], finish


def result(call_id, text):
    """The message that carries a tool's result."""
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def test_call_result_answer(client, upstream):
    messages = user("How is the weather in Berlin?")
    first = client.chat.completions.create(
        model="script:weather", messages=messages, tools=[WEATHER], tool_choice="auto"
    )
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Berlin"}

    messages += [first.choices[0].message, result(call.id, "sunny")]
    second = client.chat.completions.create(model="script:weather", messages=messages, tools=[WEATHER])
    assert second.choices[0].message.content == "The tool said: sunny"
    assert second.choices[0].finish_reason == "stop"

    offered, answered = upstream.calls()
    assert [tool["function"]["name"] for tool in offered.body["tools"]] == ["get_weather"]
    assert offered.body["tools"][0]["function"]["parameters"] == WEATHER["function"]["parameters"]
    assert [message["role"] for message in answered.body["messages"][1:]] == ["user", "assistant", "tool"]
    assert answered.body["messages"][2]["tool_calls"][0]["id"] == answered.body["messages"][3]["tool_call_id"]


def test_streamed_calls_accumulate_by_index(client):
    stream = client.chat.completions.create(
        model="script:weather", messages=user("Berlin?"), tools=[WEATHER], stream=True
    )
    (call,), finish = accumulate(stream)
    assert finish == "tool_calls"
    assert call["id"]
    assert call["name"] == "get_weather"
    assert json.loads(call["arguments"]) == {"city": "Berlin"}


def test_two_calls_in_one_answer_stay_apart(client):
    messages = user("Berlin and Paris?")
    calls, finish = accumulate(
        client.chat.completions.create(model="script:two-cities", messages=messages, tools=[WEATHER], stream=True)
    )
    assert finish == "tool_calls"
    assert [json.loads(call["arguments"]) for call in calls] == [{"city": "Berlin"}, {"city": "Paris"}]
    assert len({call["id"] for call in calls}) == 2

    messages.append(
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": call["arguments"]},
                }
                for call in calls
            ],
        }
    )
    messages += [result(calls[0]["id"], "sunny"), result(calls[1]["id"], "rain")]
    stream = client.chat.completions.create(model="script:two-cities", messages=messages, tools=[WEATHER], stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "The tool said: sunny; rain"


def test_the_stream_helper_reads_the_calls(client):
    with client.chat.completions.stream(model="script:weather", messages=user("Berlin?"), tools=[WEATHER]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    assert [(event.name, json.loads(event.arguments)) for event in done] == [("get_weather", {"city": "Berlin"})]
    assert final.choices[0].message.tool_calls[0].function.name == "get_weather"


@pytest.mark.parametrize("stream", [False, True])
def test_the_demo_model_calls_the_tool_that_a_message_names(client, stream):
    messages = user('/tool get_weather {"city": "Oslo"}')
    answer = client.chat.completions.create(model="assistant", messages=messages, tools=[WEATHER], stream=stream)
    if stream:
        (call,), finish = accumulate(answer)
    else:
        finish = answer.choices[0].finish_reason
        (made,) = answer.choices[0].message.tool_calls
        call = {"id": made.id, "name": made.function.name, "arguments": made.function.arguments}
    assert finish == "tool_calls"
    assert call["name"] == "get_weather"
    assert json.loads(call["arguments"]) == {"city": "Oslo"}

    function = {"name": call["name"], "arguments": call["arguments"]}
    messages += [
        {"role": "assistant", "tool_calls": [{"id": call["id"], "type": "function", "function": function}]},
        result(call["id"], "snow"),
    ]
    final = client.chat.completions.create(model="assistant", messages=messages, tools=[WEATHER])
    assert final.choices[0].finish_reason == "stop"
    assert "snow" in final.choices[0].message.content


def test_in_a_session_only_the_result_is_new(client, upstream, case):
    session = client.with_options(default_headers={"X-Session-Id": case})
    messages = user("Berlin?")
    first = session.chat.completions.create(model="script:weather", messages=messages, tools=[WEATHER])
    messages += [first.choices[0].message, result(first.choices[0].message.tool_calls[0].id, "sunny")]
    second = session.chat.completions.create(model="script:weather", messages=messages, tools=[WEATHER])
    assert second.choices[0].message.content == "The tool said: sunny"
    _, answered = upstream.calls()
    assert [message["role"] for message in answered.body["messages"][1:]] == ["user", "assistant", "tool"]
    assert answered.body["messages"][-1]["content"] == "sunny"


def test_the_choice_of_a_tool_is_passed_on(client, upstream):
    choice = {"type": "function", "function": {"name": "get_weather"}}
    client.chat.completions.create(model="script:weather", messages=user("hi"), tools=[WEATHER], tool_choice=choice)
    assert upstream.call().body["tool_choice"] == choice
