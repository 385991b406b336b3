// The Vercel AI SDK's own readers of `/api/chat`, release by release, and a chat without a framework.

import assert from 'node:assert/strict';
import * as v5 from 'ai-v5';
import * as v5strict from 'ai-v5-strict';
import * as v6 from 'ai-v6';
import * as v6strict from 'ai-v6-strict';
import * as v7 from 'ai-v7';
import { SERVER } from './support.js';

// The newest of each major release: whole chats run on these.
export const RELEASES = { '5.0.277': v5, '6.0.322': v6, '7.0.173': v7 };

// Also those that refuse any field of a chunk that they do not know, as most releases of 5 and 6 do.
export const PARSERS = { ...RELEASES, '5.0.200 (strict)': v5strict, '6.0.200 (strict)': v6strict };

export const CHAT = `${SERVER}/api/chat`;

// Posts a body as the SDK's transport does.
export function post(body, headers) {
  const fields = { 'content-type': 'application/json', ...headers };
  return fetch(CHAT, { method: 'POST', headers: fields, body: JSON.stringify(body) });
}

// Reads a stream's text with one release's parser; every chunk must be valid there. Gives the chunks.
export async function parse(ai, text) {
  const stream = ai.parseJsonEventStream({ stream: new Blob([text]).stream(), schema: ai.uiMessageChunkSchema });
  const chunks = [];
  for await (const result of stream) {
    if (!result.success) assert.fail(`${JSON.stringify(result.rawValue)}: ${result.error}`);
    chunks.push(result.value);
  }
  return chunks;
}

// Builds the message of a stream as `useChat` would, which also checks the order of the chunks.
export async function build(ai, chunks, message) {
  const stream = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  let last;
  for await (const state of ai.readUIMessageStream({ stream, message, terminateOnError: true })) last = state;
  return last;
}

// A chat as `useChat` holds it, with plain fields for state. `requests` keeps the bodies that were sent.
export function newChat(ai, { transport = {}, ...options }) {
  const requests = [];
  class Chat extends ai.AbstractChat {
    requests = requests;
  }
  const recording = (url, init = {}) => {
    if (init.body) requests.push(JSON.parse(init.body));
    return fetch(url, init);
  };
  return new Chat({
    state: newState(),
    transport: new ai.DefaultChatTransport({ api: CHAT, fetch: recording, ...transport }),
    ...options,
  });
}

function newState() {
  return {
    status: 'ready',
    error: undefined,
    messages: [],
    pushMessage(message) {
      this.messages = [...this.messages, message];
    },
    popMessage() {
      this.messages = this.messages.slice(0, -1);
    },
    replaceMessage(index, message) {
      this.messages = this.messages.with(index, message);
    },
    snapshot: structuredClone,
  };
}

// The text that a message shows.
export function shown(message) {
  return message.parts
    .filter(({ type }) => type === 'text')
    .map(({ text }) => text)
    .join('');
}

// A user message in the form of the UI protocol.
export function said(text, id = 'm1') {
  return { id, role: 'user', parts: [{ type: 'text', text }] };
}
