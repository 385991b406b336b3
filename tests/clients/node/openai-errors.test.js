// OpenAI Node: every failure surfaces as the SDK's own error class, with its code, parameter and request id.

import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { Case, CONTEXT, test, user } from './support.js';

// The error of a request that is expected to fail.
async function failure(client, body = {}, options = {}) {
  const request = { model: 'script:echo', messages: user('hi'), ...body };
  try {
    await client.chat.completions.create(request, options);
  } catch (error) {
    return error;
  }
  return assert.fail('the request succeeded');
}

test('missing headers are named', async () => {
  const mine = new Case();
  const error = await failure(mine.openai({ context: {} }), {}, { headers: { 'X-Request-ID': 'req-of-the-client' } });
  assert.ok(error instanceof OpenAI.BadRequestError);
  assert.equal(error.status, 400);
  assert.equal(error.code, 'missing_header');
  assert.ok(['user_id', 'auth_token'].includes(error.param));
  assert.equal(error.type, 'invalid_request_error');
  assert.equal(error.requestID, 'req-of-the-client');
  assert.match(error.message, /user_id/);
  assert.match(error.message, /auth_token/);
  assert.deepEqual(await mine.calls(), []);
});

test('an invalid header is named, its value is not', async () => {
  const error = await failure(new Case().openai(), {}, { headers: { seats: 'seats-of-gold' } });
  assert.ok(error instanceof OpenAI.BadRequestError);
  assert.deepEqual([error.code, error.param], ['invalid_header', 'seats']);
  assert.ok(!error.message.includes('gold'));
});

test('an unknown model is not found', async () => {
  const error = await failure(new Case().openai(), { model: 'gpt-99' });
  assert.ok(error instanceof OpenAI.NotFoundError);
  assert.equal(error.code, 'model_not_found');
  assert.match(error.message, /assistant/);
});

test('more than one choice is a bad request with its parameter', async () => {
  const error = await failure(new Case().openai(), { n: 2 });
  assert.ok(error instanceof OpenAI.BadRequestError);
  assert.equal(error.param, 'n');
});

test('a header or a body that is too large has its own status', async () => {
  const header = await failure(new Case().openai(), {}, { headers: { org_name: 'o'.repeat(5000) } });
  assert.ok(header instanceof OpenAI.APIError);
  assert.deepEqual([header.status, header.code], [431, 'header_too_large']);
  const body = await failure(new Case().openai(), { messages: user('x'.repeat(5 << 20)) });
  assert.ok(body instanceof OpenAI.APIError);
  assert.deepEqual([body.status, body.code], [413, 'body_too_large']);
});

for (const [script, kind, status, code] of [
  ['slow-down', OpenAI.RateLimitError, 429, 'upstream_rate_limited'],
  ['status-400', OpenAI.BadRequestError, 400, 'upstream_rejected'],
  ['status-401', OpenAI.InternalServerError, 502, 'upstream_auth'],
  ['status-500', OpenAI.InternalServerError, 502, 'upstream_failed'],
  ['status-503', OpenAI.InternalServerError, 503, 'upstream_unavailable'],
]) {
  test(`a provider that plays ${script} is ${kind.name}`, async () => {
    const error = await failure(new Case().openai(), { model: `script:${script}`, stream: true });
    assert.ok(error instanceof kind);
    assert.deepEqual([error.status, error.code], [status, code]);
    assert.ok(error.requestID);
  });
}

test('the SDK does not repeat what the server has repeated', async () => {
  for (const script of ['status-500', 'slow-down']) {
    const counts = [];
    for (const maxRetries of [0, 2]) {
      const mine = new Case();
      const error = await mine
        .openai({ maxRetries })
        .chat.completions.create({ model: `script:${script}`, messages: user('hi') })
        .catch((caught) => caught);
      assert.equal(error.headers.get('x-should-retry'), 'false');
      counts.push((await mine.calls()).length);
    }
    assert.ok(counts[0] > 0);
    assert.equal(counts[1], counts[0]);
  }
});

for (const script of ['break', 'end-early']) {
  test(`a provider that plays ${script} in the middle is no success`, async () => {
    const request = { model: `script:${script}`, messages: user('hi'), stream: true };
    const stream = await new Case().openai().chat.completions.create(request);
    let text = '';
    await assert.rejects(
      async () => {
        for await (const chunk of stream) text += chunk.choices[0].delta.content ?? '';
      },
      (error) => {
        assert.ok(error instanceof OpenAI.APIError);
        assert.ok(!(error instanceof OpenAI.APIConnectionError), 'the stream must say what happened, not just end');
        assert.deepEqual([error.code, error.type], ['upstream_failed', 'server_error']);
        return true;
      },
    );
    assert.equal(text, 'partial');
    const helper = new Case().openai().chat.completions.stream({ model: `script:${script}`, messages: user('hi') });
    await assert.rejects(helper.finalContent(), (error) => error.code === 'upstream_failed');
  });
}

test('a busy session is a conflict', async () => {
  const mine = new Case();
  const client = mine.openai({ headers: { ...CONTEXT, 'X-Session-Id': mine.name } });
  const running = await client.chat.completions.create({ model: 'script:hold', messages: user('one'), stream: true });
  const chunks = running[Symbol.asyncIterator]();
  await chunks.next();
  const error = await client.chat.completions
    .create({ model: 'script:echo', messages: user('two') })
    .catch((caught) => caught);
  assert.ok(error instanceof OpenAI.ConflictError);
  assert.equal(error.code, 'session_busy');
  assert.equal(error.headers.get('retry-after'), '1');
  await mine.release();
  let rest = '';
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
    rest += next.value.choices[0].delta.content ?? '';
  }
  assert.match(rest, / and whole$/);
});
