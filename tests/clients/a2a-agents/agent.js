// An agent behind A2A, built with the official SDK for JavaScript. Prints its URL; serves until it is stopped.
//
// It does what it is told, and lets in who has the token. Its card is at three addresses: below `/one` one of 1.0 that
// streams, below `/whole` one of 1.0 that does not, below `/older` one of 0.3. `/seen` has all calls, `/cancelled` the
// tasks that were cancelled.

import express from 'express';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import { Role, TaskState } from '@a2a-js/sdk';

const TOKEN = 'Bearer t_abc_of_the_caller';
const cancelled = [];
const seen = [];

const part = (value) => ({ content: { $case: 'text', value }, metadata: undefined, filename: '', mediaType: 'text/plain' });

class Legal {
  waiting = new Map();

  // Does what the first word of a question says.
  async execute({ userMessage, taskId, contextId }, bus) {
    const text = userMessage.parts.map((each) => each.content?.value).join('');
    const message = (words) => ({
      messageId: crypto.randomUUID(), taskId, contextId, role: Role.ROLE_AGENT, parts: [part(words)],
      metadata: undefined, extensions: [], referenceTaskIds: [],
    });
    const status = (state, words) => {
      const said = words ? message(words) : undefined;
      bus.publish(AgentEvent.statusUpdate({
        taskId, contextId, metadata: undefined,
        status: { state, message: said, timestamp: new Date().toISOString() },
      }));
    };
    const word = text.split(' ')[0];
    if (word === 'message') {
      bus.publish(AgentEvent.message({ ...message('An answer without a task.'), taskId: '' }));
      return bus.finished();
    }
    bus.publish(AgentEvent.task({
      id: taskId, contextId, artifacts: [], history: [userMessage], metadata: undefined,
      status: { state: TaskState.TASK_STATE_SUBMITTED, message: undefined, timestamp: new Date().toISOString() },
    }));
    const ends = {
      input: TaskState.TASK_STATE_INPUT_REQUIRED,
      auth: TaskState.TASK_STATE_AUTH_REQUIRED,
      reject: TaskState.TASK_STATE_REJECTED,
      fail: TaskState.TASK_STATE_FAILED,
    };
    if (word === 'raise') throw new Error('the ledger is closed');
    if (word in ends) {
      status(ends[word], `because of: ${text}`);
      return bus.finished();
    }
    const say = (text, append) => bus.publish(AgentEvent.artifactUpdate({
      taskId, contextId, append, lastChunk: false, metadata: undefined,
      artifact: { artifactId: 'answer', name: '', description: '', parts: [part(text)], metadata: undefined, extensions: [] },
    }));
    status(TaskState.TASK_STATE_WORKING);
    if (word === 'wait') {
      say(`I wait, and say so at length. ${'I wait. '.repeat(20)}`, false);
      await new Promise((done) => this.waiting.set(taskId, done));
      status(TaskState.TASK_STATE_CANCELED);
      return bus.finished();
    }
    for (const [at, piece] of ['Contract ', 'says: ', text, '.'].entries()) say(piece, at > 0);
    status(TaskState.TASK_STATE_COMPLETED);
    bus.finished();
  }

  cancelTask = async (taskId) => {
    cancelled.push(taskId);
    this.waiting.get(taskId)?.();
  };
}

function agent(base, place, version, streaming) {
  const card = {
    name: 'Legal', description: 'What the card says of it.', version: '1.0.0', provider: undefined,
    capabilities: { streaming, pushNotifications: false, extensions: [] },
    defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'],
    skills: [], securitySchemes: {}, securityRequirements: [], signatures: [],
    supportedInterfaces: [{ url: `${base}/${place}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: version, tenant: '' }],
  };
  const handler = new DefaultRequestHandler(card, new InMemoryTaskStore(), new Legal());
  const routes = express.Router();
  if (version === '0.3') {
    // As agents had it that know of no other version.
    routes.get('/.well-known/agent-card.json', (_, response) => response.json({
      name: 'Legal', protocolVersion: '0.3.0', url: `${base}/${place}/rpc`, capabilities: { streaming },
    }));
  } else {
    routes.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: handler }));
  }
  const legacyCompat = { enabled: version === '0.3' };
  routes.use('/rpc', jsonRpcHandler({ requestHandler: handler, userBuilder: UserBuilder.noAuthentication, legacyCompat }));
  return routes;
}

// The SDK tells of what an agent throws, which this one does when it is told to.
console.error = () => {};
const app = express();
app.get('/seen', (_, response) => response.json(seen));
app.get('/cancelled', (_, response) => response.json(cancelled));
app.use(express.json(), (request, response, next) => {
  if (request.headers.authorization !== TOKEN) return response.status(401).send('who are you?');
  seen.push({ path: request.path, method: request.body?.method ?? 'card', headers: request.headers });
  next();
});
const listener = app.listen(0, '127.0.0.1', () => {
  const base = `http://127.0.0.1:${listener.address().port}`;
  for (const [place, version, streaming] of [['one', '1.0', true], ['whole', '1.0', false], ['older', '0.3', true]]) {
    app.use(`/${place}`, agent(base, place, version, streaming));
  }
  console.log(base);
});
