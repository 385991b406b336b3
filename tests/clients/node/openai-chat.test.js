// OpenAI Node: answers in one piece and streamed, headers, sessions, models.

import assert from 'node:assert/strict';
import { Case, CONTEXT, eventually, SDK_KEY, test, user } from './support.js';

test('an answer has the form the SDK expects', async () => {
  const completion = await new Case()
    .openai()
    .chat.completions.create({ model: 'script:echo', messages: user('good morning') });
  assert.equal(completion.object, 'chat.completion');
  assert.equal(completion.choices.length, 1);
  const [choice] = completion.choices;
  assert.equal(choice.message.role, 'assistant');
  assert.equal(choice.message.content, 'You said: good morning');
  assert.equal(choice.finish_reason, 'stop');
  assert.equal(completion.usage.total_tokens, 18);
  assert.ok(completion._request_id);
});

test('the demo model answers for the user of the header, under an alias too', async () => {
  for (const model of ['assistant', 'gpt-4o']) {
    const completion = await new Case().openai().chat.completions.create({ model, messages: user('Who am I?') });
    assert.match(completion.choices[0].message.content, /u_123/);
  }
});

test('headers of a call win over default headers, and reach prompt and provider', async () => {
  const mine = new Case();
  await mine
    .openai()
    .chat.completions.create(
      { model: 'script:echo', messages: user('hi') },
      { headers: { user_id: 'u_456', Seats: '12', 'X-Environment': 'production', 'X-Request-ID': 'req-123' } },
    );
  const call = await mine.call();
  assert.match(call.instructions, /for user u_456 from Acme Corp\./);
  assert.match(call.instructions, /They have 12 seats\./);
  assert.deepEqual(call.header('X-Environment'), ['production']);
  assert.deepEqual(call.header('X-Agent-ID'), ['agent-001']);
  assert.deepEqual(call.header('X-Request-ID'), ['req-123']);
  assert.deepEqual(call.header('X-Org'), ['Acme Corp']);
});

test('what the SDK sends for the server stays with the server', async () => {
  const mine = new Case();
  await mine.openai().chat.completions.create({ model: 'script:echo', messages: user('hi') });
  const call = await mine.call();
  assert.deepEqual(call.header('Authorization'), ['Bearer upstream-key']);
  assert.deepEqual(
    call.pairs.filter(([name]) => name.toLowerCase().startsWith('x-stainless')),
    [],
  );
  const everything = JSON.stringify(call);
  assert.ok(!everything.includes(SDK_KEY));
  assert.ok(!everything.includes(CONTEXT.auth_token));
});

test('content may come in parts, and unknown fields are no error', async () => {
  const mine = new Case();
  const url = 'data:image/png;base64,iVBORw0KGgo=';
  const completion = await mine.openai().chat.completions.create({
    model: 'script:echo',
    messages: user([
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url } },
    ]),
    field_of_the_future: { deep: [1, null] },
  });
  assert.equal(completion.choices[0].message.content, 'You said: What is this?');
  assert.ok(JSON.stringify((await mine.call()).body.messages).includes(url));
});

test('chunks have one choice each and make up the answer', async () => {
  const stream = await new Case()
    .openai()
    .chat.completions.create({ model: 'script:echo', messages: user('a b c'), stream: true });
  const chunks = await Array.fromAsync(stream);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
  assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join(''), 'You said: a b c');
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
});

test('usage comes in a chunk of its own when asked for', async () => {
  const stream = await new Case().openai().chat.completions.create({
    model: 'script:echo',
    messages: user('hi'),
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = await Array.fromAsync(stream);
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.total_tokens, 18);
  assert.ok(chunks.every((chunk) => chunk.usage === null && chunk.choices.length === 1));
});

test('the stream helper puts the answer together', async () => {
  const stream = new Case().openai().chat.completions.stream({ model: 'script:echo', messages: user('one two') });
  const deltas = [];
  stream.on('content', (delta) => deltas.push(delta));
  const final = await stream.finalChatCompletion();
  assert.equal(deltas.join(''), 'You said: one two');
  assert.equal(final.choices[0].message.content, 'You said: one two');
  assert.equal(final.choices[0].finish_reason, 'stop');
});

test('a second turn of a session needs no headers and knows the first', async () => {
  const mine = new Case();
  const headers = { 'X-Session-Id': mine.name };
  const { response } = await mine
    .openai({ headers })
    .chat.completions.create({ model: 'script:echo', messages: user('My name is Ada.') })
    .withResponse();
  assert.equal(response.headers.get('x-session-id'), mine.name);
  const bare = mine.openai({ headers, context: {} });
  await bare.chat.completions.create({ model: 'script:echo', messages: user('What is my name?') });
  const [, second] = await mine.calls();
  assert.match(second.instructions, /for user u_123 from Acme Corp\./);
  assert.deepEqual(second.conversation, [
    ['user', 'My name is Ada.'],
    ['assistant', 'You said: My name is Ada.'],
    ['user', 'What is my name?'],
  ]);
});

test('a client that leaves leaves an incomplete message', async () => {
  const mine = new Case();
  const stream = await mine
    .openai({ headers: { 'X-Session-Id': mine.name } })
    .chat.completions.create({ model: 'script:hold', messages: user('hi'), stream: true });
  for await (const chunk of stream) if (chunk.choices[0].delta.content === 'partial') break;
  const stored = await eventually(
    () => mine.stored(),
    (messages) => messages.some(({ status }) => status === 'incomplete'),
  );
  assert.match(JSON.stringify(stored), /partial/);
});

test('agents and aliases are listed as models, and can be looked up', async () => {
  const client = new Case().openai({ context: {} });
  const ids = (await Array.fromAsync(client.models.list())).map(({ id }) => id);
  for (const id of ['assistant', 'own-key', 'gpt-4o']) {
    assert.ok(ids.includes(id), id);
    assert.equal((await client.models.retrieve(id)).id, id);
  }
});
