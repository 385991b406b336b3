"""The official A2A client for Python: what it asks is a task, which it follows, leaves, finds again and ends."""

import asyncio
import json
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest
from a2a.client import A2ACardResolver, ClientCallContext, ClientConfig, ClientFactory
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    InvalidParamsError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from conftest import CONTEXT
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Value


@asynccontextmanager
async def connected(server, headers, **config):
    """A client of the agent behind the server's card, whose requests carry these headers."""
    async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        card = await A2ACardResolver(http, server).get_agent_card()
        factory = ClientFactory(ClientConfig(httpx_client=http, **config))
        async with factory.create(card) as client:
            yield client


@pytest.fixture
def ask(server, case):
    """Opens a client, does something with it, and gives what came of it."""

    def run(task, config=None, **headers):
        async def connect():
            headers_of_all = {**CONTEXT, "X-Case": case, **headers}
            async with connected(server, headers_of_all, **(config or {})) as client:
                return await task(client)

        return asyncio.run(connect())

    return run


def saying(text, *parts, **names):
    """A request that says something."""
    parts = [Part(text=text), *parts] if text else list(parts)
    message = Message(message_id=str(uuid4()), role=Role.ROLE_USER, parts=parts, **names)
    return SendMessageRequest(message=message)


async def events(stream):
    """All events of a stream."""
    return [event async for event in stream]


async def answer(client, request, **more):
    """The task that a request has become, from a client that waits for it."""
    (event,) = await events(client.send_message(request, **more))
    return event.task


def text_of(artifact):
    return "".join(part.text for part in artifact.parts)


BLOCKING = {"streaming": False}


def test_the_card_says_what_there_is_and_needs_no_credentials(server):
    async def look():
        async with httpx.AsyncClient(trust_env=False) as http:
            cards = [await A2ACardResolver(http, base).get_agent_card() for base in (server, f"{server}/a2a")]
            return cards

    card, below = asyncio.run(look())
    assert card == below
    assert card.name == "assistant"
    (interface,) = card.supported_interfaces
    assert (interface.url, interface.protocol_binding, interface.protocol_version) == (f"{server}/a2a", "JSONRPC", "1.0")
    assert card.capabilities.streaming and not card.capabilities.push_notifications
    assert [skill.id for skill in card.skills] == ["assistant", "own-key", "orchestrator", "researcher", "billing"]


def test_a_message_is_a_task_with_the_headers(ask, upstream):
    task = ask(lambda client: answer(client, saying("Good morning.")), BLOCKING, **{"X-Agent-Schema": "own-key"})
    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    (artifact,) = task.artifacts
    assert "Good morning." in text_of(artifact)
    assert MessageToDict(artifact.metadata) == {"agent": "own-key"}
    assert [(message.role, message.parts[0].text) for message in task.history] == [(Role.ROLE_USER, "Good morning.")]
    call = upstream.call()
    assert call.instructions == "You speak for u_123."
    assert call.header("Authorization") == ["Bearer t_abc"]
    assert call.conversation == [("user", "Good morning.")]


def test_a_context_is_a_conversation(ask, upstream):
    async def twice(client):
        first = await answer(client, saying("One."))
        second = await answer(client, saying("Two.", context_id=first.context_id))
        return first, second

    first, second = ask(twice, BLOCKING, **{"X-Agent-Schema": "own-key"})
    assert first.context_id == second.context_id and first.id != second.id
    assert [len(call.conversation) for call in upstream.calls()] == [1, 3]


def test_headers_may_go_with_one_call(ask, case):
    async def call(client):
        return await answer(client, saying("Hi."), context=ClientCallContext(service_parameters={"X-Session-Id": case}))

    assert ask(call, BLOCKING).context_id == case


def test_a_stream_is_the_task_its_artifacts_and_its_end(ask):
    async def stream(client):
        heard = await events(client.send_message(saying("Hello.")))
        return heard, await client.get_task(GetTaskRequest(id=heard[0].task.id))

    heard, task = ask(stream)
    assert heard[0].task.status.state == TaskState.TASK_STATE_WORKING
    assert [event.WhichOneof("payload") for event in heard[1:-1]] == ["artifact_update"] * (len(heard) - 2)
    updates = [event.artifact_update for event in heard[1:-1]]
    assert [update.append for update in updates] == [False] + [True] * (len(updates) - 1)
    assert heard[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    (artifact,) = task.artifacts
    assert "".join(text_of(update.artifact) for update in updates) == text_of(artifact)
    assert task.status.state == TaskState.TASK_STATE_COMPLETED


def test_what_a_delegate_says_is_an_artifact_of_its_own(ask):
    async def stream(client):
        heard = await events(client.send_message(saying("/ask researcher What is ink?")))
        return heard, await client.get_task(GetTaskRequest(id=heard[0].task.id))

    heard, task = ask(stream, **{"X-Agent-Schema": "orchestrator"})
    streamed = {}
    for event in heard[1:-1]:
        artifact = event.artifact_update.artifact
        streamed.setdefault(artifact.artifact_id, [artifact.metadata["agent"], ""])[1] += text_of(artifact)
    assert sorted(agent for agent, _ in streamed.values()) == ["orchestrator", "researcher"]
    kept = {artifact.artifact_id: [artifact.metadata["agent"], text_of(artifact)] for artifact in task.artifacts}
    assert kept == streamed


def test_who_does_not_wait_finds_the_task_later(ask, upstream):
    async def leave_and_return(client):
        configuration = SendMessageConfiguration(return_immediately=True)
        request = saying("Hi.")
        request.configuration.CopyFrom(configuration)
        task = await answer(client, request)
        states = [task.status.state]
        upstream.release()
        while states[-1] == TaskState.TASK_STATE_WORKING:
            await asyncio.sleep(0.05)
            task = await client.get_task(GetTaskRequest(id=task.id))
            states.append(task.status.state)
        return states, task

    states, task = ask(leave_and_return, BLOCKING, **{"X-Model-Name": "script:hold"})
    assert (states[0], states[-1]) == (TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_COMPLETED)
    assert text_of(task.artifacts[0]).startswith("partial")


def test_who_leaves_a_stream_may_subscribe_and_misses_nothing(ask, upstream):
    async def leave_and_return(client):
        stream = client.send_message(saying("Hi."))
        async for event in stream:
            if event.HasField("task"):
                task_id = event.task.id
            if event.HasField("artifact_update"):
                break
        await stream.aclose()
        heard = []
        async for event in client.subscribe(SubscribeToTaskRequest(id=task_id)):
            heard.append(event)
            upstream.release()
        return heard

    heard = ask(leave_and_return, **{"X-Model-Name": "script:hold"})
    assert text_of(heard[0].task.artifacts[0]) == "partial"
    assert heard[0].task.status.state == TaskState.TASK_STATE_WORKING
    assert heard[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


def test_a_task_can_be_cancelled(ask):
    async def cancel(client):
        stream = client.send_message(saying("Hi."))
        heard = []
        async for event in stream:
            heard.append(event)
            if event.HasField("artifact_update"):
                cancelled = await client.cancel_task(CancelTaskRequest(id=heard[0].task.id))
        with pytest.raises(UnsupportedOperationError):
            await events(client.subscribe(SubscribeToTaskRequest(id=cancelled.id)))
        return heard, cancelled

    heard, cancelled = ask(cancel, **{"X-Model-Name": "script:hold"})
    assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
    assert heard[-1].status_update.status.state == TaskState.TASK_STATE_CANCELED


def test_a_finished_task_takes_nothing_more(ask):
    async def late(client):
        task = await answer(client, saying("Hi."))
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=task.id))
        with pytest.raises(UnsupportedOperationError):
            await answer(client, saying("More.", task_id=task.id))

    ask(late, BLOCKING)


def test_a_call_waits_for_a_persons_approval_on_the_same_task(ask, upstream, case):
    def refunds():
        return len([call for call in upstream.received() if "refund" in call])

    async def approve(client):
        wish = f'/tool refund {json.dumps({"order": case})}'
        heard = await events(client.send_message(saying(wish)))
        asked = heard[-1].status_update.status
        assert asked.state == TaskState.TASK_STATE_INPUT_REQUIRED
        (approval,) = MessageToDict(asked.message.parts[1].data)["approvals"]
        assert (approval["name"], json.loads(approval["arguments"])) == ("refund", {"order": case})
        assert refunds() == 0
        answer_of_person = ParseDict({"approvals": [{"id": approval["id"], "approved": True}]}, Value())
        task_id = heard[0].task.id
        return task_id, await events(client.send_message(saying("", Part(data=answer_of_person), task_id=task_id)))

    task_id, heard = ask(approve, **{"X-Agent-Schema": "billing"})
    assert heard[0].task.id == task_id
    assert heard[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    said = "".join(text_of(event.artifact_update.artifact) for event in heard[1:-1])
    assert "refunded" in said and refunds() == 1


def test_a_failed_turn_is_a_failed_task(ask):
    headers = {"X-Model-Name": "script:status-500"}
    task = ask(lambda client: answer(client, saying("Hi.")), BLOCKING, **headers)
    assert task.status.state == TaskState.TASK_STATE_FAILED
    assert "words-of-the-upstream" not in str(task)
    heard = ask(lambda client: events(client.send_message(saying("Hi."))), **headers)
    assert heard[-1].status_update.status.state == TaskState.TASK_STATE_FAILED
    heard = ask(lambda client: events(client.send_message(saying("Hi."))), **{"X-Model-Name": "script:break"})
    assert heard[-1].status_update.status.state == TaskState.TASK_STATE_FAILED


def test_tasks_are_listed_page_by_page(ask, case):
    async def several(client):
        for text in ("One.", "Two.", "Three."):
            await answer(client, saying(text))
        first = await client.list_tasks(ListTasksRequest(context_id=case, page_size=2))
        second = await client.list_tasks(
            ListTasksRequest(context_id=case, page_size=2, page_token=first.next_page_token, include_artifacts=True)
        )
        return first, second

    first, second = ask(several, BLOCKING, **{"X-Session-Id": case})
    assert (len(first.tasks), first.total_size) == (2, 3)
    assert not any(task.artifacts for task in first.tasks)
    assert (len(second.tasks), second.next_page_token) == (1, "")
    assert "One." in text_of(second.tasks[0].artifacts[0])
    times = [task.status.timestamp.ToNanoseconds() for task in [*first.tasks, *second.tasks]]
    assert times == sorted(times, reverse=True)


def test_what_is_wrong_with_the_headers_is_an_error_with_all_faults(server):
    async def call():
        async with connected(server, {"user_id": "u_123", "seats": "none"}, streaming=False) as client:
            with pytest.raises(InvalidParamsError) as raised:
                await answer(client, saying("Hi."))
            return raised.value

    error = asyncio.run(call())
    # The details of the faults are on the wire; of those this client hands on no more than who asks may look for in a log.
    assert "auth_token" in error.message and "seats" in error.message
    assert error.data["requestId"].startswith("req_")


def test_errors_are_those_that_the_protocol_names(ask):
    async def wrong(client):
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id=str(uuid4())))
        with pytest.raises(TaskNotFoundError):
            await answer(client, saying("Hi.", task_id=str(uuid4())))
        with pytest.raises(ContentTypeNotSupportedError):
            await answer(client, saying("", Part(raw=b"moving", media_type="video/mp4")))
        with pytest.raises(PushNotificationNotSupportedError):
            await client.create_task_push_notification_config(
                TaskPushNotificationConfig(task_id="t", url="https://example.com")
            )
        with pytest.raises(InvalidParamsError):
            await client.list_tasks(ListTasksRequest(page_size=101))

    ask(wrong, BLOCKING)
