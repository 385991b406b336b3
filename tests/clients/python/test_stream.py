"""OpenAI Python: streamed answers, by plain iteration, by the `.stream()` helper, and as bytes."""

import asyncio
import time

import openai
from conftest import CONTEXT, SDK_KEY, user

FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}


def test_chunks_have_one_choice_each_and_make_up_the_answer(client):
    chunks = list(client.chat.completions.create(model="script:echo", messages=user("a b c"), stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    # Nobody asked for usage: code that reads `choices[0]` of every chunk must live.
    assert all(len(chunk.choices) == 1 for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You said: a b c"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_demo_model_streams_in_pieces(client):
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=user("Who am I?"), stream=True))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert len(pieces) > 1
    assert "u_123" in "".join(pieces)


def test_usage_comes_in_a_chunk_of_its_own_when_asked_for(client):
    *before, last = client.chat.completions.create(
        model="script:echo", messages=user("hi"), stream=True, stream_options={"include_usage": True}
    )
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (11, 7, 18)
    assert all(chunk.usage is None and chunk.choices for chunk in before)
    assert before[-1].choices[0].finish_reason == "stop"


def test_the_stream_helper_puts_the_answer_together(client):
    with client.chat.completions.stream(model="script:echo", messages=user("one two")) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == "You said: one two"
    assert final.choices[0].message.content == "You said: one two"
    assert final.choices[0].finish_reason == "stop"


def test_an_odd_finish_reason_of_a_provider_becomes_one_of_openais(client):
    chunks = list(client.chat.completions.create(model="script:odd", messages=user("hi"), stream=True))
    assert chunks[-1].choices[0].finish_reason in FINISH_REASONS


def test_the_wire_carries_data_lines_and_comments_only(client):
    with client.chat.completions.with_streaming_response.create(
        model="script:echo", messages=user("hi"), stream=True
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-request-id"]
        lines = [line for line in response.iter_lines() if line]
    assert all(line.startswith(("data: ", ":")) for line in lines)
    assert lines[-1] == "data: [DONE]"


def test_the_asynchronous_client_streams_too(server, case):
    async def talk():
        async with openai.AsyncOpenAI(
            base_url=f"{server}/v1", api_key=SDK_KEY, max_retries=0, default_headers={**CONTEXT, "X-Case": case}
        ) as client:
            stream = await client.chat.completions.create(model="script:echo", messages=user("a b"), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(talk()) == "You said: a b"


def test_words_arrive_before_the_answer_is_complete(client, upstream):
    stream = client.chat.completions.create(model="script:hold", messages=user("hi"), stream=True)
    chunks = iter(stream)
    seen = ""
    while "partial" not in seen:
        seen += next(chunks).choices[0].delta.content or ""
    # Only now may the provider go on: had anything waited for the whole answer, this line would not be reached.
    upstream.release()
    seen += "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert seen == "partial and whole"


def test_a_client_that_leaves_leaves_an_incomplete_message(client, api, case):
    stream = client.chat.completions.create(
        model="script:hold", messages=user("hi"), stream=True, extra_headers={"X-Session-Id": case}
    )
    for chunk in stream:
        if chunk.choices[0].delta.content == "partial":
            break
    stream.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        listed = stored_messages(api, case)
        if any(message["status"] == "incomplete" for message in listed):
            break
        time.sleep(0.05)
    assert [(message["role"], message["status"]) for message in listed if message["role"] == "assistant"] == [
        ("assistant", "incomplete")
    ]
    assert "partial" in str(listed)


def stored_messages(api, session):
    """The messages of a session; none while there is no such session yet."""
    try:
        return api.get(f"/sessions/{session}/messages", cast_to=object)["data"]
    except openai.NotFoundError:
        return []


def test_a_request_that_is_sent_again_is_told_the_same(client, upstream, case):
    """The stream of an answer that was kept is a stream like any other, to plain iteration and to the helper."""
    ask = {"model": "script:echo", "messages": user("one two"), "extra_headers": {"Idempotency-Key": case}}
    whole = client.chat.completions.create(**ask)
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    assert {chunk.id for chunk in chunks} == {whole.id}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage == whole.usage
    with client.chat.completions.stream(**ask) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == whole.choices[0].message.content
    assert len(upstream.calls()) == 1
