// `/js/chat.js`, the classic script of an order's chat, on a Socket.IO client that is the test.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { pass, settle } from './support.mjs';

await import('../../web/js/chat.js');
const { ChatClient } = /** @type {any} */ (globalThis);

let socket;

/** What `io()` gives: what is asked waits until the test answers. */
class FakeIo {
  connected = true;
  asked = [];
  #handlers = new Map();

  on(name, handler) {
    this.#handlers.set(name, handler);
  }

  say(name, payload) {
    this.#handlers.get(name)?.(payload);
  }

  timeout() {
    return this;
  }

  emitWithAck(name, payload) {
    return new Promise((resolve, reject) => this.asked.push({ name, payload, resolve, reject }));
  }

  emit() {}

  connect() {}

  disconnect() {}

  /** The texts that were sent so far, each time. */
  get sent() {
    return this.asked.filter(({ name }) => name === 'send-message').map(({ payload }) => payload.message);
  }

  /** Answers the newest question. */
  async answer(payload = {}) {
    this.asked.at(-1).resolve(payload);
    await settle();
  }

  async drop() {
    this.connected = false;
    this.say('disconnect', 'transport close');
    for (const { reject } of this.asked) reject(new Error('socket has been disconnected'));
    await settle();
  }

  async enter() {
    this.connected = true;
    this.say('connect');
    await settle();
    await this.answer();
  }
}

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2026-01-01T12:00:00Z') });
  globalThis.io = () => (socket = new FakeIo());
});

afterEach(() => {
  mock.timers.reset();
  delete globalThis.io;
});

const stored = (id, message) => ({ id, senderId: 'alice', senderName: 'Alice', message, isRead: false, createdAt: '2026-01-01T12:00:00.000Z' });

async function live() {
  const chat = new ChatClient('42', 'alice', { token: 'token' });
  await socket.enter();
  assert.equal(chat.state, 'live');
  return chat;
}

test('texts go out one at a time: one that is refused for a moment is not overtaken by the next', async () => {
  const chat = await live();
  for (const text of ['one', 'two', 'three']) chat.sendMessage(text);
  assert.deepEqual(socket.sent, ['one']);
  await socket.answer({ error: 'too fast', code: 'rate_limited', retryAfter: 2 });
  await pass(1_999);
  assert.deepEqual(socket.sent, ['one']);
  await pass(1);
  assert.deepEqual(socket.sent, ['one', 'one']);
  const ids = socket.asked.filter(({ name }) => name === 'send-message').map(({ payload }) => payload.clientId);
  assert.equal(ids[0], ids[1]);
  await socket.answer(stored(1, 'one'));
  await socket.answer(stored(2, 'two'));
  await socket.answer(stored(3, 'three'));
  assert.deepEqual(socket.sent, ['one', 'one', 'two', 'three']);
  assert.deepEqual(chat.messages.map(({ body }) => body), ['one', 'two', 'three']);
});

test('what was written offline goes out in its order, and what is refused for good holds nothing up', async () => {
  const chat = await live();
  await socket.drop();
  for (const text of ['bad', 'good', 'last']) chat.sendMessage(text);
  assert.deepEqual(socket.sent, []);
  await socket.enter();
  assert.deepEqual(socket.sent, ['bad']);
  await socket.answer({ error: 'no', code: 'invalid' });
  assert.deepEqual(socket.sent, ['bad', 'good']);
  await socket.drop();
  await pass(5_000);
  assert.deepEqual(socket.sent, ['bad', 'good'], 'nothing while the connection is away');
  await socket.enter();
  assert.deepEqual(socket.sent, ['bad', 'good', 'good']);
  await socket.answer(stored(1, 'good'));
  await socket.answer(stored(2, 'last'));
  assert.deepEqual(chat.messages.map(({ body }) => body), ['good', 'last']);
});
