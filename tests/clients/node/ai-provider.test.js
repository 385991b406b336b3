// Vercel AI SDK with its provider for OpenAI-compatible servers, against `/v1`.

import assert from 'node:assert/strict';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai-v7';
import { Case, CONTEXT, SDK_KEY, SERVER, test, WEATHER } from './support.js';

function provider(mine, options = {}) {
  return createOpenAICompatible({
    name: 'letterhead',
    baseURL: `${SERVER}/v1`,
    apiKey: SDK_KEY,
    headers: mine.headers(options.context ?? CONTEXT),
    includeUsage: true,
  });
}

function weather(asked) {
  return tool({
    description: WEATHER.function.description,
    inputSchema: jsonSchema(WEATHER.function.parameters),
    execute: async ({ city }) => {
      asked.push(city);
      return 'sunny';
    },
  });
}

test('generateText answers, with headers of provider and call', async () => {
  const mine = new Case();
  const result = await generateText({
    model: provider(mine)('script:echo'),
    prompt: 'good morning',
    headers: { user_id: 'u_456' },
    maxRetries: 0,
  });
  assert.equal(result.text, 'You said: good morning');
  assert.equal(result.finishReason, 'stop');
  assert.equal(result.usage.totalTokens, 18);
  assert.match((await mine.call()).instructions, /for user u_456 from Acme Corp\./);
});

test('streamText streams, with usage', async () => {
  const result = streamText({ model: provider(new Case())('script:echo'), prompt: 'a b c', maxRetries: 0 });
  assert.equal((await Array.fromAsync(result.textStream)).join(''), 'You said: a b c');
  assert.equal(await result.finishReason, 'stop');
  assert.equal((await result.usage).totalTokens, 18);
});

test('the demo model answers for the user of the header', async () => {
  const { text } = await generateText({ model: provider(new Case())('assistant'), prompt: 'Who am I?', maxRetries: 0 });
  assert.match(text, /u_123/);
});

test('the tool loop of generateText comes to the answer', async () => {
  const asked = [];
  const result = await generateText({
    model: provider(new Case())('script:weather'),
    prompt: 'Berlin?',
    tools: { get_weather: weather(asked) },
    stopWhen: isStepCount(3),
    maxRetries: 0,
  });
  assert.deepEqual(asked, ['Berlin']);
  assert.equal(result.text, 'The tool said: sunny');
  assert.equal(result.steps.length, 2);
});

test('the tool loop of streamText runs two calls of one answer', async () => {
  const asked = [];
  const result = streamText({
    model: provider(new Case())('script:two-cities'),
    prompt: 'Berlin and Paris?',
    tools: { get_weather: weather(asked) },
    stopWhen: isStepCount(3),
    maxRetries: 0,
  });
  assert.equal((await Array.fromAsync(result.textStream)).join(''), 'The tool said: sunny; sunny');
  assert.deepEqual(asked.sort(), ['Berlin', 'Paris']);
});

test('a refused request is an APICallError with the message of the server', async () => {
  const refused = generateText({
    model: provider(new Case(), { context: {} })('script:echo'),
    prompt: 'hi',
    maxRetries: 0,
  });
  await assert.rejects(refused, (error) => {
    assert.ok(APICallError.isInstance(error));
    assert.equal(error.statusCode, 400);
    assert.match(error.message, /user_id/);
    assert.equal(JSON.parse(error.responseBody).error.code, 'missing_header');
    return true;
  });
});

test('a provider that breaks off in the middle is an error part and no finish', async () => {
  const errors = [];
  const result = streamText({
    model: provider(new Case())('script:break'),
    prompt: 'hi',
    maxRetries: 0,
    onError: ({ error }) => errors.push(error),
  });
  const parts = await Array.fromAsync(result.fullStream ?? result.stream);
  const text = parts
    .filter(({ type }) => type === 'text-delta')
    .map((part) => part.text ?? part.delta)
    .join('');
  assert.equal(text, 'partial');
  assert.ok(parts.some(({ type }) => type === 'error'));
  assert.equal(errors.length, 1);
  assert.ok(!parts.some(({ type, finishReason }) => type === 'finish' && finishReason === 'stop'));
});
