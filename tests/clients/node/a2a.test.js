// The official A2A client for JavaScript: what it asks is a task, which it follows, leaves, finds again and ends.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Role, TaskState } from '@a2a-js/sdk';
import { ClientFactory, ClientFactoryOptions, DefaultAgentCardResolver, JsonRpcTransportFactory } from '@a2a-js/sdk/client';
import { Case, CONTEXT, eventually, SERVER, test } from './support.js';

// A client of the agent behind the server's card, whose requests carry these headers.
async function connected(headers) {
  const fetchImpl = (url, init = {}) => fetch(url, { ...init, headers: { ...init.headers, ...headers } });
  const factory = new ClientFactory({
    ...ClientFactoryOptions.default,
    transports: [new JsonRpcTransportFactory({ fetchImpl })],
    cardResolver: new DefaultAgentCardResolver({ fetchImpl }),
  });
  return factory.createFromUrl(SERVER);
}

function saying(text, { configuration, ...names } = {}) {
  const message = {
    messageId: randomUUID(),
    role: Role.ROLE_USER,
    parts: [{ content: { $case: 'text', value: text }, filename: '', mediaType: '', metadata: undefined }],
    contextId: '',
    taskId: '',
    extensions: [],
    metadata: undefined,
    referenceTaskIds: [],
    ...names,
  };
  return { tenant: '', message, configuration, metadata: undefined };
}

function textOf(artifact) {
  return artifact.parts.map(({ content }) => content.value).join('');
}

// The task that a request has become.
async function answer(client, request) {
  const task = await client.sendMessage(request);
  assert.ok(task.status);
  return task;
}

async function all(stream) {
  const events = [];
  for await (const { payload } of stream) events.push(payload);
  return events;
}

test('the card is found, and names all agents', async () => {
  const card = await (await connected({})).getAgentCard();
  assert.equal(card.name, 'assistant');
  assert.deepEqual(
    card.skills.map(({ id }) => id),
    ['assistant', 'own-key', 'orchestrator', 'researcher', 'billing'],
  );
});

test('a message is a task with the headers, and a context is a conversation', async () => {
  const mine = new Case();
  const client = await connected({ ...mine.headers(), 'X-Agent-Schema': 'own-key' });
  const first = await answer(client, saying('One.'));
  assert.equal(first.status.state, TaskState.TASK_STATE_COMPLETED);
  assert.match(textOf(first.artifacts[0]), /One\./);
  const second = await answer(client, saying('Two.', { contextId: first.contextId }));
  assert.equal(second.contextId, first.contextId);
  assert.notEqual(second.id, first.id);
  const calls = await mine.calls();
  assert.deepEqual(
    calls.map(({ roles }) => roles),
    [['user'], ['user', 'assistant', 'user']],
  );
  assert.equal(calls[1].instructions, 'You speak for u_123.');
  assert.deepEqual(calls[1].header('authorization'), ['Bearer t_abc']);
});

test('a stream is the task, its artifacts and its end; a delegate has its own', async () => {
  const mine = new Case();
  const client = await connected({ ...mine.headers(), 'X-Agent-Schema': 'orchestrator' });
  const events = await all(client.sendMessageStream(saying('/ask researcher What is ink?')));
  assert.equal(events[0].$case, 'task');
  assert.equal(events[0].value.status.state, TaskState.TASK_STATE_WORKING);
  assert.equal(events.at(-1).$case, 'statusUpdate');
  assert.equal(events.at(-1).value.status.state, TaskState.TASK_STATE_COMPLETED);
  const streamed = new Map();
  for (const { value } of events.slice(1, -1)) {
    const { artifactId, metadata } = value.artifact;
    const before = streamed.get(artifactId) ?? [metadata.agent, ''];
    streamed.set(artifactId, [before[0], before[1] + textOf(value.artifact)]);
  }
  assert.deepEqual([...streamed.values()].map(([agent]) => agent).sort(), ['orchestrator', 'researcher']);
  const { artifacts } = await client.getTask({ tenant: '', id: events[0].value.id });
  const kept = new Map(artifacts.map((artifact) => [artifact.artifactId, [artifact.metadata.agent, textOf(artifact)]]));
  assert.deepEqual(new Map([...kept].sort()), new Map([...streamed].sort()));
});

test('who leaves a stream may subscribe; a task can be cancelled, once', async () => {
  const mine = new Case();
  const client = await connected({ ...mine.headers(), 'X-Model-Name': 'script:hold' });
  let id;
  for await (const { payload } of client.sendMessageStream(saying('Hi.'))) {
    if (payload.$case === 'task') id = payload.value.id;
    if (payload.$case === 'artifactUpdate') break;
  }
  const heard = [];
  for await (const { payload } of client.resubscribeTask({ tenant: '', id })) {
    heard.push(payload);
    if (heard.length === 1) {
      assert.equal(textOf(payload.value.artifacts[0]), 'partial');
      const cancelled = await client.cancelTask({ tenant: '', id, metadata: undefined });
      assert.equal(cancelled.status.state, TaskState.TASK_STATE_CANCELED);
    }
  }
  assert.equal(heard.at(-1).value.status.state, TaskState.TASK_STATE_CANCELED);
  await assert.rejects(client.cancelTask({ tenant: '', id, metadata: undefined }), { name: 'TaskNotCancelableError' });
});

test('who does not wait finds the task later', async () => {
  const mine = new Case();
  const client = await connected({ ...mine.headers(), 'X-Model-Name': 'script:hold' });
  const configuration = { returnImmediately: true, acceptedOutputModes: [] };
  const { id, status } = await answer(client, saying('Hi.', { configuration }));
  assert.equal(status.state, TaskState.TASK_STATE_WORKING);
  await mine.release();
  await eventually(
    () => client.getTask({ tenant: '', id }),
    (task) => task.status.state === TaskState.TASK_STATE_COMPLETED,
  );
});

test('errors are those that the protocol names', async () => {
  const mine = new Case();
  const client = await connected(mine.headers());
  await assert.rejects(client.getTask({ tenant: '', id: randomUUID() }), { name: 'TaskNotFoundError' });
  const { auth_token: _, ...context } = CONTEXT;
  const faulty = await connected(mine.headers({ ...context, seats: 'none' }));
  await assert.rejects(faulty.sendMessage(saying('Hi.')), (error) => {
    assert.match(error.message, /auth_token/);
    assert.match(error.message, /seats/);
    return true;
  });
});
