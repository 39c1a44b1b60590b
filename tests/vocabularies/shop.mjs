// The shop vocabulary, walked as its own usage examples do it: customers, sellers and staff, two devices each, REST beside sockets.
import { after, before, test } from 'node:test';
// What socket.io-client itself connects with.
import { WebSocket } from 'ws';
import { assert, assertTime, cleanUp, QUIET_MS, Server, sleep, token } from './harness.mjs';

const PEOPLE = [
  ['alice', 'Alice', 'customer'],
  ['bob', 'Bob', 'seller'],
  ['carol', 'Carol', 'admin'],
  ['dave', 'Dave', 'manager'],
  ['erin', 'Erin', 'customer'],
  ['17', 'Number seventeen', 'seller'],
];

let server;

before(async () => {
  server = await Server.start({});
  for (const [id, name, role] of PEOPLE) await server.user(id, { name, role });
  await server.user('nameless', {});
});
after(cleanUp);

/** What a REST call answers; it must be in the vocabulary's envelope. */
async function rest(who, path, options = {}) {
  const answer = await server.call(`/api/chat${path}`, { token: token(who), ...options });
  assert.equal(answer.body.success, answer.status < 300, JSON.stringify(answer.body));
  return { status: answer.status, headers: answer.headers, ...answer.body };
}

/** The conversation of two people. */
async function open(who, participantId) {
  const answer = await rest(who, '/conversations', { body: { participantId } });
  assert.ok(answer.success, JSON.stringify(answer));
  return answer.data;
}

async function refused(who, path, options, status, code) {
  const answer = await rest(who, path, options);
  assert.deepEqual([answer.status, answer.code], [status, code], JSON.stringify(answer));
  assert.deepEqual(Object.keys(answer), ['status', 'headers', 'success', 'error', 'code']);
}

/** All that somebody has not read. */
const unread = async (who) => (await rest(who, '/unread-count')).data.unreadCount;

/** A conversation that nobody else's test uses. */
let fresh = 0;
async function alone() {
  fresh += 1;
  const [customer, seller] = [`customer-${fresh}`, `seller-${fresh}`];
  await server.user(customer, { name: `C${fresh}`, role: 'customer' });
  await server.user(seller, { name: `S${fresh}`, role: 'seller' });
  const { id } = await open(customer, seller);
  return { customer, seller, id };
}

for (const [how, namespace, options] of [
  ['WebSocket in /', '/', { transports: ['websocket'] }],
  ['polling in /shop', '/shop', { transports: ['polling'] }],
  ['upgrade in /shop', '/shop', { transports: ['polling', 'websocket'] }],
]) {
  test(`the usage example, over ${how}`, async () => {
    const { customer, seller, id } = await alone();
    const conversation = { conversationId: id };
    const phone = await server.connect(namespace, token(customer), options);
    const laptop = await server.connect(namespace, token(customer), options);
    const other = await server.connect(namespace, undefined, {
      ...options,
      extraHeaders: { Authorization: `Bearer ${token(seller)}` },
    });
    const shown = { conversationId: id, userId: customer, displayName: `C${fresh}` };

    phone.emit('chat:join', conversation);
    assert.deepEqual(await phone.next('chat:joined'), conversation);
    assert.deepEqual(await other.next('chat:user_joined'), shown);
    assert.deepEqual(await laptop.ask('chat:join', { conversationId: String(id) }), conversation);
    assert.deepEqual(await laptop.next('chat:joined'), conversation);

    phone.emit('chat:typing', { ...conversation, isTyping: true });
    assert.deepEqual(await other.next('chat:user_typing'), { ...shown, isTyping: true });
    phone.emit('chat:typing', { ...conversation, isTyping: false });
    assert.deepEqual(await other.next('chat:user_typing'), { ...shown, isTyping: false });

    phone.emit('chat:send_message', { ...conversation, message: 'Hello!' });
    const message = await phone.next('chat:new_message');
    assertTime(message.createdAt);
    assert.deepEqual(message, {
      id: message.id,
      conversationId: id,
      senderId: customer,
      senderName: `C${fresh}`,
      senderRole: 'customer',
      message: 'Hello!',
      messageType: 'text',
      isRead: false,
      createdAt: message.createdAt,
    });
    for (const device of [laptop, other]) assert.deepEqual(await device.next('chat:new_message'), message);

    // Nobody joined on the seller's side; they answer, read and fetch all the same.
    const answer = await other.ask('chat:send_message', { ...conversation, message: 'Yes?', messageType: 'image', clientId: 'a' });
    assert.equal(answer.messageType, 'image');
    for (const device of [phone, laptop, other]) assert.deepEqual(await device.next('chat:new_message'), answer);
    other.emit('chat:mark_read', conversation);
    const read = await other.next('chat:messages_read');
    assertTime(read.readAt);
    assert.deepEqual(read, { conversationId: id, userId: seller, readAt: read.readAt, count: 1 });
    for (const device of [phone, laptop]) assert.deepEqual(await device.next('chat:messages_read'), read);

    phone.emit('chat:get_messages', conversation);
    assert.deepEqual(await phone.next('chat:messages'), {
      conversationId: id,
      messages: [{ ...message, isRead: true }, answer],
      hasMore: false,
    });
    phone.emit('chat:get_conversations', {});
    const { conversations } = await phone.next('chat:conversations');
    assertTime(conversations[0].createdAt);
    assert.deepEqual(conversations, [
      {
        id,
        type: 'customer_seller',
        participants: [
          { userId: customer, displayName: `C${fresh}`, role: 'customer', isOnline: true },
          { userId: seller, displayName: `S${fresh}`, role: 'seller', isOnline: true },
        ],
        lastMessage: 'Yes?',
        lastMessageAt: answer.createdAt,
        unreadCount: 1,
        createdAt: conversations[0].createdAt,
      },
    ]);

    phone.emit('chat:leave', conversation);
    await other.silent('chat:user_left');
    laptop.emit('chat:leave', conversation);
    assert.deepEqual(await other.next('chat:user_left'), shown);
    await other.ask('chat:send_message', { ...conversation, message: 'Still there?' });
    for (const device of [phone, laptop]) assert.equal((await device.next('chat:new_message')).message, 'Still there?');
    for (const device of [phone, laptop, other]) await device.silent('chat:error');
    for (const device of [phone, laptop, other]) device.close();
  });
}

test('what one does is told to the others, not to oneself', async () => {
  const { customer, seller, id } = await alone();
  const conversationId = id;
  const devices = [];
  for (const who of [customer, customer, seller]) devices.push(await server.connect('/', token(who)));
  const [phone, laptop, other] = devices;
  await phone.ask('chat:join', { conversationId });
  await phone.ask('chat:typing', { conversationId, isTyping: true });
  assert.equal((await other.next('chat:user_typing')).isTyping, true);
  // A transport that is lost ends both: typing and being there.
  phone.close();
  assert.equal((await other.next('chat:user_typing')).isTyping, false);
  await other.next('chat:user_left');
  await laptop.silent('chat:user_joined');
  await laptop.silent('chat:user_typing');
  await laptop.silent('chat:user_left');
  devices.forEach((device) => device.close());
});

test('typing ends by itself after five seconds', async () => {
  const { customer, seller, id } = await alone();
  const [phone, other] = [await server.connect('/', token(customer)), await server.connect('/', token(seller))];
  phone.emit('chat:typing', { conversationId: id, isTyping: true });
  await other.next('chat:user_typing', ({ isTyping }) => isTyping);
  const began = Date.now();
  await sleep(4_000);
  await other.next('chat:user_typing', ({ isTyping }) => !isTyping);
  const lasted = Date.now() - began;
  assert.ok(lasted > 4_700 && lasted < 5_800, `it lasted ${lasted} ms`);
  [phone, other].forEach((device) => device.close());
});

test('a message sent again is stored and told once', async () => {
  const { customer, seller, id } = await alone();
  const [phone, other] = [await server.connect('/', token(customer)), await server.connect('/', token(seller))];
  const send = { conversationId: id, message: 'once', clientId: 'c1' };
  const first = await phone.ask('chat:send_message', send);
  assert.deepEqual(await phone.ask('chat:send_message', send), first);
  await phone.next('chat:new_message');
  await other.next('chat:new_message');
  await phone.silent('chat:new_message');
  // Whoever asked for no acknowledgement is answered by the event, alone.
  phone.emit('chat:send_message', send);
  assert.deepEqual(await phone.next('chat:new_message'), first);
  await other.silent('chat:new_message');
  assert.equal((await phone.ask('chat:send_message', { ...send, message: 'twice' })).code, 'invalid');
  const again = await rest(customer, `/conversations/${id}/messages`, { body: { message: 'once', clientId: 'c1' } });
  assert.deepEqual([again.status, again.data], [200, first]);
  [phone, other].forEach((device) => device.close());
});

test('what is refused is told by the acknowledgement, else by chat:error', async () => {
  const { customer, seller, id } = await alone();
  const conversationId = id;
  const stranger = await server.connect('/', token('erin'));
  const missing = { error: 'no such conversation', code: 'not_found' };
  for (const [event, more] of [
    ['chat:join', {}],
    ['chat:leave', {}],
    ['chat:send_message', { message: 'hi' }],
    ['chat:typing', { isTyping: true }],
    ['chat:mark_read', {}],
    ['chat:get_messages', {}],
  ]) {
    for (const absent of [conversationId, 999_999_999]) {
      assert.deepEqual(await stranger.ask(event, { conversationId: absent, ...more }), missing, event);
      stranger.emit(event, { conversationId: absent, ...more });
      assert.deepEqual(await stranger.next('chat:error'), { ...missing, event });
    }
    stranger.emit(event, { ...more });
    assert.equal((await stranger.next('chat:error')).code, 'invalid', `${event} without a conversation`);
    stranger.emit(event, { conversationId: 'abc', ...more });
    assert.equal((await stranger.next('chat:error')).code, 'invalid', `${event} with letters for a number`);
  }
  const phone = await server.connect('/', token(customer));
  const other = await server.connect('/', token(seller));
  for (const [payload, code] of [
    [{ message: '  ' }, 'invalid'],
    [{}, 'invalid'],
    [{ message: 'x'.repeat(4001) }, 'too_large'],
    [{ message: 'x', clientId: 'c'.repeat(65) }, 'invalid'],
    [{ message: 'x', senderId: seller }, 'forbidden'],
    [{ message: 'x', userId: seller }, 'forbidden'],
    [{ message: 'x', sender: { id: seller } }, 'forbidden'],
  ]) {
    assert.equal((await phone.ask('chat:send_message', { conversationId, ...payload })).code, code, JSON.stringify(payload));
  }
  assert.equal((await phone.ask('chat:typing', { conversationId, isTyping: true, userId: seller })).code, 'forbidden');
  assert.equal((await phone.ask('chat:get_conversations', { userId: seller })).code, 'forbidden');
  assert.equal((await phone.ask('chat:get_messages', { conversationId, limit: 0 })).code, 'invalid');
  // One's own id may be said, and a name is nobody's business.
  const said = await phone.ask('chat:send_message', { conversationId, message: 'x', senderId: customer, senderName: 'Mallory' });
  assert.equal(said.senderName, `C${fresh}`);
  await other.next('chat:new_message');
  await other.silent('chat:new_message');
  await other.silent('chat:user_typing');
  await phone.silent('chat:error');
  for (const device of [stranger, phone, other]) device.close();
  for (const bad of ['no token', undefined]) {
    const nobody = await server.connect('/', bad, { wait: false });
    assert.equal((await nobody.refused()).data.code, 'unauthorized');
    nobody.close();
  }
});

test('messages wait for whoever is away, in order, once, over a restart too', async () => {
  const { customer, seller, id } = await alone();
  const phone = await server.connect('/', token(customer));
  const say = (message) => phone.ask('chat:send_message', { conversationId: id, message });
  for (const message of ['one', 'two']) await say(message);
  await server.down();
  await server.up();
  await phone.connected();
  await rest(customer, `/conversations/${id}/messages`, { body: { message: 'three' } });
  // What one's other devices said is no news to oneself.
  await phone.next('chat:new_message', ({ message }) => message === 'three');
  phone.forget();

  const first = await server.connect('/shop', token(seller), { transports: ['polling'] });
  for (const message of ['one', 'two', 'three']) assert.equal((await first.next('chat:new_message')).message, message);
  const second = await server.connect('/', token(seller));
  await second.silent('chat:new_message');
  await say('four');
  for (const device of [phone, first, second]) assert.equal((await device.next('chat:new_message')).message, 'four');
  assert.equal(await unread(seller), 4, 'hearing is not reading');
  first.close();
  second.close();
  await sleep(QUIET_MS);
  const back = await server.connect('/', token(seller));
  await back.silent('chat:new_message');
  phone.cut();
  await phone.connected();
  await phone.silent('chat:new_message');
  back.close();
  phone.close();
});

test('whoever is cut off goes on where they stood, with their own words told once', async () => {
  const { customer, seller, id } = await alone();
  const [phone, other] = [await server.connect('/', token(customer)), await server.connect('/', token(seller))];
  for (const message of ['one', 'two']) await phone.ask('chat:send_message', { conversationId: id, message });
  await phone.next('chat:new_message', ({ message }) => message === 'two');
  await sleep(50);
  phone.forget();
  phone.io.io.reconnectionDelay(300);
  phone.cut();
  await other.ask('chat:send_message', { conversationId: id, message: 'three' });
  await rest(customer, `/conversations/${id}/messages`, { body: { message: 'four' } });
  for (const message of ['three', 'four']) assert.equal((await phone.next('chat:new_message')).message, message);
  assert.equal(phone.io.recovered, true);
  await phone.silent('chat:new_message');
  [phone, other].forEach((device) => device.close());
});

test('unread counts, with two devices, own messages, and a message between fetching and marking', async () => {
  const { customer, seller, id } = await alone();
  const third = (await open('carol', customer)).id;
  const [phone, laptop] = [await server.connect('/', token(customer)), await server.connect('/shop', token(customer))];
  const say = (who, conversation, message) => rest(who, `/conversations/${conversation}/messages`, { body: { message } });
  for (const message of ['one', 'two']) await say(seller, id, message);
  await say(customer, id, 'mine');
  await say('carol', third, 'we help');
  assert.equal(await unread(customer), 3);
  assert.equal(await unread(seller), 1);

  // Neither joining nor fetching marks anything read.
  await phone.ask('chat:join', { conversationId: id });
  const page = await phone.ask('chat:get_messages', { conversationId: id });
  assert.deepEqual(page.messages.map(({ isRead }) => isRead), [false, false, false]);
  await rest(customer, `/conversations/${id}/messages`);
  assert.equal(await unread(customer), 3);

  await say(seller, id, 'three');
  const marked = await phone.ask('chat:mark_read', { conversationId: id });
  assert.deepEqual(marked, { updated: 3 });
  const told = await laptop.next('chat:messages_read');
  assert.deepEqual([told.userId, told.count], [customer, 3]);
  assert.deepEqual(await phone.next('chat:messages_read'), told, 'whoever marks hears it too');
  assert.equal(await unread(customer), 1);
  // Again: nothing is left to mark, and whoever asks is answered all the same.
  laptop.emit('chat:mark_read', { conversationId: id });
  assert.equal((await laptop.next('chat:messages_read')).count, 0);
  assert.deepEqual((await rest(customer, `/conversations/${third}/read`, { method: 'POST' })).data, { updated: 1 });
  for (const device of [phone, laptop]) {
    const { count } = await device.next('chat:messages_read', ({ conversationId }) => conversationId === third);
    assert.equal(count, 1);
  }
  assert.equal(await unread(customer), 0);
  const { data } = await rest(customer, '/conversations');
  assert.deepEqual(data.map(({ id: one, unreadCount }) => [one, unreadCount]).sort(), [[id, 0], [third, 0]].sort());
  const seen = (await rest(seller, `/conversations/${id}/messages`)).data.messages;
  assert.deepEqual(seen.map(({ message, isRead }) => [message, isRead]), [
    ['one', true],
    ['two', true],
    ['mine', false],
    ['three', true],
  ]);
  [phone, laptop].forEach((device) => device.close());
});

test('history by page and cursor, on sockets and REST alike', async () => {
  const { customer, seller, id } = await alone();
  const phone = await server.connect('/', token(customer));
  for (let number = 1; number <= 55; number += 1) {
    await phone.ask('chat:send_message', { conversationId: id, message: `m${number}` });
  }
  const texts = ({ messages }) => messages.map(({ message }) => message);
  const span = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => `m${from + at}`);
  const page = await phone.ask('chat:get_messages', { conversationId: id });
  assert.deepEqual([texts(page), page.hasMore], [span(6, 55), true]);
  const before = page.messages[0].id;
  phone.emit('chat:get_messages', { conversationId: id, before, limit: 3 });
  const older = await phone.next('chat:messages', ({ messages }) => messages.length === 3);
  assert.deepEqual([texts(older), older.hasMore, older.conversationId], [span(3, 5), true, id]);
  const last = await phone.ask('chat:get_messages', { conversationId: id, before: String(before), limit: '1000' });
  assert.deepEqual([texts(last), last.hasMore], [span(1, 5), false]);

  const messages = `/conversations/${id}/messages`;
  const first = await rest(seller, messages);
  assert.deepEqual([first.status, Object.keys(first.data), texts(first.data), first.data.hasMore], [200, ['messages', 'hasMore'], span(6, 55), true]);
  const earlier = await rest(seller, `${messages}?limit=2&before=${before}`);
  assert.deepEqual([texts(earlier.data), earlier.data.hasMore], [span(4, 5), true]);
  for (const query of ['limit=0', 'limit=x', 'before=x', 'before=-1']) {
    await refused(seller, `${messages}?${query}`, {}, 400, 'invalid');
  }
  const elsewhere = (await rest('erin', messages)).code;
  assert.equal(elsewhere, 'not_found');
  phone.close();
});

test('conversations are opened once, and their type follows from the roles', async () => {
  for (const [one, other, type] of [
    ['alice', 'bob', 'customer_seller'],
    ['alice', 'carol', 'customer_support'],
    ['dave', 'alice', 'customer_support'],
    ['bob', 'carol', 'seller_support'],
    ['carol', 'dave', 'internal'],
  ]) {
    const opened = await rest(one, '/conversations', { body: { participantId: other } });
    assert.deepEqual([opened.status, opened.data.type], [201, type]);
    assert.deepEqual([opened.data.lastMessage, opened.data.lastMessageAt, opened.data.unreadCount], [null, null, 0]);
    const found = await rest(other, '/conversations', { body: { participantId: one } });
    assert.deepEqual([found.status, found.data.id, found.data.type], [200, opened.data.id, type]);
  }
  assert.equal((await open('alice', 17)).participants[0].userId, '17', 'a number is read as its digits');
  const name = (participantId) => ({ body: { participantId } });
  await refused('alice', '/conversations', name('erin'), 400, 'invalid');
  await refused('bob', '/conversations', name('17'), 400, 'invalid');
  await refused('alice', '/conversations', name('nameless'), 400, 'invalid');
  await refused('nameless', '/conversations', name('carol'), 400, 'invalid');
  await refused('alice', '/conversations', name('alice'), 400, 'invalid');
  await refused('alice', '/conversations', name('never-heard-of'), 404, 'not_found');
  await refused('alice', '/conversations', name('never-heard-of'), 404, 'not_found');
  await refused('alice', '/conversations', { body: {} }, 400, 'invalid');
  await refused('alice', '/conversations', { body: { participantId: 'bob', userId: 'erin' } }, 403, 'forbidden');
  // A token cannot say more of its bearer's role than the shop's backend.
  const asked = await server.call('/api/chat/conversations', { token: token('erin', { role: 'seller' }), body: { participantId: 'alice' } });
  assert.deepEqual([asked.status, asked.body.code], [400, 'invalid']);
});

test('whoever asks for support reaches any of the staff', async () => {
  const asked = await rest('alice', '/conversations', { body: { participantId: 'support' } });
  assert.deepEqual([asked.status, asked.data.type], [201, 'customer_support']);
  assert.deepEqual(asked.data.participants.map(({ userId, role }) => [userId, role]), [
    ['alice', 'customer'],
    ['carol', 'admin'],
    ['dave', 'manager'],
  ]);
  const conversationId = asked.data.id;
  assert.notEqual((await open('alice', 'carol')).id, conversationId, 'what is said to one is not said to all');
  const again = await rest('alice', '/conversations', { body: { type: 'support' } });
  assert.deepEqual([again.status, again.data.id], [200, conversationId]);

  const [alice, carol, dave] = await Promise.all(['alice', 'carol', 'dave'].map((who) => server.connect('/', token(who))));
  const before = { carol: await unread('carol'), dave: await unread('dave') };
  const question = await alice.ask('chat:send_message', { conversationId, message: 'Help!' });
  for (const agent of [carol, dave]) {
    assert.deepEqual(await agent.next('chat:new_message'), question);
    const { conversations } = await agent.ask('chat:get_conversations', {});
    const inbox = conversations.find(({ id }) => id === conversationId);
    assert.deepEqual([inbox.type, inbox.lastMessage, inbox.unreadCount], ['customer_support', 'Help!', 1]);
  }
  await carol.ask('chat:send_message', { conversationId, message: 'How?' });
  for (const device of [alice, carol, dave]) {
    assert.equal((await device.next('chat:new_message', ({ senderId }) => senderId === 'carol')).senderRole, 'admin');
  }
  assert.deepEqual(await carol.ask('chat:mark_read', { conversationId }), { updated: 1 });
  assert.equal((await alice.next('chat:messages_read')).userId, 'carol');
  assert.deepEqual([await unread('carol'), await unread('dave')], [before.carol, before.dave + 2], 'to each their own');

  // Whoever begins to work there is in it when it is asked again, and hears from then on.
  await server.user('frank', { name: 'Frank', role: 'manager' });
  const frank = await server.connect('/', token('frank'));
  assert.equal((await rest('alice', '/conversations', { body: { participantId: 'support' } })).data.participants.length, 4);
  await alice.ask('chat:send_message', { conversationId, message: 'Anybody new?' });
  assert.equal((await frank.next('chat:new_message')).message, 'Anybody new?');
  assert.equal((await rest('frank', `/conversations/${conversationId}/messages`)).data.messages.length, 3);
  assert.equal(await unread('frank'), 1);

  const sold = await rest('bob', '/conversations', { body: { participantId: 'support' } });
  assert.deepEqual([sold.status, sold.data.type], [201, 'seller_support']);
  await refused('carol', '/conversations', { body: { participantId: 'support' } }, 400, 'invalid');
  await refused('nameless', '/conversations', { body: { type: 'support' } }, 400, 'invalid');
  await refused('erin', `/conversations/${conversationId}/messages`, {}, 404, 'not_found');
  for (const device of [alice, carol, dave, frank]) device.close();
});

test('the routes answer in their envelope, also what is refused before they begin', async () => {
  const { customer, seller, id } = await alone();
  const path = `/conversations/${id}/messages`;
  const sent = await rest(customer, path, { body: { message: ' hi ', messageType: 'image', clientId: 'r1' } });
  assert.deepEqual([sent.status, sent.data.message, sent.data.messageType, sent.data.senderRole], [201, ' hi ', 'image', 'customer']);
  for (const body of [{}, { message: '' }, { message: 5 }, { message: 'x', clientId: 'c'.repeat(65) }]) {
    await refused(customer, path, { body }, 400, 'invalid');
  }
  await refused(customer, path, { body: { message: 'x'.repeat(4001) } }, 413, 'too_large');
  await refused(customer, path, { body: { message: 'x', senderId: seller } }, 403, 'forbidden');
  await refused(customer, `/conversations/${id}/read`, { body: { userId: seller } }, 403, 'forbidden');
  for (const method of ['GET', 'POST']) {
    await refused('erin', path, { method, body: method === 'POST' ? { message: 'x' } : undefined }, 404, 'not_found');
    await refused('erin', '/conversations/999999999/messages', { method, body: method === 'POST' ? { message: 'x' } : undefined }, 404, 'not_found');
    await refused('erin', '/conversations/x/messages', { method, body: method === 'POST' ? { message: 'x' } : undefined }, 400, 'invalid');
  }
  await refused('erin', `/conversations/${id}/read`, { method: 'POST' }, 404, 'not_found');
  await refused('erin', '/nothing/here', {}, 404, 'not_found');
  for (const [route, options] of [
    ['/conversations', {}],
    ['/unread-count', {}],
    [path, { body: { message: 'x' } }],
    [`/conversations/${id}/read`, { method: 'POST' }],
    ['/users/alice/status', {}],
  ]) {
    const { status, body } = await server.call(`/api/chat${route}`, options);
    assert.deepEqual([status, body.success, body.code], [401, false, 'unauthorized'], route);
  }
  const text = await server.call(`/api/chat${path}`, { token: token(customer), method: 'POST', headers: { 'content-type': 'text/plain' } });
  assert.deepEqual([text.status, text.body.success, text.body.code], [400, false, 'invalid']);
});

test('who is there is told to those one talks to', async () => {
  const { customer, seller } = await alone();
  const status = async (who, whom) => (await rest(who, `/users/${whom}/status`)).data;
  assert.deepEqual(await status(customer, seller), { userId: seller, isOnline: false, lastSeen: null });
  const other = await server.connect('/', token(seller));
  assert.equal((await status(customer, seller)).isOnline, true);
  other.close();
  await sleep(QUIET_MS);
  const gone = await status(customer, seller);
  assert.equal(gone.isOnline, false);
  assertTime(gone.lastSeen);
  await refused('erin', `/users/${seller}/status`, {}, 404, 'not_found');
  await refused('erin', '/users/never-heard-of/status', {}, 404, 'not_found');
});

test('who is removed hears nothing more, and who is suspended is out', async () => {
  for (const id of ['left', 'stays']) await server.user(id, { role: 'customer' });
  const { id } = await server.conversation('shop:removal', ['bob', 'left', 'stays']);
  const [left, bob] = [await server.connect('/', token('left')), await server.connect('/', token('bob'))];
  const listed = (await left.ask('chat:get_conversations', {})).conversations[0];
  assert.deepEqual([listed.id, listed.type], [id, 'group'], 'of more than two it is what the shop called it');
  await left.ask('chat:join', { conversationId: id });
  await server.shop('DELETE', '/v1/conversations/shop:removal/participants/left');
  left.forget();
  await bob.ask('chat:send_message', { conversationId: id, message: 'gone' });
  await bob.ask('chat:mark_read', { conversationId: id });
  await bob.ask('chat:typing', { conversationId: id, isTyping: true });
  await sleep(QUIET_MS);
  assert.deepEqual(left.heard, []);
  assert.equal((await left.ask('chat:send_message', { conversationId: id, message: 'x' })).code, 'not_found');
  left.forget();
  await server.user('left', { status: 'suspended' });
  assert.deepEqual([(await left.next('chat:error')).code, left.io.connected], ['forbidden', false]);
  await refused('left', '/unread-count', {}, 403, 'forbidden');
  bob.close();
});

test('a fresh token keeps the socket, another user\'s does not', async () => {
  const phone = await server.connect('/', token('alice'));
  const exp = Math.floor(Date.now() / 1000) + 7200;
  assert.deepEqual(await phone.ask('auth', { token: token('alice', { exp }) }), { ok: true, exp });
  assert.equal((await phone.ask('auth', { token: token('bob') })).code, 'forbidden');
  phone.emit('auth', { token: token('bob') });
  assert.equal((await phone.next('chat:error', ({ event }) => event === 'auth')).code, 'forbidden');
  phone.close();
  const brief = await server.connect('/', token('alice', { exp: Math.floor(Date.now() / 1000) + 2 }));
  assert.deepEqual(await brief.next('chat:error'), { error: 'the token has expired', code: 'unauthorized', event: 'connection' });
});

test('people on the native vocabulary and on another one hear each other, each in their own words', async () => {
  const { id } = await server.conversation('order:mixed', ['alice', 'bob', 'carol']);
  const shop = await server.connect('/', token('alice'));
  const group = await server.connect('/group', token('bob'));
  const native = await nativeClient(token('carol'));
  await native.ask({ type: 'join', conversation: id });

  const sent = await shop.ask('chat:send_message', { conversationId: id, message: 'from the shop' });
  assert.equal((await group.next('receive_message')).content, 'from the shop');
  const heard = await native.next('message');
  assert.deepEqual([heard.message.id, heard.message.body, heard.message.sender], [sent.id, 'from the shop', { id: 'alice', name: 'Alice' }]);

  await group.ask('send_message', { chatId: id, content: 'from the group' });
  const other = await shop.next('chat:new_message', ({ senderId }) => senderId === 'bob');
  assert.deepEqual([other.message, other.senderRole, other.conversationId], ['from the group', 'seller', id]);
  await native.ask({ type: 'typing', conversation: id, on: true });
  assert.deepEqual(await shop.next('chat:user_typing'), { conversationId: id, userId: 'carol', displayName: 'Carol', isTyping: true });
  const { message } = await native.ask({ type: 'send', conversation: id, body: 'from the native' });
  assert.equal((await shop.next('chat:new_message', ({ senderId }) => senderId === 'carol')).id, message.id);
  await native.ask({ type: 'read', conversation: id, seq: message.seq });
  assert.deepEqual([(await shop.next('chat:messages_read')).userId], ['carol']);
  shop.emit('chat:mark_read', { conversationId: id });
  assert.deepEqual(await native.next('read'), { type: 'read', conversation: id, user_id: 'alice', seq: message.seq });
  native.close();
  shop.close();
  group.close();
});

/** A plain WebSocket that speaks the native vocabulary. */
async function nativeClient(bearer) {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, ['haggle.v1', `bearer.${bearer}`]);
  const heard = [];
  let look = () => {};
  socket.addEventListener('message', ({ data }) => {
    heard.push(JSON.parse(data));
    look();
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', reject);
  });
  const find = async (matches) => {
    const deadline = Date.now() + 5_000;
    for (;;) {
      const at = heard.findIndex(matches);
      if (at >= 0) return heard.splice(at, 1)[0];
      assert.ok(Date.now() < deadline, `it did not come; heard: ${JSON.stringify(heard)}`);
      await Promise.race([new Promise((resolve) => (look = resolve)), sleep(100)]);
    }
  };
  let requests = 0;
  return {
    next: (type) => find((frame) => frame.type === type),
    async ask(frame) {
      const id = (requests += 1);
      socket.send(JSON.stringify({ id, ...frame }));
      const answer = await find((one) => one.id === id);
      assert.ok(answer.ok, JSON.stringify(answer));
      return answer;
    },
    close: () => socket.close(),
  };
}
