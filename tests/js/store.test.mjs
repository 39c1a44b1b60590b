// What is kept of unsent messages across closing the page.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { forgetUnsent } from '../../web/js/haggle.js';
import { conversationOf } from '../../web/js/widget/context.js';
import { FakeSocket } from './fake-socket.mjs';
import { admit, authenticate, client, joined, message, pass, setUp, settle, tearDown } from './support.mjs';

beforeEach(setUp);
afterEach(tearDown);

/** What `localStorage` is, in memory. */
class MemoryStore {
  held = new Map();

  get length() {
    return this.held.size;
  }

  key(at) {
    return [...this.held.keys()][at] ?? null;
  }

  getItem(key) {
    return this.held.get(key) ?? null;
  }

  setItem(key, value) {
    this.held.set(key, value);
  }

  removeItem(key) {
    this.held.delete(key);
  }
}

const bodies = (socket) => socket.frames('send').map(({ body }) => body);

/** Another page of the same browser: live, in the conversation. */
async function reopened(store, { user_id = 'alice' } = {}) {
  const { chat } = client(undefined, { store });
  const order = chat.conversation('order:42');
  chat.connect();
  await settle();
  FakeSocket.last.accept();
  FakeSocket.last.reply('auth', { user_id, name: user_id, unread: 0 });
  await settle();
  const socket = FakeSocket.last;
  socket.reply('history', { messages: [], has_more: false });
  await settle();
  await admit(socket, 0);
  return { chat, order, socket };
}

test('what was unsent when the page was closed is sent by the next one, once and in order', async () => {
  const store = new MemoryStore();
  const { chat, order, socket } = await joined(0, { store });
  socket.drop();
  const sent = ['one', 'two', 'three'].map((body) => order.send(body));
  chat.close();
  assert.equal(store.length, 3);
  const next = await reopened(store);
  for (const [at, { client_id, body }] of sent.entries()) {
    assert.equal(next.socket.frames('send')[at].client_id, client_id);
    next.socket.reply('send', { message: message(at + 1, { from: 'alice', body, client_id }) });
    await settle();
  }
  assert.deepEqual(bodies(next.socket), ['one', 'two', 'three']);
  assert.equal(store.length, 0);
});

test('what was written before the first connection is kept once it is joined', async () => {
  const store = new MemoryStore();
  const { chat } = client(undefined, { store });
  const order = chat.conversation('order:42');
  order.send('early');
  assert.equal(store.length, 0);
  chat.connect();
  const socket = await authenticate();
  socket.reply('history', { messages: [], has_more: false });
  await settle();
  await admit(socket, 0);
  assert.equal(store.length, 1);
});

test('what was written offline is sent though nobody looks at its conversation any more, and then it is left', async () => {
  const { chat } = client(undefined, { store: null });
  const { conversation, release } = conversationOf(chat, 'order:42', true);
  conversation.send('and gone');
  release();
  await pass(2_000);
  chat.connect();
  const socket = await authenticate();
  socket.reply('history', { messages: [], has_more: false });
  await settle();
  await admit(socket, 0);
  assert.deepEqual(bodies(socket), ['and gone']);
  socket.reply('send', { message: message(1, { from: 'alice', client_id: socket.frames('send')[0].client_id }) });
  await pass(2_000);
  await pass(2_000);
  assert.equal(socket.frames('leave').length, 1);
});

test('another user of the same browser neither sees nor sends it', async () => {
  const store = new MemoryStore();
  const { chat, order, socket } = await joined(0, { store });
  socket.drop();
  order.send('for Alice alone to send');
  chat.close();
  const other = await reopened(store, { user_id: 'eve' });
  assert.deepEqual(other.order.pending, []);
  assert.deepEqual(bodies(other.socket), []);
  assert.equal(store.length, 1);
});

test('a token of another user is refused: what is pending must not go out in that name', async () => {
  const { chat, order, socket } = await joined();
  socket.drop();
  order.send('mine');
  await pass(250);
  FakeSocket.last.accept();
  FakeSocket.last.reply('auth', { user_id: 'eve', name: 'Eve', unread: 0 });
  await settle();
  assert.equal(chat.state, 'refused');
  assert.deepEqual(bodies(FakeSocket.last), []);
});

test('two tabs do not overwrite each other', async () => {
  const store = new MemoryStore();
  const first = await joined(0, { store });
  const second = await reopened(store);
  first.order.send('from one');
  second.order.send('from the other');
  const { client_id, body } = first.order.pending[0];
  first.socket.reply('send', { message: message(1, { from: 'alice', body, client_id }) });
  await settle();
  assert.deepEqual([...store.held.values()].map((text) => JSON.parse(text).body), ['from the other']);
});

test('signing out forgets, a week forgets, and a spoilt entry is no trouble', async () => {
  const store = new MemoryStore();
  const { chat, order, socket } = await joined(0, { store });
  socket.drop();
  order.send('old');
  store.setItem([...store.held.keys()][0] + 'x', '{spoilt');
  mock.timers.setTime(Date.now() + 8 * 24 * 3_600 * 1_000);
  chat.close();
  const late = await reopened(store);
  assert.deepEqual(late.order.pending, []);
  assert.equal(store.length, 0);
  late.socket.drop();
  late.order.send('new');
  store.setItem('of the shop', 'stays');
  const { client_id } = late.order.send('another');
  const other = [...store.held.keys()].find((key) => key.includes(client_id)).replace('alice', 'carol');
  store.setItem(other, '{"body":"x","created_at":"","at":9e15}');
  late.chat.close({ forget: true });
  assert.deepEqual([...store.held.keys()], ['of the shop', other], 'nobody else\'s');
  forgetUnsent({ url: 'ws://elsewhere.test/ws', store });
  assert.equal(store.length, 2);
  forgetUnsent({ url: 'ws://shop.test/ws', store });
  assert.deepEqual([...store.held.keys()], ['of the shop']);
  store.setItem(other, '{}');
  client(undefined, { store }).chat.close({ forget: true });
  assert.deepEqual([...store.held.keys()], ['of the shop'], 'who never got in may be anyone');
});

test('a storage that takes nothing costs nothing but its memory', async () => {
  const store = new MemoryStore();
  store.setItem = () => {
    throw new Error('full');
  };
  const { order, socket } = await joined(0, { store });
  order.send('goes out all the same');
  assert.deepEqual(bodies(socket), ['goes out all the same']);
});
