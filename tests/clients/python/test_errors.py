"""OpenAI Python: every failure surfaces as the SDK's own exception, with its code, parameter and request id."""

import openai
import pytest
from conftest import CONTEXT, user

from upstream import SECRET_BODY


def ask(client, model="script:echo", **options):
    """One question that is expected to fail; the exception."""
    with pytest.raises(openai.APIError) as raised:
        client.chat.completions.create(model=model, messages=options.pop("messages", user("hi")), **options)
    return raised.value


def faults(error):
    """The single faults of a problem, as pairs of header and code."""
    return {(fault["header"], fault["code"]) for fault in error.response.json()["errors"]}


def test_missing_headers_are_all_listed(bare, upstream):
    error = ask(bare)
    assert type(error) is openai.BadRequestError
    assert error.code == "missing_header"
    assert error.param in ("user_id", "auth_token")
    assert error.type == "invalid_request_error"
    assert faults(error) == {("user_id", "missing_header"), ("auth_token", "missing_header")}
    assert "user_id" in str(error) and "auth_token" in str(error)
    assert upstream.calls() == []


def test_faults_of_several_kinds_come_in_one_answer_and_name_no_value(bare):
    headers = {"auth_token": "t_abc", "seats": "seats-of-gold", "org_name": "o" * 81}
    error = ask(bare, extra_headers=headers)
    assert type(error) is openai.BadRequestError
    assert faults(error) == {("seats", "invalid_header"), ("org_name", "invalid_header"), ("user_id", "missing_header")}
    assert not any(value in error.response.text for value in headers.values())


def test_the_problem_is_readable_as_a_problem_too(bare):
    error = ask(bare, extra_headers={"X-Request-ID": "req-of-the-client"})
    assert error.request_id == "req-of-the-client"
    assert error.response.headers["content-type"].startswith("application/problem+json")
    problem = error.response.json()
    assert problem["status"] == 400
    assert problem["request_id"] == "req-of-the-client"
    assert problem["error"] == error.body
    assert problem["title"] and problem["type"] and problem["detail"]


def test_a_request_id_is_made_when_none_is_sent(bare):
    assert ask(bare).request_id


def test_the_same_header_in_two_spellings_is_ambiguous(client):
    error = ask(client, extra_headers={"User-Id": "u_2"})
    assert type(error) is openai.BadRequestError
    assert (error.code, error.param) == ("ambiguous_header", "user_id")


def test_a_header_that_is_too_large_is_431(client):
    error = ask(client, extra_headers={"org_name": "o" * 5000})
    assert type(error) is openai.APIStatusError
    assert (error.status_code, error.code) == (431, "header_too_large")
    assert ("org_name", "header_too_large") in faults(error)
    assert error.request_id


def test_a_body_that_is_too_large_is_413(client):
    error = ask(client, messages=user("x" * (5 << 20)))
    assert type(error) is openai.APIStatusError
    assert (error.status_code, error.code) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"n": 2}, "n"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"temperature": 0.5, "extra_body": {"stream": "perhaps"}}, "stream"),
    ],
)
def test_what_the_server_cannot_take_is_a_bad_request_with_its_place(client, upstream, options, param):
    error = ask(client, **options)
    assert type(error) is openai.BadRequestError
    assert error.code in ("invalid_body", "unsupported_content")
    assert param in error.param or (param == "audio" and error.param == "modalities")
    assert upstream.calls() == []


def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(client):
    error = ask(client, model="gpt-99")
    assert type(error) is openai.NotFoundError
    assert error.code == "model_not_found"
    assert "assistant" in str(error)
    assert ask(client, model="nobody:gpt-99").code == "model_not_found"


def test_an_unknown_agent_is_not_found_and_the_known_ones_are_named(client):
    error = ask(client, extra_headers={"X-Agent-Schema": "../secrets"})
    assert type(error) is openai.NotFoundError
    assert error.code == "agent_not_found"
    assert "own-key" in str(error)


def test_a_foreign_origin_is_refused(client):
    error = ask(client, extra_headers={"Origin": "https://evil.example"})
    assert type(error) is openai.PermissionDeniedError
    assert error.code == "origin_not_allowed"


def test_the_responses_api_points_to_chat_completions(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.responses.create(model="assistant", input="hi")
    assert "/v1/chat/completions" in str(raised.value)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("script", "kind", "status", "code"),
    [
        ("slow-down", openai.RateLimitError, 429, "upstream_rate_limited"),
        ("status-400", openai.BadRequestError, 400, "upstream_rejected"),
        ("status-401", openai.InternalServerError, 502, "upstream_auth"),
        ("status-403", openai.InternalServerError, 502, "upstream_auth"),
        ("status-500", openai.InternalServerError, 502, "upstream_failed"),
        ("status-503", openai.InternalServerError, 503, "upstream_unavailable"),
        ("html", openai.InternalServerError, 502, "upstream_failed"),
        ("half-json", openai.InternalServerError, 502, "upstream_failed"),
    ],
)
def test_a_provider_that_fails_is_an_exception_and_its_words_stay_behind(client, script, kind, status, code, stream):
    error = ask(client, model=f"script:{script}", stream=stream)
    assert type(error) is kind
    assert (error.status_code, error.code) == (status, code)
    assert error.request_id
    everything = error.response.text + str(error.response.headers)
    assert SECRET_BODY not in everything
    assert "upstream-key" not in everything


def test_a_providers_wait_reaches_the_client(client):
    error = ask(client, model="script:slow-down")
    assert error.response.headers["retry-after"] == "120"
    assert error.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("script", ["status-500", "status-503", "slow-down"])
def test_the_sdk_does_not_repeat_what_the_server_has_repeated(client, upstream, script):
    error = ask(client, model=f"script:{script}")
    once = len(upstream.calls())
    ask(client.with_options(max_retries=2), model=f"script:{script}")
    assert error.response.headers["x-should-retry"] == "false"
    assert len(upstream.calls()) == 2 * once


@pytest.mark.parametrize("script", ["break", "end-early"])
def test_a_provider_that_breaks_off_in_the_middle_is_no_success(client, script):
    stream = client.chat.completions.create(model=f"script:{script}", messages=user("hi"), stream=True)
    text, finish = "", None
    with pytest.raises(openai.APIError) as raised:
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
    assert not isinstance(raised.value, openai.APIConnectionError), "the stream must say what happened, not just end"
    assert (text, finish) == ("partial", None)
    assert (raised.value.code, raised.value.type) == ("upstream_failed", "server_error")
    assert raised.value.message


def test_the_stream_helper_sees_the_break_too(client):
    with (
        pytest.raises(openai.APIError) as raised,
        client.chat.completions.stream(model="script:break", messages=user("hi")) as stream,
    ):
        stream.until_done()
    assert raised.value.code == "upstream_failed"


def test_a_broken_turn_is_stored_as_failed(client, api, case):
    stream = client.chat.completions.create(
        model="script:break", messages=user("hi"), stream=True, extra_headers={"X-Session-Id": case}
    )
    with pytest.raises(openai.APIError):
        list(stream)
    listed = api.get(f"/sessions/{case}/messages", cast_to=object)["data"]
    assert "failed" in {message["status"] for message in listed}
    assert CONTEXT["auth_token"] not in str(listed)
