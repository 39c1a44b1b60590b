// The order vocabulary, walked as its own usage examples do it: an order's customer and agent, two devices each, REST beside sockets.
import { after, before, test } from 'node:test';
import { assert, assertTime, cleanUp, Server, sleep, token } from './harness.mjs';

let server;

before(async () => {
  server = await Server.start({ HAGGLE_ROOT_VOCABULARY: 'order' });
  for (const [id, name] of [['alice', 'Alice'], ['bob', 'Bob'], ['carol', 'Carol']]) await server.user(id, { name });
  await order('42');
});
after(cleanUp);

/** The shop's backend opens an order's conversation. */
function order(id, people = [{ user_id: 'alice', role: 'buyer' }, { user_id: 'bob', role: 'agent' }]) {
  return server.conversation(`order:${id}`, people);
}

const rest = (path, who, options = {}) => server.call(`/api/v0/chat${path}`, { token: who && token(who), ...options });
const post = (path, who) => rest(path, who, { method: 'POST' });

for (const [how, options] of [
  ['WebSocket', { transports: ['websocket'] }],
  ['polling', { transports: ['polling'] }],
  ['upgrade', { transports: ['polling', 'websocket'] }],
]) {
  test(`an order's chat over ${how}, in the root namespace and in its own`, async () => {
    const orderId = `over-${how}`;
    await order(orderId);
    const alice = await server.connect('/', token('alice'), options);
    const bob = await server.connect('/order', undefined, {
      ...options,
      extraHeaders: { Authorization: `Bearer ${token('bob')}` },
    });
    alice.emit('join-order-chat', { orderId });
    assert.deepEqual(await alice.next('previous-messages'), []);
    bob.emit('join-order-chat', orderId);
    assert.deepEqual(await bob.next('previous-messages'), []);
    const joined = await alice.next('user-joined');
    assert.deepEqual(joined, { orderId, userId: 'bob', name: 'Bob', timestamp: joined.timestamp });
    assertTime(joined.timestamp);

    bob.emit('typing', { orderId, isTyping: true });
    assert.deepEqual(await alice.next('user-typing'), { orderId, userId: 'bob', name: 'Bob', isTyping: true });
    bob.emit('typing', { orderId, isTyping: false });
    assert.equal((await alice.next('user-typing')).isTyping, false);
    await bob.silent('user-typing');

    bob.emit('send-message', { orderId, message: 'On my <b>way</b>', clientId: 'c1' });
    const heard = await alice.next('new-message');
    assert.deepEqual(heard, {
      id: heard.id,
      orderId,
      senderId: 'bob',
      senderName: 'Bob',
      message: 'On my <b>way</b>',
      isRead: false,
      createdAt: heard.createdAt,
    });
    assert.ok(Number.isInteger(heard.id));
    assertTime(heard.createdAt);
    assert.deepEqual(await bob.next('new-message'), heard, 'the sender hears it from the room too');
    assert.deepEqual(await bob.ask('send-message', { orderId, message: 'On my <b>way</b>', clientId: 'c1' }), heard);
    await alice.silent('new-message');
    assert.equal((await bob.ask('send-message', { orderId, message: 'other', clientId: 'c1' })).code, 'invalid');

    bob.emit('leave-order-chat', { orderId });
    const left = await alice.next('user-left');
    assert.deepEqual(left, { orderId, userId: 'bob', name: 'Bob', timestamp: left.timestamp });
    assertTime(left.timestamp);
    // Sending needs no joining; hearing does.
    assert.equal((await bob.ask('send-message', { orderId, content: 'still here' })).message, 'still here');
    await alice.next('new-message', ({ message }) => message === 'still here');
    await bob.silent('new-message');
    alice.close();
    bob.close();
  });
}

test('two devices each: all that joined hear, one comes and goes once', async () => {
  const orderId = 'devices';
  await order(orderId);
  const [phone, laptop, bob, unjoined] = await Promise.all(['alice', 'alice', 'bob', 'bob'].map((who) => server.connect('/order', token(who))));
  for (const device of [bob, phone, laptop]) await device.ask('join-order-chat', { orderId });
  assert.equal((await bob.next('user-joined')).userId, 'alice');
  await bob.silent('user-joined');
  await phone.ask('send-message', { orderId, message: 'from the phone' });
  for (const device of [bob, phone, laptop]) assert.equal((await device.next('new-message')).message, 'from the phone');
  await unjoined.silent('new-message');
  phone.emit('typing', { orderId, isTyping: true });
  await bob.next('user-typing');
  await laptop.silent('user-typing');
  phone.close();
  assert.equal((await bob.next('user-typing')).isTyping, false);
  await bob.silent('user-left');
  laptop.close();
  assert.equal((await bob.next('user-left')).userId, 'alice');
  bob.close();
  unjoined.close();
});

test('typing ends by itself', async () => {
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((who) => server.connect('/order', token(who))));
  for (const device of [alice, bob]) await device.ask('join-order-chat', 42);
  bob.emit('typing', { orderId: 42, isTyping: true });
  const began = Date.now();
  assert.deepEqual(await alice.next('user-typing'), { orderId: '42', userId: 'bob', name: 'Bob', isTyping: true });
  await sleep(4_000);
  assert.equal((await alice.next('user-typing')).isTyping, false);
  assert.ok(Date.now() - began >= 4_500, `it ended after ${Date.now() - began} ms`);
  alice.close();
  bob.close();
});

test('previous-messages are the last 50, oldest first, after a reconnect and a restart too', async () => {
  const orderId = 'history';
  await order(orderId);
  const bob = await server.connect('/order', token('bob'));
  for (let line = 1; line <= 60; line += 1) await bob.ask('send-message', { orderId, message: `line ${line}` });
  const alice = await server.connect('/order', token('alice'));
  const lines = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => `line ${from + at}`);
  const texts = (page) => page.map(({ message }) => message);
  assert.deepEqual(texts(await alice.ask('join-order-chat', { orderId })), lines(11, 60));
  assert.deepEqual(texts(await alice.next('previous-messages')), lines(11, 60));
  await server.down();
  await server.up();
  await Promise.all([alice.connected(), bob.connected()]);
  await bob.ask('send-message', { orderId, message: 'line 61' });
  alice.emit('join-order-chat', { orderId });
  assert.deepEqual(texts(await alice.next('previous-messages')), lines(12, 61));

  const page = (query) => rest(`/messages/${orderId}${query}`, 'alice');
  assert.deepEqual(texts((await page('')).body.data), lines(12, 61));
  const newest = (await page('?limit=10')).body.data;
  assert.deepEqual(texts(newest), lines(52, 61));
  assert.deepEqual(texts((await page(`?limit=10&before=${newest[0].id}`)).body.data), lines(42, 51));
  assert.deepEqual(texts((await page('?limit=1000')).body.data), lines(1, 61));
  alice.close();
  bob.close();
});

test('unread counts and reading: own messages do not count, joining and fetching read nothing, both devices agree', async () => {
  const orderId = 'reading';
  await order(orderId);
  await order('other');
  const before = (await rest('/unread', 'alice')).body.data.unreadCount;
  const [phone, laptop, bob] = await Promise.all(['alice', 'alice', 'bob'].map((who) => server.connect('/order', token(who))));
  for (const device of [phone, laptop, bob]) await device.ask('join-order-chat', { orderId });
  for (const message of ['one', 'two']) await bob.ask('send-message', { orderId, message });
  await phone.ask('send-message', { orderId, message: 'three' });
  await bob.ask('send-message', { orderId: 'other', message: 'four' });
  const unread = async (who, query = '') => (await rest(`/unread${query}`, who)).body;
  await rest(`/messages/${orderId}`, 'alice');
  assert.deepEqual(await unread('alice', `?orderId=${orderId}`), { status: 'success', data: { unreadCount: 2 } });
  assert.equal((await unread('alice')).data.unreadCount, before + 3);
  assert.equal((await unread('bob', `?orderId=${orderId}`)).data.unreadCount, 1);

  assert.deepEqual((await post(`/read/${orderId}`, 'alice')).body, { status: 'success', data: { updated: 2 } });
  const read = await bob.next('messages-read');
  assert.deepEqual(read, { orderId, userId: 'alice', readAt: read.readAt });
  assertTime(read.readAt);
  await laptop.silent('messages-read');
  assert.deepEqual((await post(`/read/${orderId}`, 'alice')).body.data, { updated: 0 });
  await bob.silent('messages-read');
  assert.equal((await unread('alice')).data.unreadCount, before + 1);
  const page = (await rest(`/messages/${orderId}`, 'bob')).body.data;
  assert.deepEqual(page.map(({ message, isRead }) => [message, isRead]), [['one', true], ['two', true], ['three', false]]);
  for (const device of [phone, laptop, bob]) device.close();
});

test('what is refused is told by the acknowledgement, else by the error event', async () => {
  const stranger = await server.connect('/order', token('carol'));
  for (const [name, payload] of [
    ['join-order-chat', { orderId: '42' }],
    ['join-order-chat', 'nowhere'],
    ['send-message', { orderId: '42', message: 'hi' }],
    ['typing', { orderId: '42', isTyping: true }],
    ['leave-order-chat', '42'],
  ]) {
    assert.deepEqual(await stranger.ask(name, payload), { error: 'no such conversation', code: 'not_found' }, name);
    stranger.emit(name, payload);
    assert.deepEqual(await stranger.next('error'), { message: 'no such conversation', code: 'not_found' }, name);
  }
  const alice = await server.connect('/order', token('alice'));
  for (const [name, payload, code] of [
    ['send-message', { orderId: '42', message: 'hi', senderId: 'bob' }, 'forbidden'],
    ['send-message', { orderId: '42', message: 'hi', sender: { id: 'bob' } }, 'forbidden'],
    ['join-order-chat', { orderId: '42', userId: 'bob' }, 'forbidden'],
    ['send-message', { orderId: '42', message: '  ' }, 'invalid'],
    ['send-message', { orderId: '42', message: 'x'.repeat(4_001) }, 'too_large'],
    ['send-message', { orderId: '42', message: 'hi', clientId: 'x'.repeat(65) }, 'invalid'],
    ['join-order-chat', {}, 'invalid'],
    ['typing', { orderId: '42' }, 'invalid'],
  ]) {
    alice.emit(name, payload);
    assert.equal((await alice.next('error')).code, code, name);
    assert.equal((await alice.ask(name, payload)).code, code, name);
  }
  await alice.silent('error');
  const sent = await alice.ask('send-message', { orderId: '42', message: 'mine', senderId: 'alice', senderName: 'Somebody Else' });
  assert.equal(sent.senderName, 'Alice');
  const nobody = await server.connect('/order', 'no token', { wait: false });
  assert.equal((await nobody.refused()).data.code, 'unauthorized');
  stranger.close();
  alice.close();
});

test('REST refuses in this vocabulary\'s envelope', async () => {
  for (const [method, path, who, status, code] of [
    ['GET', '/messages/42', undefined, 401, 'unauthorized'],
    ['GET', '/messages/42', 'carol', 404, 'not_found'],
    ['GET', '/messages/nowhere', 'carol', 404, 'not_found'],
    ['GET', '/messages/42?limit=x', 'alice', 400, 'invalid'],
    ['GET', '/messages/42?limit=0', 'alice', 400, 'invalid'],
    ['GET', '/messages/42?before=x', 'alice', 400, 'invalid'],
    ['GET', '/messages/42?userId=bob', 'alice', 403, 'forbidden'],
    ['GET', '/unread?orderId=42', 'carol', 404, 'not_found'],
    ['GET', '/unread', undefined, 401, 'unauthorized'],
    ['POST', '/read/42', 'carol', 404, 'not_found'],
    ['POST', '/read/42', undefined, 401, 'unauthorized'],
    ['GET', '/nowhere', 'alice', 404, 'not_found'],
    ['DELETE', '/messages/42', 'alice', 404, 'not_found'],
  ]) {
    const answer = await rest(path, who, { method });
    assert.equal(answer.status, status, path);
    assert.deepEqual(answer.body, { status: 'error', message: answer.body.message, code }, path);
  }
  assert.equal((await rest('/read/42', 'alice', { body: { userId: 'bob' } })).body.code, 'forbidden');
  assert.equal((await rest('/read/42', 'alice', { body: { userId: 'alice' } })).body.status, 'success');
});

test('whoever is removed hears nothing more and cannot come back', async () => {
  const orderId = 'removal';
  await order(orderId);
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((who) => server.connect('/order', token(who))));
  for (const device of [alice, bob]) await device.ask('join-order-chat', { orderId });
  await server.shop('DELETE', `/v1/conversations/${encodeURIComponent(`order:${orderId}`)}/participants/bob`);
  assert.equal((await alice.next('user-left')).userId, 'bob');
  await alice.ask('send-message', { orderId, message: 'now we are alone' });
  await bob.silent('new-message');
  assert.equal((await bob.ask('join-order-chat', { orderId })).code, 'not_found');
  assert.equal((await rest(`/messages/${orderId}`, 'bob')).status, 404);
  alice.close();
  bob.close();
});

test('people who speak other vocabularies hear each other in one conversation', async () => {
  const orderId = 'mixed';
  const { id } = await order(orderId);
  const alice = await server.connect('/order', token('alice'));
  await alice.ask('join-order-chat', { orderId });
  const bob = await server.connect('/group', token('bob'));
  await bob.ask('join_chat', { chatId: id });
  assert.equal((await alice.next('user-joined')).userId, 'bob');
  bob.emit('typing_start', { chatId: id });
  assert.deepEqual(await alice.next('user-typing'), { orderId, userId: 'bob', name: 'Bob', isTyping: true });
  await bob.ask('send_message', { chatId: id, content: 'by group' });
  assert.equal((await alice.next('new-message')).message, 'by group');
  await alice.ask('send-message', { orderId, message: 'by order' });
  assert.equal((await alice.next('new-message')).message, 'by order');
  const heard = await bob.next('receive_message', ({ chatId }) => chatId === id);
  assert.deepEqual([heard.content, heard.sender], ['by order', { id: 'alice', username: 'Alice' }]);
  const native = await server.call(`/v1/conversations/order:${orderId}/messages`, { token: token('bob'), body: { body: 'by REST' } });
  assert.equal(native.status, 201);
  assert.deepEqual((await alice.next('new-message')).message, 'by REST');
  await server.call(`/v1/conversations/order:${orderId}/read`, { token: token('bob'), body: { seq: 3 } });
  assert.equal((await alice.next('messages-read')).userId, 'bob');
  // What is no order's is not told here, nor counted.
  const before = (await rest('/unread', 'alice')).body.data.unreadCount;
  const other = await server.conversation('support:1', ['alice', 'bob']);
  await bob.ask('send_message', { chatId: other.id, content: 'not of an order' });
  await alice.silent('new-message');
  assert.equal((await rest('/unread', 'alice')).body.data.unreadCount, before);
  alice.close();
  bob.close();
});
