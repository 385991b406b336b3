// Whole chats of the Vercel AI SDK 5, 6 and 7 against `/api/chat`: what `useChat` does, without a browser.

import assert from 'node:assert/strict';
import { Case, CONTEXT, eventually, test, WEATHER } from './support.js';
import { newChat, RELEASES, shown } from './ui.js';

// A chat whose id is the session's, with the context headers on every request. `model: null` leaves the agent its own.
function chatOf(ai, mine, { model = 'script:echo', context = CONTEXT, transport = {}, ...options } = {}) {
  const headers = { ...mine.headers(context), ...(model && { 'X-Model-Name': model }) };
  return newChat(ai, { id: mine.name, transport: { headers, ...transport }, ...options });
}

// A chat that offers the tool and runs it by itself, as an app with `onToolCall` does.
function chatWithTool(ai, mine, model, output = 'sunny') {
  const chat = chatOf(ai, mine, {
    model,
    transport: { body: { tools: [WEATHER] } },
    sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall: ({ toolCall }) => {
      const add = chat.addToolOutput ?? chat.addToolResult;
      // Not awaited: the chat would wait for the end of this very stream.
      add.call(chat, { tool: toolCall.toolName, toolCallId: toolCall.toolCallId, output });
    },
  });
  return chat;
}

function settled(chat) {
  return eventually(
    () => ({ status: chat.status, last: chat.messages.at(-1), error: chat.error?.message }),
    ({ status, last }) =>
      status === 'error' || (status === 'ready' && last?.role === 'assistant' && shown(last) !== ''),
  );
}

for (const [release, ai] of Object.entries(RELEASES)) {
  test(`${release}: two turns of one chat with a call of the client's own tool`, async () => {
    const mine = new Case();
    const chat = chatWithTool(ai, mine, 'script:weather');
    await chat.sendMessage({ text: 'How is the weather in Berlin?' });
    await settled(chat);
    assert.equal(chat.error, undefined);
    assert.deepEqual(
      chat.messages.map(({ role }) => role),
      ['user', 'assistant'],
    );
    const [, answer] = chat.messages;
    const [call] = answer.parts.filter(({ type }) => type === 'tool-get_weather');
    assert.equal(call.state, 'output-available');
    assert.deepEqual(call.input, { city: 'Berlin' });
    assert.equal(shown(answer), 'The tool said: sunny');
    assert.equal(chat.requests.length, 2);
    assert.equal(chat.requests[1].messages.at(-1).id, answer.id);

    const [, afterTool] = await mine.calls();
    assert.deepEqual(afterTool.roles, ['user', 'assistant', 'tool']);
    assert.equal(afterTool.body.messages[2].tool_calls[0].id, afterTool.body.messages[3].tool_call_id);
    assert.match(afterTool.body.messages[3].content, /sunny/);

    await chat.sendMessage({ text: 'Thank you.' });
    await eventually(
      () => chat.messages.length,
      (length) => length === 4,
    );
    await settled(chat);
    assert.equal(chat.error, undefined);
    assert.notEqual(chat.messages[3].id, answer.id);
    const third = (await mine.calls())[2];
    assert.deepEqual(third.roles, ['user', 'assistant', 'tool', 'assistant', 'user']);
    assert.equal(third.conversation.at(-1)[1], 'Thank you.');
  });

  test(`${release}: the demo model and a tool that fails on the client's side`, async () => {
    const chat = chatOf(ai, new Case(), { model: null, transport: { body: { tools: [WEATHER] } } });
    await chat.sendMessage({ text: '/tool get_weather {"city": "Oslo"}' });
    const [call] = chat.messages[1].parts.filter(({ type }) => type === 'tool-get_weather');
    assert.equal(call.state, 'input-available');
    assert.deepEqual(call.input, { city: 'Oslo' });
    const add = chat.addToolOutput ?? chat.addToolResult;
    const failed = { tool: 'get_weather', toolCallId: call.toolCallId, state: 'output-error', errorText: 'no network' };
    await add.call(chat, failed);
    await chat.sendMessage();
    await settled(chat);
    assert.equal(chat.error, undefined);
    assert.equal(chat.messages.length, 2);
    assert.match(shown(chat.messages[1]), /no network/);
  });

  test(`${release}: a pending call that the user ignores does not block the chat`, async () => {
    const mine = new Case();
    const chat = chatOf(ai, mine, { model: 'script:weather', transport: { body: { tools: [WEATHER] } } });
    await chat.sendMessage({ text: 'Berlin?' });
    const other = chatOf(ai, mine, { model: 'script:echo' });
    other.messages = chat.messages;
    await other.sendMessage({ text: 'Never mind.' });
    assert.equal(other.error, undefined);
    assert.equal(shown(other.messages.at(-1)), 'You said: Never mind.');
    // Providers refuse a conversation in which a call has no result: the server closes it or leaves it out.
    const { messages } = (await mine.calls()).at(-1).body;
    const made = messages.flatMap(({ tool_calls }) => tool_calls ?? []).map(({ id }) => id);
    const answered = messages.filter(({ role }) => role === 'tool').map(({ tool_call_id }) => tool_call_id);
    assert.deepEqual(made.sort(), answered.sort());
  });

  test(`${release}: headers are needed in the first turn only`, async () => {
    const mine = new Case();
    let context = CONTEXT;
    const headers = () => ({ ...mine.headers(context), 'X-Model-Name': 'script:echo' });
    const chat = newChat(ai, { id: mine.name, transport: { headers } });
    await chat.sendMessage({ text: 'one' });
    context = {};
    await chat.sendMessage({ text: 'two' });
    assert.equal(chat.error, undefined);
    const [, second] = await mine.calls();
    assert.match(second.instructions, /for user u_123 from Acme Corp\./);
    assert.deepEqual(second.conversation, [
      ['user', 'one'],
      ['assistant', 'You said: one'],
      ['user', 'two'],
    ]);
  });

  test(`${release}: regenerate replaces the last answer`, async () => {
    const mine = new Case();
    const chat = chatOf(ai, mine);
    await chat.sendMessage({ text: 'one' });
    await chat.sendMessage({ text: 'two' });
    const before = chat.messages.at(-1).id;
    await chat.regenerate();
    assert.equal(chat.error, undefined);
    assert.equal(chat.messages.length, 4);
    assert.notEqual(chat.messages.at(-1).id, before);
    const again = (await mine.calls())[2];
    assert.deepEqual(again.conversation, [
      ['user', 'one'],
      ['assistant', 'You said: one'],
      ['user', 'two'],
    ]);
    assert.deepEqual(
      (await mine.stored()).map(({ role }) => role),
      ['user', 'assistant', 'user', 'assistant'],
    );
  });

  test(`${release}: an edited message replaces the old one and what came after it`, async () => {
    const mine = new Case();
    const chat = chatOf(ai, mine);
    await chat.sendMessage({ text: 'one' });
    await chat.sendMessage({ text: 'two' });
    await chat.sendMessage({ text: 'three', messageId: chat.messages[0].id });
    assert.equal(chat.error, undefined);
    assert.deepEqual(chat.messages.map(shown), ['three', 'You said: three']);
    assert.deepEqual((await mine.calls())[2].conversation, [['user', 'three']]);
    assert.deepEqual(
      (await mine.stored()).map(({ role }) => role),
      ['user', 'assistant'],
    );
  });

  test(`${release}: a transport may send the last message alone`, async () => {
    const mine = new Case();
    const prepareSendMessagesRequest = ({ id, messages }) => ({ body: { id, message: messages.at(-1) } });
    const chat = chatOf(ai, mine, { transport: { prepareSendMessagesRequest } });
    await chat.sendMessage({ text: 'one' });
    await chat.sendMessage({ text: 'two' });
    assert.equal(chat.error, undefined);
    assert.equal(chat.requests[1].messages, undefined);
    const [, second] = await mine.calls();
    assert.deepEqual(second.conversation, [
      ['user', 'one'],
      ['assistant', 'You said: one'],
      ['user', 'two'],
    ]);
  });

  test(`${release}: the id of the client's message is kept`, async () => {
    const mine = new Case();
    const chat = chatOf(ai, mine);
    await chat.sendMessage({ text: 'one' });
    assert.equal((await mine.stored())[0].id, chat.messages[0].id);
  });

  test(`${release}: a refused request is the chat's error, with the problem as its text`, async () => {
    const errors = [];
    const chat = chatOf(ai, new Case(), { context: {}, onError: (error) => errors.push(error) });
    await chat.sendMessage({ text: 'hi' });
    assert.equal(chat.status, 'error');
    assert.equal(errors.length, 1);
    const text = errors[0].responseBody ?? errors[0].message;
    const problem = JSON.parse(text);
    assert.equal(problem.status, 400);
    assert.deepEqual(problem.errors.map(({ header }) => header).sort(), ['auth_token', 'user_id']);
  });

  test(`${release}: a break in the middle is the chat's error, and trying again works`, async () => {
    const mine = new Case();
    let model = 'script:break';
    const headers = () => ({ ...mine.headers(), 'X-Model-Name': model });
    const chat = newChat(ai, { id: mine.name, transport: { headers } });
    await chat.sendMessage({ text: 'hi' });
    assert.equal(chat.status, 'error');
    assert.ok(chat.error.message);
    assert.ok(!chat.error.message.includes('{'), 'an error text is for people');
    model = 'script:echo';
    await chat.regenerate();
    assert.equal(chat.status, 'ready');
    assert.equal(shown(chat.messages.at(-1)), 'You said: hi');
    assert.deepEqual((await mine.calls()).at(-1).conversation, [['user', 'hi']]);
  });

  test(`${release}: resuming when nothing runs leaves the chat ready`, async () => {
    const mine = new Case();
    const chat = chatOf(ai, mine);
    await chat.sendMessage({ text: 'hi' });
    await chat.resumeStream();
    assert.equal(chat.error, undefined);
    assert.equal(chat.status, 'ready');
    assert.equal(chat.messages.length, 2);
  });

  test(`${release}: stopping keeps what was said, marked incomplete`, async () => {
    const mine = new Case();
    const chat = chatOf(ai, mine, { model: 'script:hold' });
    const turn = chat.sendMessage({ text: 'hi' });
    await eventually(
      () => chat.messages.at(-1),
      (message) => message?.role === 'assistant' && shown(message) === 'partial',
    );
    await chat.stop();
    await turn;
    assert.equal(chat.status, 'ready');
    const stored = await eventually(
      () => mine.stored(),
      (messages) => messages.some(({ status }) => status === 'incomplete'),
    );
    assert.match(JSON.stringify(stored), /partial/);
  });

  test(`${release}: the agent's own tools are its own business`, async () => {
    const asked = [];
    const mine = new Case();
    const chat = newChat(ai, {
      id: mine.name,
      transport: { headers: { ...mine.headers(), 'X-Agent-Schema': 'orchestrator' } },
      sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithToolCalls,
      onToolCall: ({ toolCall }) => asked.push(toolCall),
    });
    await chat.sendMessage({ text: '/ask researcher What is ink?' });
    await settled(chat);
    assert.equal(chat.error, undefined);
    assert.deepEqual(asked, []);
    assert.equal(chat.requests.length, 1, 'a finished call of the agent must not make the client post again');
    const [, answer] = chat.messages;
    const [call] = answer.parts.filter(({ type }) => type === 'dynamic-tool');
    assert.deepEqual([call.toolName, call.state], ['ask_agent', 'output-available']);
    assert.deepEqual(call.input, { agent: 'researcher', input: 'What is ink?' });
    assert.match(JSON.stringify(call.output), /You find facts for u_123/);
    // One step for each call of the model; the child's words are in its call's output, not in the answer's parts.
    assert.equal(answer.parts.filter(({ type }) => type === 'step-start').length, 2);
    assert.equal(answer.parts.filter(({ type }) => type === 'text').length, 1);
  });

  test(`${release}: one answer may call a tool of the agent and one of the client`, async () => {
    const mine = new Case();
    const outputs = [];
    const chat = newChat(ai, {
      id: mine.name,
      transport: { headers: { ...mine.headers(), 'X-Agent-Schema': 'orchestrator' }, body: { tools: [WEATHER] } },
      sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithToolCalls,
      onToolCall: ({ toolCall: { toolName: tool, toolCallId } }) => {
        outputs.push(tool);
        (chat.addToolOutput ?? chat.addToolResult).call(chat, { tool, toolCallId, output: 'snow' });
      },
    });
    await chat.sendMessage({ text: '/ask researcher What is ink?\n/tool get_weather {"city": "Oslo"}' });
    await settled(chat);
    assert.equal(chat.error, undefined);
    assert.deepEqual(outputs, ['get_weather']);
    assert.equal(chat.requests.length, 2);
    assert.equal(chat.messages.length, 2);
    const states = chat.messages[1].parts.flatMap(({ type, state }) => (/tool/.test(type) ? [[type, state]] : []));
    assert.deepEqual(states.sort(), [
      ['dynamic-tool', 'output-available'],
      ['tool-get_weather', 'output-available'],
    ]);
    assert.match(shown(chat.messages[1]), /You find facts for u_123/);
    assert.match(shown(chat.messages[1]), /snow/);
  });
}
