"""Callers' tokens are traded at an identity provider built by others, and its API takes what comes back and nothing else."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request

import pytest

IDP = os.environ.get("IDP", "")
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(path, **headers):
    """The status and the JSON of a request to the provider or its API."""
    try:
        with OPENER.open(urllib.request.Request(IDP + path, headers=headers), timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def login(user):
    """A token of this user for Letterhead."""
    return get(f"/login?user={urllib.parse.quote(user)}")[1]


def seen():
    """What has come to the provider so far."""
    return get("/seen")[1]


def say(token, agent, text):
    """The answer of an agent, asked with this token."""
    body = {"model": agent, "messages": [{"role": "user", "content": text}]}
    request = urllib.request.Request(
        os.environ["LETTERHEAD_URL"] + "/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "authorization": f"Bearer {token}"},
    )
    with OPENER.open(request, timeout=40) as response:
        return json.load(response)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("tool", ["by_basic", "by_post"])
def test_the_api_takes_the_token_and_it_is_the_callers(tool):
    ada, bob = login(f"ada-{tool}"), login(f"bob-{tool}")
    assert get("/orders", Authorization=f"Bearer {ada}")[0] == 403, "the API does not take the caller's own"
    answers = {name: say(token, "tools", f"/tool {tool} {{}}") for name, token in {"ada": ada, "bob": bob}.items()}
    assert all("shipped" in answer for answer in answers.values()), answers
    assert answers["ada"] != answers["bob"], "each has its own"


def test_a_token_is_got_once_for_several_calls():
    carl = login("carl")
    before = len([one for one in seen() if "form" in one])
    for _ in range(3):
        assert "shipped" in say(carl, "tools", "/tool by_basic {}")
    exchanges = [one["form"] for one in seen() if "form" in one][before:]
    assert len(exchanges) == 1
    assert exchanges[0]["subject_token"] == [carl]
    assert exchanges[0]["scope"] == ["orders:read"]


def test_it_goes_into_a_prompt_what_the_api_said_and_not_the_token():
    answer = say(login("dora"), "told", "Hello")
    assert "Your user's orders are shipped." in answer
    assert "eyJ" not in answer


def test_a_refusal_is_told_by_its_code_alone():
    answer = say(login("ada"), "tools", "/tool for_another {}")
    assert "invalid_target" in answer and "Unknown audience" not in answer
    assert "invalid_client" in say(login("ada"), "tools", "/tool by_nobody {}")


def test_a_forged_token_is_not_traded():
    before = len(seen())
    token = login("eve")
    with pytest.raises(urllib.error.HTTPError) as refused:
        say(token[:-4] + "AAAA", "tools", "/tool by_basic {}")
    assert refused.value.code == 401
    assert len(seen()) == before
