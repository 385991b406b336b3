// An MCP server built with the official SDK v1 for TypeScript, with sessions as most servers have them. Prints its URL;
// serves until it is stopped. It lets in who has the token, on every request.

import { randomUUID } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';

const TOKEN = 'Bearer t_abc_of_the_caller';
const text = (words) => ({ content: [{ type: 'text', text: words }] });

function crm() {
  const server = new McpServer({ name: 'typescript-crm', version: '1.0.0' });
  const numbers = { a: z.number(), b: z.number() };
  server.registerTool('add', { description: 'Adds two numbers.', inputSchema: numbers }, ({ a, b }) => text(`${a + b}`));
  server.registerTool('customers.find', { description: 'Finds a customer.', inputSchema: { name: z.string() } }, ({ name }) =>
    text(JSON.stringify({ name, plan: 'gold' })),
  );
  server.registerTool('fail', { description: 'Fails.' }, () => ({ ...text('the ledger is closed'), isError: true }));
  return server;
}

const sessions = new Map();
const seen = new Set();
const app = createMcpExpressApp();
app.use((request, response, next) => {
  if (request.headers.authorization === TOKEN) next();
  else response.status(401).send('who are you?');
});
// What the sessions are forgotten by, as by a restart.
app.post('/forget', (_, response) => {
  sessions.clear();
  response.status(204).end();
});
app.get('/seen', (_, response) => response.json([...seen].sort()));
app.post('/mcp', async (request, response) => {
  seen.add(request.headers['mcp-protocol-version'] ?? 'none');
  const id = request.headers['mcp-session-id'];
  let transport = sessions.get(id);
  if (!transport && !id && isInitializeRequest(request.body)) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (made) => sessions.set(made, transport),
    });
    await crm().connect(transport);
  }
  if (!transport) {
    const error = { code: id ? -32001 : -32000, message: id ? 'Session not found' : 'No session' };
    response.status(id ? 404 : 400).json({ jsonrpc: '2.0', error, id: null });
    return;
  }
  await transport.handleRequest(request, response, request.body);
});
const listener = app.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${listener.address().port}/mcp`));
