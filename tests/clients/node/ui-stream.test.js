// The stream of `/api/chat`, read by the parsers of the Vercel AI SDK 5, 6 and 7.

import assert from 'node:assert/strict';
import { Case, test, WEATHER } from './support.js';
import { build, CHAT, parse, PARSERS, post, said, shown } from './ui.js';

// A request body as `useChat` sends it.
function submit(mine, text, more = {}) {
  return { id: mine.name, messages: [said(text)], trigger: 'submit-message', ...more };
}

// The text of an answer's stream, and its response.
async function streamed(mine, body, model = 'script:echo') {
  const response = await post(body, { ...mine.headers(), 'X-Model-Name': model });
  assert.equal(response.status, 200);
  return { response, text: await response.text() };
}

test('the response has the headers of the protocol', async () => {
  const mine = new Case();
  const { response, text } = await streamed(mine, submit(mine, 'hi'));
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  assert.equal(response.headers.get('cache-control'), 'no-cache');
  assert.equal(response.headers.get('x-vercel-ai-ui-message-stream'), 'v1');
  assert.equal(response.headers.get('x-accel-buffering'), 'no');
  assert.equal(response.headers.get('x-session-id'), mine.name);
  assert.ok(response.headers.get('x-request-id'));
  const lines = text.split('\n').filter(Boolean);
  assert.ok(lines.every((line) => line.startsWith('data: ') || line.startsWith(':')));
  assert.equal(lines.at(-1), 'data: [DONE]');
});

for (const [release, ai] of Object.entries(PARSERS)) {
  test(`${release} reads an answer`, async () => {
    const mine = new Case();
    const chunks = await parse(ai, (await streamed(mine, submit(mine, 'good morning'))).text);
    assert.equal(chunks[0].type, 'start');
    assert.ok(chunks[0].messageId);
    assert.equal(chunks[0].messageMetadata.sessionId, mine.name);
    assert.equal(chunks.at(-1).type, 'finish');
    assert.equal(chunks.at(-1).finishReason, 'stop');
    const message = await build(ai, chunks);
    assert.equal(message.role, 'assistant');
    assert.equal(message.id, chunks[0].messageId);
    assert.equal(shown(message), 'You said: good morning');
  });

  test(`${release} reads an answer that is told again`, async () => {
    const mine = new Case();
    const headers = { ...mine.headers(), 'X-Model-Name': 'script:two-cities', 'Idempotency-Key': mine.name };
    const read = async () => {
      const response = await post(submit(mine, 'Berlin and Paris?', { tools: [WEATHER] }), headers);
      return build(ai, await parse(ai, await response.text()));
    };
    assert.deepEqual(await read(), await read());
    assert.equal((await mine.calls()).length, 1);
  });

  test(`${release} reads the demo model, for the user of the header`, async () => {
    const mine = new Case();
    const response = await post(submit(mine, 'Who am I?'), mine.headers());
    const message = await build(ai, await parse(ai, await response.text()));
    assert.match(shown(message), /u_123/);
  });

  test(`${release} reads a call of the client's own tool`, async () => {
    const mine = new Case();
    const body = submit(mine, 'Berlin and Paris?', { tools: [WEATHER] });
    const chunks = await parse(ai, (await streamed(mine, body, 'script:two-cities')).text);
    assert.equal(chunks.at(-1).finishReason, 'tool-calls');
    const message = await build(ai, chunks);
    const calls = message.parts.filter(({ type }) => type === 'tool-get_weather');
    assert.deepEqual(
      calls.map(({ state }) => state),
      ['input-available', 'input-available'],
    );
    assert.deepEqual(
      calls.map(({ input }) => input.city),
      ['Berlin', 'Paris'],
    );
    assert.ok(calls.every((call) => !call.providerExecuted));
  });

  test(`${release} reads a call of the agent's own tool, and a handoff`, async () => {
    for (const said of ['/ask researcher What is ink?', '/handoff billing']) {
      const mine = new Case();
      const response = await post(submit(mine, said), { ...mine.headers(), 'X-Agent-Schema': 'orchestrator' });
      const chunks = await parse(ai, await response.text());
      assert.equal(chunks.at(-1).finishReason, 'stop');
      const calls = chunks.filter(({ type }) => type.startsWith('tool-'));
      assert.ok(calls.every((chunk) => chunk.type === 'tool-input-delta' || (chunk.dynamic && chunk.providerExecuted)));
      assert.notEqual(shown(await build(ai, chunks)), '');
    }
  });

  test(`${release} reads the answer to the seed's form of the body`, async () => {
    const mine = new Case();
    const body = { messages: [{ role: 'user', content: 'What can you help me with?' }], conversationId: mine.name };
    const chunks = await parse(ai, (await streamed(mine, body)).text);
    assert.equal(chunks[0].messageMetadata.sessionId, mine.name);
    assert.equal(shown(await build(ai, chunks)), 'You said: What can you help me with?');
  });

  test(`${release} is told of a break in the middle by the last chunk`, async () => {
    const mine = new Case();
    const chunks = await parse(ai, (await streamed(mine, submit(mine, 'hi'), 'script:break')).text);
    assert.equal(chunks.at(-1).type, 'error');
    assert.ok(chunks.at(-1).errorText);
    assert.ok(!chunks.some(({ type }) => type === 'finish'));
    await assert.rejects(build(ai, chunks));
  });
}

test('parts that the server does not know are ignored, files are passed on', async () => {
  const mine = new Case();
  const url = 'data:image/png;base64,iVBORw0KGgo=';
  const parts = [
    { type: 'file', mediaType: 'image/png', url },
    { type: 'data-mood', data: { mood: 'curious' } },
    { type: 'of-the-future', deep: [1, null] },
    { type: 'text', text: 'What is this?' },
  ];
  await streamed(mine, { id: mine.name, messages: [{ id: 'm1', role: 'user', parts }], trigger: 'submit-message' });
  const call = await mine.call();
  assert.ok(JSON.stringify(call.body.messages).includes(url));
  assert.deepEqual(call.conversation, [['user', 'What is this?']]);
});

test('without streaming the answer is one UI message', async () => {
  const mine = new Case();
  const headers = { ...mine.headers(), 'X-Model-Name': 'script:echo' };
  const response = await post(submit(mine, 'hi', { stream: false }), headers);
  const { conversationId, message, usage } = await response.json();
  assert.equal(conversationId, mine.name);
  assert.equal(message.role, 'assistant');
  assert.ok(message.id);
  assert.equal(shown(message), 'You said: hi');
  assert.ok(usage);
});

test('nothing to resume is 204', async () => {
  const response = await fetch(`${CHAT}/${new Case().name}/stream`);
  assert.equal(response.status, 204);
});

test('each answer has a message id of its own', async () => {
  const mine = new Case();
  const ids = new Set();
  for (const [id, text] of [
    ['m1', 'one'],
    ['m2', 'two'],
  ]) {
    const body = { id: mine.name, messages: [said(text, id)], trigger: 'submit-message' };
    const [start] = await parse(PARSERS['7.0.173'], (await streamed(mine, body)).text);
    ids.add(start.messageId);
  }
  assert.equal(ids.size, 2);
});
