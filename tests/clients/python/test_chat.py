"""OpenAI Python: answers in one piece, and what reaches the prompt and the model provider."""

import asyncio

import openai
from conftest import CONTEXT, SDK_KEY, answered, user


def test_an_answer_has_the_form_the_sdk_expects(client):
    completion = client.chat.completions.create(model="script:echo", messages=user("good morning"))
    assert completion.object == "chat.completion"
    assert completion.id
    assert completion.created > 0
    (choice,) = completion.choices
    assert choice.index == 0
    assert choice.message.role == "assistant"
    assert choice.message.content == "You said: good morning"
    assert choice.message.tool_calls is None
    assert choice.finish_reason == "stop"
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.total_tokens) == (
        11,
        7,
        18,
    )
    assert completion._request_id


def test_the_demo_model_answers_for_the_user_of_the_header(client):
    completion = client.chat.completions.create(model="assistant", messages=user("What can you help me with?"))
    assert "u_123" in completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "stop"


def test_a_fixed_model_name_is_served_by_its_alias(client):
    completion = client.chat.completions.create(model="gpt-4o", messages=user("Who am I?"))
    assert "u_123" in completion.choices[0].message.content


def test_default_headers_reach_the_prompt(client, upstream):
    client.chat.completions.create(model="script:echo", messages=user("hi"))
    assert "for user u_123 from Acme Corp." in upstream.call().instructions


def test_extra_headers_of_a_call_win_over_default_headers(client, upstream):
    client.chat.completions.create(
        model="script:echo", messages=user("hi"), extra_headers={"user_id": "u_456", "Seats": "12"}
    )
    instructions = upstream.call().instructions
    assert "for user u_456 from Acme Corp." in instructions
    assert "They have 12 seats." in instructions


def test_a_header_may_be_spelt_with_hyphens(bare, upstream):
    bare.chat.completions.create(
        model="script:echo",
        messages=user("hi"),
        extra_headers={"User-Id": "u_789", "Auth-Token": "t", "Org-Name": "Initech"},
    )
    assert "for user u_789 from Initech." in upstream.call().instructions


def test_an_optional_header_that_is_not_sent_is_left_out(bare, upstream):
    bare.chat.completions.create(
        model="script:echo", messages=user("hi"), extra_headers={"user_id": "u_1", "auth_token": "t"}
    )
    call = upstream.call()
    assert "from an unknown organisation." in call.instructions
    assert call.header("X-Org") == []
    assert "{{" not in str(call.body) + str(call.headers)


def test_the_headers_of_agent_and_request_meet_as_the_guide_prints_them(client, upstream):
    client.chat.completions.create(
        model="script:echo",
        messages=user("What's the weather?"),
        extra_headers={"X-Environment": "production", "X-Request-ID": "req-123"},
    )
    call = upstream.call()
    assert call.header("X-Environment") == ["production"]
    assert call.header("X-Agent-ID") == ["agent-001"]
    assert call.header("X-Request-ID") == ["req-123"]
    assert call.header("X-Org") == ["Acme Corp"]


def test_what_the_sdk_sends_for_the_server_stays_with_the_server(client, upstream):
    client.chat.completions.create(model="script:echo", messages=user("hi"), extra_headers={"Cookie": "a=b"})
    call = upstream.call()
    assert call.header("Authorization") == ["Bearer upstream-key"]
    assert call.header("Cookie") == []
    names = {name.lower() for name, _ in call.headers}
    assert not {name for name in names if name.startswith("x-stainless")}
    assert not names & {"user_id", "user-id", "auth_token", "auth-token", "org_name", "org-name"}
    everything = str(call.headers) + str(call.body)
    assert SDK_KEY not in everything
    assert CONTEXT["auth_token"] not in everything


def test_a_credential_of_the_agent_replaces_that_of_the_provider(client, upstream):
    client.chat.completions.create(model="own-key", messages=user("hi"))
    assert upstream.call().header("Authorization") == ["Bearer t_abc"]


def test_without_a_session_the_request_is_the_whole_conversation(client, upstream):
    history = user("My name is Ada.") + answered("Hello Ada.") + user("What is my name?")
    client.chat.completions.create(model="script:echo", messages=history)
    client.chat.completions.create(model="script:echo", messages=user("And now?"))
    first, second = upstream.calls()
    assert first.conversation == [
        ("user", "My name is Ada."),
        ("assistant", "Hello Ada."),
        ("user", "What is my name?"),
    ]
    assert second.conversation == [("user", "And now?")]


def test_a_clients_system_message_follows_the_agents_instructions(client, upstream):
    client.chat.completions.create(
        model="script:echo", messages=[{"role": "system", "content": "Answer in rhyme."}] + user("hi")
    )
    call = upstream.call()
    assert "for user u_123" in call.instructions
    text = str(call.body["messages"])
    assert text.index("for user u_123") < text.index("Answer in rhyme.")
    assert call.conversation[-1] == ("user", "hi")


def test_content_may_come_in_parts(client, upstream):
    picture = "data:image/png;base64,iVBORw0KGgo="
    completion = client.chat.completions.create(
        model="script:echo",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": picture}},
                ],
            }
        ],
    )
    assert completion.choices[0].message.content == "You said: What is this?"
    assert picture in str(upstream.call().body["messages"])


def test_params_of_the_request_win_over_those_of_the_agent(client, upstream):
    client.chat.completions.create(
        model="script:echo", messages=user("hi"), temperature=0.9, max_completion_tokens=64, top_p=0.5, stop=["END"]
    )
    body = upstream.call().body
    assert (body["temperature"], body["top_p"], body["stop"], body["seed"]) == (0.9, 0.5, ["END"], 7)
    assert 64 in (body.get("max_completion_tokens"), body.get("max_tokens"))


def test_unknown_fields_of_a_request_are_no_error(client):
    completion = client.chat.completions.create(
        model="assistant",
        messages=user("hi"),
        user="someone-else",
        store=False,
        extra_body={"field_of_the_future": {"deep": [1, None]}},
    )
    assert completion.choices[0].finish_reason == "stop"


def test_the_user_field_of_a_body_names_nobody(client, upstream):
    client.chat.completions.create(model="script:echo", messages=user("hi"), user="someone-else")
    assert "for user u_123" in upstream.call().instructions


def test_an_answer_cut_by_the_token_limit_says_so(client):
    completion = client.chat.completions.create(model="script:length", messages=user("hi"))
    assert completion.choices[0].finish_reason == "length"


def test_an_odd_finish_reason_of_a_provider_becomes_one_of_openais(client):
    completion = client.chat.completions.create(model="script:odd", messages=user("hi"))
    assert completion.choices[0].message.content == "You said: hi"
    assert completion.choices[0].finish_reason in ("stop", "length", "tool_calls", "content_filter", "function_call")


def test_the_asynchronous_client_works_too(server, case):
    async def talk():
        async with openai.AsyncOpenAI(
            base_url=f"{server}/v1", api_key=SDK_KEY, max_retries=0, default_headers={**CONTEXT, "X-Case": case}
        ) as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(model="script:echo", messages=user(f"number {n}")) for n in range(8))
            )
            return [answer.choices[0].message.content for answer in answers]

    assert asyncio.run(talk()) == [f"You said: number {n}" for n in range(8)]
