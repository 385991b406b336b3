// What every test needs: the server, the model provider behind it, and names that belong to one test alone.
// `tests/clients/run` starts the two and says where they are.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test as nodeTest } from 'node:test';
import OpenAI from 'openai';

export const SERVER = fromEnvironment('LETTERHEAD_URL');
const UPSTREAM = fromEnvironment('UPSTREAM_URL');

export const SDK_KEY = 'sk-of-the-sdk-that-nobody-needs';
export const CONTEXT = { user_id: 'u_123', auth_token: 't_abc', org_name: 'Acme Corp' };
export const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city.',
    parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string' } } },
  },
};

// A test that may take as long as the server's own retries, but hangs nobody.
export function test(name, body) {
  nodeTest(name, { timeout: 45_000 }, body);
}

function fromEnvironment(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: start the tests with tests/clients/run`);
  return value;
}

// One test's own corner: `name` marks its calls to the model provider and serves as a fresh session id.
export class Case {
  name = `case-${randomUUID()}`;

  // The headers that mark a request as this test's, with the context headers unless told otherwise.
  headers(context = CONTEXT) {
    return { ...context, 'X-Case': this.name };
  }

  // An official client that repeats nothing by itself.
  openai({ base = '/v1', context = CONTEXT, headers = {}, maxRetries = 0 } = {}) {
    return new OpenAI({
      baseURL: `${SERVER}${base}`,
      apiKey: SDK_KEY,
      maxRetries,
      timeout: 30_000,
      defaultHeaders: { ...this.headers(context), ...headers },
    });
  }

  // The requests that the model provider received for this test, in order.
  async calls() {
    return (await this.received()).map((call) => new Call(call));
  }

  // How often the tool `refund` was called for this test.
  async refunds() {
    return (await this.received()).filter(({ refund }) => refund).length;
  }

  async received() {
    const response = await fetch(`${UPSTREAM}/calls/${this.name}`);
    return response.json();
  }

  async call() {
    const calls = await this.calls();
    assert.equal(calls.length, 1);
    return calls[0];
  }

  // Lets the script `hold` go on.
  async release() {
    await fetch(`${UPSTREAM}/release/${this.name}`, { method: 'POST' });
  }

  // The stored messages of this test's session; none while there is no such session.
  async stored() {
    const response = await fetch(`${SERVER}/api/v1/sessions/${this.name}/messages`);
    return response.ok ? (await response.json()).data : [];
  }
}

class Call {
  constructor({ headers, body }) {
    this.pairs = headers;
    this.body = body;
  }

  header(name) {
    return this.pairs.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  }

  get instructions() {
    const [first] = this.body.messages;
    assert.ok(['system', 'developer'].includes(first.role));
    return first.content;
  }

  // Role and content of what follows the agent's instructions.
  get conversation() {
    return this.body.messages.slice(1).map(({ role, content }) => [role, textOf(content)]);
  }

  get roles() {
    return this.body.messages.slice(1).map(({ role }) => role);
  }
}

// The text of a content that may be in parts; null where there is none.
export function textOf(content) {
  if (!Array.isArray(content)) return content ?? null;
  return content.map((part) => part.text ?? '').join('');
}

export function user(content) {
  return [{ role: 'user', content }];
}

// Repeats a look until it shows what is wanted, or fails after ten seconds.
export async function eventually(look, wanted) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const seen = await look();
    if (wanted(seen)) return seen;
    if (Date.now() > deadline) assert.fail(`never came: ${wanted}; last seen ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
