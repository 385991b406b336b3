"""What every test needs: the server, the model provider behind it, and clients that know both.

`tests/clients/run` starts the two and says where they are in `LETTERHEAD_URL` and `UPSTREAM_URL`.
"""

import json
import os
import urllib.request
import uuid

import openai
import pytest

CONTEXT = {"user_id": "u_123", "auth_token": "t_abc", "org_name": "Acme Corp"}
SDK_KEY = "sk-of-the-sdk-that-nobody-needs"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}},
    },
}


class Call:
    """One request that the model provider received."""

    def __init__(self, call):
        self.body = call["body"]
        self.headers = call["headers"]

    def header(self, name):
        """All values of a header, whatever its case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def instructions(self):
        """The first message, which the agent wrote."""
        first = self.body["messages"][0]
        assert first["role"] in ("system", "developer")
        return first["content"]

    @property
    def conversation(self):
        """Role and content of what follows the instructions."""
        return [(message["role"], message.get("content")) for message in self.body["messages"][1:]]


class Upstream:
    """The model provider, seen from a test."""

    def __init__(self, url, case):
        self.url = url
        self.case = case

    def calls(self):
        """What arrived for this test, in order."""
        return [Call(call) for call in self.received()]

    def received(self):
        """The same, as the provider keeps it; also what the tool `refund` was called with."""
        with urllib.request.urlopen(f"{self.url}/calls/{self.case}") as response:
            return json.load(response)

    def call(self):
        """The only call of this test."""
        (call,) = self.calls()
        return call

    def release(self):
        """Lets the script `hold` go on."""
        request = urllib.request.Request(f"{self.url}/release/{self.case}", data=b"", method="POST")
        urllib.request.urlopen(request).close()


@pytest.fixture(scope="session")
def server():
    """The base URL of the server."""
    return os.environ["LETTERHEAD_URL"]


@pytest.fixture
def case():
    """A name for this test's calls; also a fresh session id where one is wanted."""
    return f"case-{uuid.uuid4().hex}"


@pytest.fixture
def upstream(case):
    """The model provider's view of this test."""
    return Upstream(os.environ["UPSTREAM_URL"], case)


@pytest.fixture
def bare(server, case):
    """A client that sends no context headers, and repeats nothing by itself."""
    with openai.OpenAI(
        base_url=f"{server}/v1", api_key=SDK_KEY, max_retries=0, timeout=30, default_headers={"X-Case": case}
    ) as client:
        yield client


@pytest.fixture
def client(bare):
    """A client that sends the context headers with every request."""
    return bare.with_options(default_headers=CONTEXT)


@pytest.fixture
def api(client, server):
    """The same client at `/api/v1`, where named events come between the chunks."""
    return client.with_options(base_url=f"{server}/api/v1")


def user(text):
    """One user message, as a list of messages."""
    return [{"role": "user", "content": text}]


def answered(text):
    """The assistant's message of a conversation that a client keeps itself."""
    return [{"role": "assistant", "content": text}]
