"""OpenAI Python at `/api/v1`: the session in the path, and named events that the SDK must pass over."""

import openai
import pytest
from conftest import CONTEXT, WEATHER, user
from openai.types.chat import ChatCompletion, ChatCompletionChunk


def post(api, session, text, model="script:echo", headers=None, **body):
    """A turn in a session named by the path."""
    body = {"messages": user(text)} | ({"model": model} if model else {}) | body
    path, options = f"/chat/completions/{session}", {"headers": headers or {}}
    if not body.get("stream"):
        return api.post(path, cast_to=ChatCompletion, body=body, options=options)
    stream = openai.Stream[ChatCompletionChunk]
    return api.post(path, cast_to=ChatCompletionChunk, body=body, options=options, stream=True, stream_cls=stream)


def kinds(chunks):
    """The names of the events among the chunks."""
    return [chunk.model_extra["type"] for chunk in chunks if not chunk.choices and "type" in chunk.model_extra]


def text_of(chunks):
    """The text of a stream, whose events have no choices."""
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_an_answer_carries_the_session_it_opened(api):
    raw = api.chat.completions.with_raw_response.create(model="script:echo", messages=user("hi"))
    completion = raw.parse()
    assert completion.choices[0].message.content == "You said: hi"
    assert completion.model_extra["session_id"] == raw.headers["x-session-id"]
    assert completion.model_extra["session_id"]


def test_the_session_of_the_path_wins_over_that_of_the_header(api, bare, server, case, upstream):
    completion = post(api, case, "one", headers={"X-Session-Id": "another"})
    assert completion.model_extra["session_id"] == case
    # The same session goes on under the header, and without the context headers.
    completion = bare.with_options(base_url=f"{server}/api/v1").chat.completions.create(
        model="script:echo", messages=user("two"), extra_headers={"X-Session-Id": case}
    )
    assert completion.model_extra["session_id"] == case
    assert upstream.calls()[1].conversation == [("user", "one"), ("assistant", "You said: one"), ("user", "two")]


def test_a_body_may_name_the_session_too(api, case):
    completion = api.chat.completions.create(
        model="script:echo", messages=user("hi"), extra_body={"conversationId": case}
    )
    assert completion.model_extra["session_id"] == case


def test_named_events_pass_as_chunks_without_choices(api, case):
    chunks = list(post(api, case, "a b c", stream=True))
    assert all(isinstance(chunk.choices, list) for chunk in chunks)
    assert text_of(chunks) == "You said: a b c"
    assert {"metadata", "done"} <= set(kinds(chunks))
    (metadata,) = [chunk.model_extra for chunk in chunks if chunk.model_extra.get("type") == "metadata"]
    assert metadata["session_id"] == case
    assert metadata["agent_schema"] == "assistant"
    assert metadata["message_id"]
    assert kinds(chunks)[-1] == "done"
    assert chunks[-1].model_extra["reason"] == "stop"


def test_the_events_have_their_names_on_the_wire(api, case):
    with api.chat.completions.with_streaming_response.create(
        model="script:echo", messages=user("hi"), stream=True, extra_headers={"X-Session-Id": case}
    ) as response:
        assert response.headers["x-session-id"] == case
        lines = [line for line in response.iter_lines() if line]
    assert {"event: metadata", "event: done"} <= set(lines)
    assert all(line.startswith(("data: ", "event: ", ":")) for line in lines)
    assert lines[-1] == "data: [DONE]"


def test_the_stream_helper_passes_over_the_events(api):
    with api.chat.completions.stream(model="script:echo", messages=user("one two")) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "You said: one two"


def test_the_clients_own_tools_work_here_too(api):
    with api.chat.completions.stream(model="script:weather", messages=user("Berlin?"), tools=[WEATHER]) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    assert final.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_an_answer_cut_by_the_token_limit_is_done_by_length(api, case):
    chunks = list(post(api, case, "hi", model="script:length", stream=True))
    assert chunks[-1].model_extra["reason"] == "length"


def test_a_break_in_the_middle_is_an_exception_here_too(api, case):
    seen = []
    with pytest.raises(openai.APIError) as raised:
        for chunk in post(api, case, "hi", model="script:break", stream=True):
            seen.append(chunk)
    assert text_of(seen) == "partial"
    assert raised.value.code == "upstream_failed"


def test_sessions_can_be_read_and_deleted(api, case):
    post(api, case, "hi")
    session = api.get(f"/sessions/{case}", cast_to=object)
    assert (session["id"], session["agent"]) == (case, "assistant")
    assert session["mode"] != "evaluation"
    assert "t_abc" not in str(session)
    messages = api.get(f"/sessions/{case}/messages", cast_to=object)
    assert [(message["role"], message["status"]) for message in messages["data"]] == [
        ("user", "complete"),
        ("assistant", "complete"),
    ]
    trail = api.get(f"/sessions/{case}/trail", cast_to=object)["data"]
    assert all(value not in str(trail) for value in CONTEXT.values())
    assert any(str(entry["header"]).lower() == "x-org" and entry["sent"] for entry in trail)
    api.delete(f"/sessions/{case}", cast_to=type(None))
    with pytest.raises(openai.NotFoundError) as raised:
        api.get(f"/sessions/{case}", cast_to=object)
    assert raised.value.code == "session_not_found"


def test_the_seeds_request_with_identity_headers_works(api, case, upstream):
    chunks = list(
        post(
            api,
            case,
            "Research neural networks",
            model=None,
            headers={"X-User-Id": "user-123", "X-Agent-Schema": "assistant", "X-Model-Name": "script:echo"},
            stream=True,
        )
    )
    assert text_of(chunks) == "You said: Research neural networks"
    assert upstream.call().body["model"] == "echo"
