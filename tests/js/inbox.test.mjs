// The inbox in the client: newest first, live, unread, search.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { admit, authenticate, client, heard, joined, message, pass, setUp, settle, tearDown } from './support.mjs';

beforeEach(setUp);
afterEach(tearDown);

function listed(id, { minute = id, unread = 0, name = `Person ${id}`, title = null, key = null } = {}) {
  return {
    id, key, kind: 'direct', title, subject: null, unread, created_at: '2026-01-01T10:00:00.000Z',
    participants: [
      { user_id: 'alice', name: 'Alice', role: '', online: true },
      { user_id: `user-${id}`, name, role: '', online: false },
    ],
    last_message: { ...message(3), conversation: id, created_at: `2026-01-01T11:${String(minute).padStart(2, '0')}:00.000Z` },
  };
}

async function opened(conversations, next = null) {
  const { chat } = client();
  chat.connect();
  const socket = await authenticate();
  const loading = chat.inbox.load();
  socket.reply('conversations', { conversations, next });
  await loading;
  return { chat, inbox: chat.inbox, socket };
}

const ids = (inbox) => inbox.conversations.map(({ id }) => id);

test('conversations stand newest first, and pages follow each other', async () => {
  const { inbox, socket } = await opened([listed(2), listed(9), listed(4)], 'page-2');
  assert.deepEqual(socket.frames('conversations')[0], { id: 2, type: 'conversations', limit: 100 });
  assert.deepEqual(ids(inbox), [9, 4, 2]);
  assert.ok(inbox.hasMore);
  const more = [inbox.more(), inbox.more()];
  assert.equal(socket.frames('conversations').length, 2, 'asked once, however often it is wanted');
  assert.equal(socket.reply('conversations', { conversations: [listed(1)], next: null }).cursor, 'page-2');
  await Promise.all(more);
  assert.deepEqual(ids(inbox), [9, 4, 2, 1]);
  assert.equal(inbox.hasMore, false);
});

test('what is unread is counted before anything is loaded', async () => {
  const { chat } = client();
  chat.connect();
  const socket = await authenticate();
  socket.say({ type: 'unread', conversation: 4, count: 2, total: 2 });
  socket.say({ type: 'unread', conversation: 5, count: 3, total: 5 });
  assert.equal(chat.inbox.unread, 5);
  socket.say({ type: 'unread', conversation: 4, count: 0, total: 3 });
  assert.equal(chat.inbox.unread, 3);
  assert.equal(socket.frames('conversations').length, 0);
});

test('news in a conversation bring it to the top, with one question for many', async () => {
  const { inbox, socket } = await opened([listed(1), listed(2)]);
  socket.say({ type: 'unread', conversation: 1, count: 1, total: 1 });
  socket.say({ type: 'unread', conversation: 3, count: 1, total: 2 });
  await pass(150);
  assert.equal(socket.frames('conversations').length, 2);
  socket.reply('conversations', { conversations: [listed(3, { unread: 1 }), listed(1, { minute: 30, unread: 1 })], next: 'x' });
  await settle();
  assert.deepEqual(ids(inbox), [1, 3, 2]);
  assert.deepEqual(inbox.conversations.map(({ unread }) => unread), [1, 1, 0]);
  assert.equal(inbox.unread, 2);
  assert.equal(inbox.hasMore, false, 'a look at the newest moves no cursor');
});

test('a joined conversation counts for itself, and the list shows its newest', async () => {
  const { chat, inbox, socket } = await opened([listed(7, { unread: 1 }), listed(8)]);
  const order = chat.conversation(7);
  socket.reply('history', { messages: [message(3)], has_more: false });
  await settle();
  await admit(socket, 3);
  socket.say(heard(4, { body: 'the newest' }));
  assert.equal(inbox.find(7).last_message.body, 'the newest');
  assert.equal(inbox.unread, order.unread);
  order.read();
  assert.equal(inbox.unread, 0);
  assert.equal(inbox.find(7).unread, 0);
  chat.leave(7);
  assert.equal(inbox.find(7).last_message.body, 'the newest', 'leaving takes nothing back');
});

test('search looks at names and titles, without case and accents, and not at one\'s own name', async () => {
  const { inbox } = await opened([
    listed(1, { name: 'Zoë Müller' }), listed(2, { title: 'Two armchairs' }), listed(3, { key: 'order:42' }),
  ]);
  const found = (query) => inbox.search(query).map(({ id }) => id);
  assert.deepEqual(found('zoe mull'), [1]);
  assert.deepEqual(found('ARMCHAIR'), [2]);
  assert.deepEqual(found('order:42'), [3]);
  assert.deepEqual(found('alice'), []);
  assert.deepEqual(found(' '), [3, 2, 1]);
  assert.deepEqual(found('z\u200bo'), [1], 'a zero-width character hides nobody');
});

test('presence shows in the list, and a conversation one is removed from leaves it', async () => {
  const { inbox, socket } = await opened([listed(1), listed(2)]);
  socket.say({ type: 'presence', user_id: 'user-1', online: true, last_seen: null });
  assert.equal(inbox.find(1).participants[1].online, true);
  socket.say({ type: 'left', conversation: 1, user_id: 'alice', name: 'Alice' });
  assert.deepEqual(ids(inbox), [2]);
});

test('after a lost connection the list is loaded again, and shown meanwhile', async () => {
  const { inbox, socket } = await opened([listed(1), listed(2)]);
  socket.say({ type: 'unread', conversation: 1, count: 2, total: 2 });
  socket.drop();
  assert.deepEqual(ids(inbox), [2, 1]);
  assert.equal(inbox.unread, 2);
  await pass(250);
  const again = await authenticate();
  again.reply('conversations', { conversations: [listed(2)], next: null });
  await settle();
  assert.deepEqual(ids(inbox), [2]);
});

test('load before the connection waits for it', async () => {
  const { chat } = client();
  void chat.inbox.load();
  chat.connect();
  const socket = await authenticate();
  socket.reply('conversations', { conversations: [listed(1)], next: null });
  await settle();
  assert.deepEqual(ids(chat.inbox), [1]);
});

test('a conversation held by its key and by its id hears everything in both, and leaving one leaves the other', async () => {
  const { chat, order: byKey, socket } = await joined(1);
  const byId = chat.conversation(7);
  socket.reply('history', { messages: [message(1)], has_more: false });
  await settle();
  await admit(socket, 1);
  socket.say(heard(2));
  const sent = byId.send('mine');
  socket.reply('send', { message: message(3, { from: 'alice', body: 'mine', client_id: sent.client_id }) });
  await settle();
  for (const held of [byKey, byId]) assert.deepEqual(held.messages.map(({ seq }) => seq), [1, 2, 3]);
  chat.leave(7);
  assert.equal(socket.frames('leave').length, 0, 'the socket still hears for the other one');
  chat.leave('order:42');
  assert.equal(socket.frames('leave').length, 1);
});

test('a conversation is opened by REST, in the name of the token in use', async () => {
  const { chat } = await opened([]);
  const calls = [];
  mock.method(globalThis, 'fetch', async (url, { method, headers, body }) => {
    calls.push([method, url, headers.authorization, body]);
    return new Response(JSON.stringify(listed(12)), { status: 201 });
  });
  assert.equal((await chat.open({ participants: [{ user_id: 'bob' }] })).id, 12);
  await chat.details('order:4/2');
  assert.deepEqual(calls, [
    ['POST', 'http://shop.test/v1/conversations', 'Bearer token-1', '{"participants":[{"user_id":"bob"}]}'],
    ['GET', 'http://shop.test/v1/conversations/order%3A4%2F2', 'Bearer token-1', null],
  ]);
  globalThis.fetch.mock.mockImplementation(async () => new Response('{"code":"not_found","detail":"Gone."}', { status: 404 }));
  await assert.rejects(chat.details(9), { code: 'not_found', message: 'Gone.' });
  globalThis.fetch.mock.mockImplementation(() => Promise.reject(new TypeError('network')));
  await assert.rejects(chat.details(9), { code: 'unavailable' });
});

test('a first page that fails is told, and asked for again: by itself, later and later, and by hand at once', async () => {
  const { chat } = client();
  chat.connect();
  const socket = await authenticate();
  let changes = 0;
  chat.inbox.on('change', () => (changes += 1));
  void chat.inbox.load();
  socket.refuse('conversations', { code: 'unavailable' });
  await settle();
  assert.equal(chat.inbox.trouble.code, 'unavailable');
  assert.equal(chat.inbox.loaded, false);
  assert.ok(changes > 0);
  const asked = () => socket.frames('conversations').length;
  for (const [at, wait] of [500, 1_000, 2_000].entries()) {
    await pass(wait - 1);
    assert.equal(asked(), at + 1);
    await pass(1);
    assert.equal(asked(), at + 2, 'full jitter, here half of a bound that doubles');
    socket.refuse('conversations', { code: 'internal' });
    await settle();
  }
  void chat.inbox.retry();
  assert.equal(asked(), 5);
  socket.reply('conversations', { conversations: [listed(1)], next: null });
  await settle();
  assert.equal(chat.inbox.trouble, undefined);
  assert.deepEqual(ids(chat.inbox), [1]);
  await pass(20_000);
  assert.equal(asked(), 5, 'what went well is not asked again');
});

test('a look at what is new that fails is made up for', async () => {
  const { inbox, socket } = await opened([listed(1)]);
  socket.say({ type: 'unread', conversation: 2, count: 1, total: 1 });
  await pass(150);
  socket.refuse('conversations', { code: 'rate_limited', retry_after: 2 });
  await pass(2_499);
  assert.equal(socket.frames('conversations').length, 2);
  await pass(1);
  socket.reply('conversations', { conversations: [listed(2, { unread: 1 }), listed(1)], next: null });
  await settle();
  assert.deepEqual(ids(inbox), [2, 1]);
  assert.equal(inbox.trouble, undefined);
});

test('a failure of the connection before is none of this one', async () => {
  const { chat } = client();
  chat.connect();
  const socket = await authenticate();
  void chat.inbox.load();
  socket.drop();
  await pass(250);
  const again = await authenticate();
  await pass(5_000);
  assert.equal(again.frames('conversations').length, 1);
  assert.equal(chat.inbox.trouble, undefined);
});

test('one\'s own message from another device moves its conversation up, though nothing is unread', async () => {
  const { inbox, socket } = await opened([listed(1), listed(2)]);
  socket.say({ type: 'unread', conversation: 1, count: 0, total: 0 });
  await pass(150);
  socket.reply('conversations', { conversations: [listed(1, { minute: 30 }), listed(2)], next: null });
  await settle();
  assert.deepEqual(ids(inbox), [1, 2]);
});
