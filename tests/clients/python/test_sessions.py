"""OpenAI Python with `X-Session-Id`: the server holds the conversation, and remembers its headers."""

import openai
import pytest
from conftest import CONTEXT, answered, user


@pytest.fixture
def session(bare, case):
    """A client that names a session and sends no context headers."""
    return bare.with_options(default_headers={"X-Session-Id": case})


def ask(client, text, headers=None, model="script:echo"):
    """One question; the answer's text."""
    completion = client.chat.completions.create(model=model, messages=user(text), extra_headers=headers)
    return completion.choices[0].message.content


def test_a_second_turn_needs_no_headers_and_knows_the_first(session, upstream):
    assert ask(session, "My name is Ada.", CONTEXT) == "You said: My name is Ada."
    assert ask(session, "What is my name?") == "You said: What is my name?"
    _, second = upstream.calls()
    assert "for user u_123 from Acme Corp." in second.instructions
    assert second.header("X-Org") == ["Acme Corp"]
    assert second.conversation == [
        ("user", "My name is Ada."),
        ("assistant", "You said: My name is Ada."),
        ("user", "What is my name?"),
    ]


def test_a_streamed_turn_is_remembered_like_any_other(session, upstream):
    list(session.chat.completions.create(model="script:echo", messages=user("one"), stream=True, extra_headers=CONTEXT))
    ask(session, "two")
    _, second = upstream.calls()
    assert second.conversation == [("user", "one"), ("assistant", "You said: one"), ("user", "two")]


def test_the_answer_says_which_session_it_belongs_to(session, case):
    raw = session.chat.completions.with_raw_response.create(
        model="script:echo", messages=user("hi"), extra_headers=CONTEXT
    )
    assert raw.headers["x-session-id"] == case
    assert raw.parse().choices[0].message.content == "You said: hi"


def test_a_client_that_sends_the_whole_conversation_doubles_nothing(session, upstream):
    ask(session, "one", CONTEXT)
    history = user("one") + answered("You said: one") + user("two")
    session.chat.completions.create(model="script:echo", messages=history)
    _, second = upstream.calls()
    assert second.conversation == [("user", "one"), ("assistant", "You said: one"), ("user", "two")]


def test_a_new_value_replaces_the_remembered_one(session, upstream):
    ask(session, "one", CONTEXT)
    ask(session, "two", {"org_name": "Initech"})
    ask(session, "three")
    assert "for user u_123 from Initech." in upstream.calls()[2].instructions


def test_an_invalid_new_value_is_refused_and_the_old_one_kept(session, upstream):
    ask(session, "one", CONTEXT)
    with pytest.raises(openai.BadRequestError) as refused:
        ask(session, "two", {"org_name": "x" * 81})
    assert (refused.value.code, refused.value.param) == ("invalid_header", "org_name")
    ask(session, "three")
    _, third = upstream.calls()
    assert "from Acme Corp." in third.instructions
    assert third.conversation == [("user", "one"), ("assistant", "You said: one"), ("user", "three")]


def test_an_empty_value_clears_the_remembered_one(session, upstream):
    ask(session, "one", CONTEXT)
    ask(session, "two", {"org_name": ""})
    assert "from an unknown organisation." in upstream.calls()[1].instructions
    with pytest.raises(openai.BadRequestError) as refused:
        ask(session, "three", {"user_id": ""})
    assert (refused.value.code, refused.value.param) == ("missing_header", "user_id")


def test_the_same_id_of_another_caller_is_another_session(session, upstream):
    ask(session, "a secret of Ada", CONTEXT | {"X-User-Id": "ada"})
    with pytest.raises(openai.BadRequestError) as refused:
        ask(session, "what did she say?", {"X-User-Id": "eve"})
    assert refused.value.code == "missing_header"
    ask(session, "what did she say?", CONTEXT | {"X-User-Id": "eve"})
    assert upstream.calls()[-1].conversation == [("user", "what did she say?")]


def test_an_identity_header_names_the_session_of_that_user_in_the_list(session, api, case):
    ask(session, "hi", CONTEXT | {"X-User-Id": case, "X-Client-Id": "cli"})
    listed = api.get("/sessions", cast_to=object, options={"headers": {"X-User-Id": case}})
    assert listed["object"] == "list"
    assert [(entry["id"], entry["client_id"]) for entry in listed["data"]] == [(case, "cli")]
    assert sorted(listed["data"][0]["headers"]) == ["auth_token", "org_name", "user_id"]
    assert "t_abc" not in str(listed)


def test_one_turn_at_a_time(session, upstream):
    running = session.chat.completions.create(
        model="script:hold", messages=user("one"), stream=True, extra_headers=CONTEXT
    )
    chunks = iter(running)
    next(chunks)
    with pytest.raises(openai.ConflictError) as busy:
        ask(session, "two")
    assert busy.value.code == "session_busy"
    assert busy.value.response.headers["retry-after"] == "1"
    upstream.release()
    rest = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert rest.endswith(" and whole")
    assert ask(session, "three") == "You said: three"


def test_the_sdks_own_retry_outlives_a_busy_session(session, upstream):
    running = session.chat.completions.create(
        model="script:hold", messages=user("one"), stream=True, extra_headers=CONTEXT
    )
    chunks = iter(running)
    next(chunks)
    upstream.release()
    assert ask(session.with_options(max_retries=2), "two") == "You said: two"
    assert len(list(chunks)) > 0


def test_a_failed_turn_is_no_part_of_the_later_conversation(session, upstream):
    ask(session, "one", CONTEXT)
    with pytest.raises(openai.InternalServerError):
        ask(session, "two", model="script:status-401")
    ask(session, "two")
    assert upstream.calls()[-1].conversation == [("user", "one"), ("assistant", "You said: one"), ("user", "two")]


@pytest.mark.parametrize("name", ["with space", "..", "a/b", "x" * 129])
def test_a_session_id_of_the_wrong_form_is_refused(bare, name):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(bare, "hi", CONTEXT | {"X-Session-Id": name})
    assert refused.value.code == "invalid_session_id"
