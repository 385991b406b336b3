// OpenAI Node: the client's own tools. The call comes out, the client runs it, the result goes back.

import assert from 'node:assert/strict';
import { Case, test, user, WEATHER } from './support.js';

const tools = [WEATHER];

test('call, result, answer', async () => {
  const mine = new Case();
  const { completions } = mine.openai().chat;
  const messages = user('How is the weather in Berlin?');
  const first = await completions.create({ model: 'script:weather', messages, tools });
  assert.equal(first.choices[0].finish_reason, 'tool_calls');
  const [call] = first.choices[0].message.tool_calls;
  assert.equal(call.type, 'function');
  assert.equal(call.function.name, 'get_weather');
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Berlin' });

  messages.push(first.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'sunny' });
  const second = await completions.create({ model: 'script:weather', messages, tools });
  assert.equal(second.choices[0].message.content, 'The tool said: sunny');
  assert.equal(second.choices[0].finish_reason, 'stop');
  assert.deepEqual((await mine.calls())[1].roles, ['user', 'assistant', 'tool']);
});

test('the deltas of two streamed calls accumulate by index', async () => {
  const stream = await new Case()
    .openai()
    .chat.completions.create({ model: 'script:two-cities', messages: user('Berlin and Paris?'), tools, stream: true });
  const calls = [];
  let finish = null;
  for await (const chunk of stream) {
    const [choice] = chunk.choices;
    finish = choice.finish_reason ?? finish;
    for (const piece of choice.delta.tool_calls ?? []) {
      assert.ok(Number.isInteger(piece.index));
      const call = (calls[piece.index] ??= { id: undefined, name: '', arguments: '' });
      call.id ??= piece.id;
      call.name += piece.function?.name ?? '';
      call.arguments += piece.function?.arguments ?? '';
    }
  }
  assert.equal(finish, 'tool_calls');
  assert.deepEqual(
    calls.map(({ name }) => name),
    ['get_weather', 'get_weather'],
  );
  assert.deepEqual(
    calls.map((call) => JSON.parse(call.arguments)),
    [{ city: 'Berlin' }, { city: 'Paris' }],
  );
  assert.equal(new Set(calls.map(({ id }) => id)).size, 2);
});

test('the helper that runs tools by itself comes to the answer', async () => {
  const asked = [];
  const get_weather = ({ city }) => {
    asked.push(city);
    return 'sunny';
  };
  const runner = new Case().openai().chat.completions.runTools({
    model: 'script:weather',
    messages: user('Berlin?'),
    stream: true,
    tools: [{ type: 'function', function: { ...WEATHER.function, function: get_weather, parse: JSON.parse } }],
  });
  assert.equal(await runner.finalContent(), 'The tool said: sunny');
  assert.deepEqual(asked, ['Berlin']);
});

test('the demo model calls the tool that a message names', async () => {
  const { completions } = new Case().openai().chat;
  const messages = user('/tool get_weather {"city": "Oslo"}');
  const first = await completions.stream({ model: 'assistant', messages, tools }).finalChatCompletion();
  assert.equal(first.choices[0].finish_reason, 'tool_calls');
  const [call] = first.choices[0].message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Oslo' });
  const { role, content, tool_calls } = first.choices[0].message;
  messages.push({ role, content, tool_calls }, { role: 'tool', tool_call_id: call.id, content: 'snow' });
  const second = await completions.create({ model: 'assistant', messages, tools });
  assert.equal(second.choices[0].finish_reason, 'stop');
  assert.match(second.choices[0].message.content, /snow/);
});
