// A call that waits for a person: the AI SDK 6 and 7, OpenAI Node, and the MCP client that can ask.

import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Case, eventually, SERVER, test, user } from './support.js';
import { build, newChat, parse, PARSERS, post, RELEASES, said, shown } from './ui.js';

// What makes the demo model call the tool that pays back.
function wish(mine) {
  return `/tool refund {"order": "${mine.name}"}`;
}

function inBilling(mine) {
  return { ...mine.headers(), 'X-Agent-Schema': 'billing' };
}

// A chat that sends a person's answers by itself, once all are given.
function chatOf(ai, mine) {
  return newChat(ai, {
    id: mine.name,
    transport: { headers: inBilling(mine) },
    sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithApprovalResponses,
  });
}

function waiting(chat) {
  return chat.messages.at(-1).parts.filter(({ state }) => state === 'approval-requested');
}

function answered(chat) {
  return eventually(
    () => ({ status: chat.status, text: shown(chat.messages.at(-1)), error: chat.error?.message }),
    ({ status, text }) => status === 'error' || (status === 'ready' && text !== ''),
  );
}

for (const [release, ai] of Object.entries(RELEASES).filter(([release]) => !release.startsWith('5.'))) {
  test(`${release}: a call is made when the person has said so`, async () => {
    const mine = new Case();
    const chat = chatOf(ai, mine);
    await chat.sendMessage({ text: wish(mine) });
    assert.equal(chat.error, undefined);
    const [part] = waiting(chat);
    assert.equal(part.toolName, 'refund');
    assert.deepEqual(part.input, { order: mine.name });
    assert.equal(await mine.refunds(), 0);

    await chat.addToolApprovalResponse({ id: part.approval.id, approved: true });
    assert.match((await answered(chat)).text, /refunded/);
    assert.equal(chat.error, undefined);
    assert.equal(await mine.refunds(), 1);
    const [, answer] = chat.messages;
    assert.equal(chat.messages.length, 2);
    const [made] = answer.parts.filter(({ toolCallId }) => toolCallId === part.toolCallId);
    assert.equal(made.state, 'output-available');
    assert.deepEqual(made.output, { refunded: mine.name });
    assert.equal(chat.requests.length, 2);

    await chat.sendMessage({ text: 'Thank you.' });
    await eventually(
      () => chat.messages.length,
      (length) => length === 4,
    );
    assert.equal(await mine.refunds(), 1);
  });

  test(`${release}: a call is refused, and the model hears why`, async () => {
    const mine = new Case();
    const chat = chatOf(ai, mine);
    await chat.sendMessage({ text: wish(mine) });
    const [part] = waiting(chat);
    await chat.addToolApprovalResponse({ id: part.approval.id, approved: false, reason: 'too much' });
    assert.match((await answered(chat)).text, /refused.*too much/);
    assert.equal(chat.error, undefined);
    const [refused] = chat.messages[1].parts.filter(({ toolCallId }) => toolCallId === part.toolCallId);
    assert.equal(refused.state, 'output-denied');
    assert.equal(await mine.refunds(), 0);
  });

  test(`${release}: of two calls each is decided by itself`, async () => {
    const mine = new Case();
    const chat = chatOf(ai, mine);
    await chat.sendMessage({ text: `${wish(mine)}\n${wish(mine)}` });
    const [first, second] = waiting(chat);
    await chat.addToolApprovalResponse({ id: first.approval.id, approved: true });
    assert.equal(chat.requests.length, 1);
    await chat.addToolApprovalResponse({ id: second.approval.id, approved: false });
    await answered(chat);
    assert.equal(chat.error, undefined);
    assert.equal(await mine.refunds(), 1);
    assert.equal(chat.requests.length, 2);
  });

  test(`${release}: one of two is answered, and the other is asked again`, async () => {
    const mine = new Case();
    const chat = newChat(ai, { id: mine.name, transport: { headers: inBilling(mine) } });
    await chat.sendMessage({ text: `${wish(mine)}\n${wish(mine)}` });
    const [first, second] = waiting(chat);
    await chat.addToolApprovalResponse({ id: first.approval.id, approved: true });
    await chat.sendMessage();
    assert.equal(chat.error, undefined);
    assert.deepEqual(waiting(chat).map(({ approval }) => approval.id), [second.approval.id]);
    assert.equal(await mine.refunds(), 1);
    await chat.addToolApprovalResponse({ id: second.approval.id, approved: true });
    await chat.sendMessage();
    assert.match(shown(chat.messages.at(-1)), /refunded/);
    assert.equal(chat.messages.length, 2);
    assert.equal(await mine.refunds(), 2);
  });

  test(`${release}: another message goes on without the call`, async () => {
    const mine = new Case();
    const chat = chatOf(ai, mine);
    await chat.sendMessage({ text: wish(mine) });
    await chat.sendMessage({ text: 'Forget it.' });
    assert.equal(chat.error, undefined);
    assert.match(shown(chat.messages.at(-1)), /Forget it/);
    assert.equal(await mine.refunds(), 0);
  });
}

for (const [release, ai] of Object.entries(PARSERS).filter(([release]) => !release.startsWith('5.'))) {
  test(`${release}: the chunks are valid, and build the message`, async () => {
    const mine = new Case();
    const question = said(wish(mine));
    const headers = inBilling(mine);
    const first = await post({ id: mine.name, messages: [question] }, headers);
    const paused = await build(ai, await parse(ai, await first.text()));
    const { approval } = paused.parts.at(-1);
    paused.parts[paused.parts.length - 1] = {
      ...paused.parts.at(-1),
      state: 'approval-responded',
      approval: { ...approval, approved: false },
    };
    const second = await post({ id: mine.name, messages: [question, paused], messageId: paused.id }, headers);
    const whole = await build(ai, await parse(ai, await second.text()), paused);
    assert.equal(whole.id, paused.id);
    assert.match(shown(whole), /refused/);
  });
}

test('OpenAI Node: the answer says what is required, and an extra field answers it', async () => {
  const mine = new Case();
  const { completions } = mine.openai({ headers: { 'X-Session-Id': mine.name } }).chat;
  const paused = await completions.create({ model: 'billing', messages: user(wish(mine)) });
  assert.equal(paused.choices[0].finish_reason, 'stop');
  const [asked] = paused.requires_action.approvals;
  assert.deepEqual([asked.name, JSON.parse(asked.arguments)], ['refund', { order: mine.name }]);
  assert.equal(await mine.refunds(), 0);
  const approvals = [{ id: asked.id, approved: true }];
  const done = await completions.create({ model: 'billing', messages: [], approvals });
  assert.match(done.choices[0].message.content, /refunded/);
  assert.equal(await mine.refunds(), 1);
});

for (const base of ['/v1', '/api/v1']) {
  test(`OpenAI Node, streamed from ${base}: the last chunk says what is required`, async () => {
    const mine = new Case();
    const { completions } = mine.openai({ base, headers: { 'X-Session-Id': mine.name } }).chat;
    const collect = async (body) => {
      const chunks = [];
      for await (const chunk of await completions.create({ model: 'billing', stream: true, ...body })) chunks.push(chunk);
      return chunks;
    };
    const paused = await collect({ messages: user(wish(mine)) });
    const [{ requires_action: action }] = paused.filter((chunk) => chunk.requires_action);
    const approvals = [{ id: action.approvals[0].id, approved: true }];
    const done = await collect({ messages: [], approvals });
    assert.match(done.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), /refunded/);
    assert.equal(await mine.refunds(), 1);
    const helper = completions.stream({ model: 'billing', messages: user(wish(mine)) });
    assert.equal((await helper.finalChatCompletion()).choices[0].finish_reason, 'stop');
  });
}

// What the person does, what is called, and what the agent says of it.
const PEOPLE = [
  [{ action: 'accept', content: { approve: true } }, 1, /refunded/],
  [{ action: 'accept', content: { approve: false, reason: 'too much' } }, 0, /refused.*too much/],
  [{ action: 'decline' }, 0, /refused/],
];

for (const [reply, made, text] of PEOPLE) {
  test(`MCP, newest revision: the client asks, and gets ${JSON.stringify(reply)}`, async () => {
    const mine = new Case();
    const client = new Client(
      { name: 'letterhead-tests', version: '1.0.0' },
      { versionNegotiation: { mode: 'auto' }, capabilities: { elicitation: { form: {} } } },
    );
    const questions = [];
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      questions.push(params.message);
      return reply;
    });
    const requestInit = { headers: mine.headers() };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${SERVER}/mcp`), { requestInit }));
    try {
      const result = await client.callTool({ name: 'billing', arguments: { input: wish(mine) } });
      assert.equal(result.isError, false);
      assert.match(result.content[0].text, text);
    } finally {
      await client.close();
    }
    assert.equal(questions.length, 1);
    assert.ok(questions[0].includes('refund') && questions[0].includes(mine.name), questions[0]);
    assert.equal(await mine.refunds(), made);
  });
}
