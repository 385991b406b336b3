// OpenAI Node at `/api/v1`: the session in the path, and named events that the SDK must pass over.

import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { Case, test, user } from './support.js';

function turn(mine, body = {}) {
  return mine.openai({ base: '/api/v1' }).post(`/chat/completions/${mine.name}`, {
    body: { model: 'script:echo', messages: user('a b c'), ...body },
    stream: body.stream ?? false,
  });
}

test('an answer carries the session of its path', async () => {
  const mine = new Case();
  const completion = await turn(mine);
  assert.equal(completion.session_id, mine.name);
  assert.equal(completion.choices[0].message.content, 'You said: a b c');
});

test('named events pass as chunks without choices', async () => {
  const mine = new Case();
  const chunks = await Array.fromAsync(await turn(mine, { stream: true }));
  assert.ok(chunks.every(({ choices }) => Array.isArray(choices)));
  const text = chunks
    .flatMap(({ choices }) => choices)
    .map(({ delta }) => delta.content ?? '')
    .join('');
  assert.equal(text, 'You said: a b c');
  const events = chunks.filter(({ choices, type }) => choices.length === 0 && type);
  assert.equal(events.find(({ type }) => type === 'metadata').session_id, mine.name);
  assert.deepEqual([events.at(-1).type, events.at(-1).reason], ['done', 'stop']);
});

test('the stream helper passes over the events', async () => {
  const client = new Case().openai({ base: '/api/v1' });
  const stream = client.chat.completions.stream({ model: 'script:echo', messages: user('one two') });
  assert.equal(await stream.finalContent(), 'You said: one two');
});

test('a break in the middle is an error here too', async () => {
  const stream = await turn(new Case(), { model: 'script:break', stream: true });
  await assert.rejects(Array.fromAsync(stream), (error) => {
    assert.ok(error instanceof OpenAI.APIError);
    assert.equal(error.code, 'upstream_failed');
    return true;
  });
});
