// The official MCP clients for TypeScript, v1 and v2: agents are their tools.

import assert from 'node:assert/strict';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Case, CONTEXT, eventually, SERVER, test } from './support.js';

const ME = { name: 'letterhead-tests', version: '1.0.0' };

// Each client as it comes, and v2 also where it may ask for the newest revision.
const CLIENTS = {
  'v1': [TransportV1, () => new ClientV1(ME)],
  'v2': [TransportV2, () => new ClientV2(ME)],
  'v2, newest revision': [TransportV2, () => new ClientV2(ME, { versionNegotiation: { mode: 'auto' } })],
};

async function connected(which, headers, work) {
  const [Transport, make] = CLIENTS[which];
  const client = make();
  await client.connect(new Transport(new URL(`${SERVER}/mcp`), { requestInit: { headers } }));
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

function call(client, name, args, options) {
  const params = { name, arguments: args };
  // The result's schema stands before the options in v1.
  return client instanceof ClientV1 ? client.callTool(params, undefined, options) : client.callTool(params, options);
}

for (const which of Object.keys(CLIENTS)) {
  test(`${which}: finds the tools without any context`, async () => {
    const { tools } = await connected(which, {}, (client) => client.listTools());
    assert.deepEqual(
      tools.map(({ name }) => name),
      ['assistant', 'own-key', 'orchestrator', 'researcher', 'billing'],
    );
    assert.deepEqual(tools[0].inputSchema.required, ['input']);
  });

  test(`${which}: calls an agent with the headers, and goes on with the conversation`, async () => {
    const mine = new Case();
    await connected(which, mine.headers(), async (client) => {
      const first = await call(client, 'own-key', { input: 'One.' });
      assert.ok(!first.isError);
      assert.equal(first.content.length, 1);
      const { session_id } = first._meta;
      const second = await call(client, 'own-key', { input: 'Two.', session_id });
      assert.equal(second._meta.session_id, session_id);
    });
    const calls = await mine.calls();
    assert.deepEqual(
      calls.map((received) => received.roles),
      [['user'], ['user', 'assistant', 'user']],
    );
    assert.equal(calls[1].instructions, 'You speak for u_123.');
    assert.deepEqual(calls[1].header('authorization'), ['Bearer t_abc']);
  });

  test(`${which}: is told every fault of the headers`, async () => {
    const mine = new Case();
    const { auth_token: _, ...context } = CONTEXT;
    const headers = mine.headers({ ...context, seats: 'none' });
    await connected(which, headers, (client) =>
      assert.rejects(call(client, 'assistant', { input: 'Hi.' }), (error) => {
        assert.equal(error.code, -32602);
        assert.deepEqual(error.data.errors.map(({ header }) => header).sort(), ['auth_token', 'seats']);
        return true;
      }),
    );
  });

  test(`${which}: a failed turn is a result that says so`, async () => {
    const mine = new Case();
    const headers = { ...mine.headers(), 'X-Model-Name': 'script:status-500' };
    const result = await connected(which, headers, (client) => call(client, 'assistant', { input: 'Hi.' }));
    assert.equal(result.isError, true);
    assert.equal(result._meta.problem.error.code, 'upstream_failed');
  });

  test(`${which}: progress tells what the agents do`, async () => {
    const mine = new Case();
    const heard = [];
    const input = '/ask researcher What is ink?';
    const result = await connected(which, mine.headers(), (client) =>
      call(client, 'orchestrator', { input }, { onprogress: (progress) => heard.push(progress) }),
    );
    assert.match(result.content[0].text, /You find facts for u_123/);
    assert.deepEqual(
      heard.map(({ progress }) => progress),
      heard.map((_, at) => at + 1),
    );
    const child = heard.map(({ message }) => message).filter((message) => message.startsWith('researcher: '));
    assert.match(child.map((message) => message.slice('researcher: '.length)).join(''), /You find facts for u_123/);
  });
}

test('v2, newest revision: who aborts cancels', async () => {
  const mine = new Case();
  const headers = { ...mine.headers(), 'X-Session-Id': mine.name, 'X-Model-Name': 'script:hold' };
  await connected('v2, newest revision', headers, async (client) => {
    const controller = new AbortController();
    const onprogress = ({ message }) => message === 'writing' && controller.abort();
    await assert.rejects(call(client, 'assistant', { input: 'Hi.' }, { signal: controller.signal, onprogress }));
  });
  const stored = await eventually(
    () => mine.stored(),
    (rows) => rows.length === 2,
  );
  assert.deepEqual(
    stored.map(({ content, status }) => [content, status]),
    [['Hi.', 'complete'], ['partial', 'incomplete']],
  );
});
