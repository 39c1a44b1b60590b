// The item vocabulary, walked as its own to-do list asks for it: an item's buyers and its seller, the queue, the page with the messages in it.
import { after, before, test } from 'node:test';
import { assert, assertTime, cleanUp, Server, sleep, token } from './harness.mjs';

let server;

before(async () => {
  server = await Server.start({ HAGGLE_ROOT_VOCABULARY: 'item' });
  for (const [id, name] of [['sam', 'Sam'], ['alice', 'Alice'], ['bob', 'Bob']]) await server.user(id, { name });
  await item('42', { title: 'A desk lamp' });
});
after(cleanUp);

const item = (id, more = {}) => server.subject('item', id, { owner_id: 'sam', ...more });
const page = (path, who, headers = {}) => server.call(`/chat/${path}`, { token: who && token(who), headers });

for (const [how, options] of [
  ['WebSocket', { transports: ['websocket'] }],
  ['polling', { transports: ['polling'] }],
  ['upgrade', { transports: ['polling', 'websocket'] }],
]) {
  test(`buyer and seller over ${how}, in the root namespace and in its own`, async () => {
    const itemId = `over-${how}`;
    await item(itemId);
    const alice = await server.connect('/', token('alice'), options);
    const sam = await server.connect('/item', undefined, {
      ...options,
      extraHeaders: { Authorization: `Bearer ${token('sam')}` },
    });
    const joined = await alice.ask('join_chat', { itemId });
    assert.deepEqual(joined, { itemId, buyerId: 'alice', conversationId: joined.conversationId });
    assert.ok(Number.isInteger(joined.conversationId));
    assert.deepEqual(await sam.ask('join_chat', { itemId, buyerId: 'alice' }), joined);

    alice.emit('send_message', { itemId, content: 'Is it <b>free</b>?', clientId: 'c1' });
    const heard = await sam.next('receive_message');
    assert.deepEqual(heard, {
      id: heard.id,
      itemId,
      buyerId: 'alice',
      senderId: 'alice',
      senderName: 'Alice',
      receiverId: 'sam',
      receiverName: 'Sam',
      content: 'Is it <b>free</b>?',
      timestamp: heard.timestamp,
    });
    assertTime(heard.timestamp);
    await alice.silent('receive_message');
    assert.deepEqual(await alice.ask('send_message', { itemId, content: 'Is it <b>free</b>?', clientId: 'c1' }), heard);
    await sam.silent('receive_message');

    const answer = await sam.ask('send_message', { itemId, buyerId: 'alice', message: 'It is.' });
    assert.deepEqual([answer.senderId, answer.receiverId, answer.receiverName, answer.buyerId], ['sam', 'alice', 'Alice', 'alice']);
    assert.deepEqual(await alice.next('receive_message'), answer);
    alice.close();
    sam.close();
  });
}

test('buyers of one item never read each other', async () => {
  await item('apart');
  const [alice, bob, sam] = await Promise.all(['alice', 'bob', 'sam'].map((who) => server.connect('/item', token(who))));
  const one = await alice.ask('join_chat', { itemId: 'apart', buyerId: 'alice' });
  const other = await bob.ask('join_chat', { itemId: 'apart' });
  assert.notEqual(one.conversationId, other.conversationId);
  await sam.ask('join_chat', { itemId: 'apart', buyerId: 'alice' });
  await sam.ask('join_chat', { itemId: 'apart', buyerId: 'bob' });
  await alice.ask('send_message', { itemId: 'apart', content: 'from Alice' });
  assert.equal((await sam.next('receive_message')).buyerId, 'alice');
  await sam.ask('send_message', { itemId: 'apart', buyerId: 'bob', content: 'for Bob' });
  assert.equal((await bob.next('receive_message')).content, 'for Bob');
  await bob.silent('receive_message');
  await alice.silent('receive_message');
  for (const name of ['join_chat', 'send_message']) {
    assert.equal((await bob.ask(name, { itemId: 'apart', buyerId: 'alice', content: 'hi' })).code, 'forbidden', name);
  }
  for (const device of [alice, bob, sam]) device.close();
});

test('what is refused is told by the acknowledgement, else by the error event', async () => {
  await item('refused');
  const [sam, alice] = await Promise.all(['sam', 'alice'].map((who) => server.connect('/item', token(who))));
  for (const [who, name, payload, code] of [
    [sam, 'join_chat', { itemId: 'refused' }, 'invalid'],
    [sam, 'send_message', { itemId: 'refused', content: 'hi' }, 'invalid'],
    [sam, 'join_chat', { itemId: 'refused', buyerId: 'never came' }, 'not_found'],
    [sam, 'send_message', { itemId: 'refused', buyerId: 'never came', content: 'hi' }, 'not_found'],
    [alice, 'join_chat', { itemId: 'unknown' }, 'not_found'],
    [alice, 'send_message', { itemId: 'refused', content: 'before joining' }, 'not_found'],
    [alice, 'join_chat', {}, 'invalid'],
    [alice, 'join_chat', { itemId: 'refused', userId: 'sam' }, 'forbidden'],
    [alice, 'send_message', { itemId: '42', content: 'hi', senderId: 'sam' }, 'forbidden'],
    [alice, 'send_message', { itemId: '42', content: ' ' }, 'invalid'],
    [alice, 'send_message', { itemId: '42', content: 'x'.repeat(4_001) }, 'too_large'],
  ]) {
    const refusal = await who.ask(name, payload);
    assert.deepEqual(refusal, { error: refusal.error, code }, `${name} ${JSON.stringify(payload).slice(0, 80)}`);
    who.emit(name, payload);
    assert.deepEqual(await who.next('error'), refusal);
  }
  const nobody = await server.connect('/item', 'no token', { wait: false });
  assert.equal((await nobody.refused()).data.code, 'unauthorized');
  sam.close();
  alice.close();
});

test('an item\'s number is its digits', async () => {
  await item('7');
  const alice = await server.connect('/item', token('alice'));
  assert.equal((await alice.ask('join_chat', { itemId: 7 })).itemId, '7');
  assert.equal((await alice.ask('send_message', { itemId: 7, content: 'hi' })).itemId, '7');
  await server.user('9', {});
  const nine = await server.connect('/item', token('9'));
  assert.equal((await nine.ask('join_chat', { itemId: '7', buyerId: 9 })).buyerId, '9');
  alice.close();
  nine.close();
});

test('what nobody of one\'s devices has heard is told on joining, in order, once, over a restart too', async () => {
  const itemId = 'queue';
  await item(itemId);
  const alice = await server.connect('/item', token('alice'));
  await alice.ask('join_chat', { itemId });
  for (const content of ['one', 'two']) await alice.ask('send_message', { itemId, content });
  await server.down();
  await server.up();
  await alice.connected();
  await alice.ask('send_message', { itemId, content: 'three' });
  const phone = await server.connect('/item', token('sam'));
  await phone.silent('receive_message');
  await phone.ask('join_chat', { itemId, buyerId: 'alice' });
  for (const content of ['one', 'two', 'three']) assert.equal((await phone.next('receive_message')).content, content);
  const laptop = await server.connect('/item', token('sam'));
  await laptop.ask('join_chat', { itemId, buyerId: 'alice' });
  await laptop.silent('receive_message');
  await alice.ask('send_message', { itemId, content: 'four' });
  for (const device of [phone, laptop]) assert.equal((await device.next('receive_message')).content, 'four');
  // One's other device hears what one says; the one that said it has the acknowledgement.
  await laptop.ask('send_message', { itemId, buyerId: 'alice', content: 'from the laptop' });
  assert.equal((await phone.next('receive_message')).content, 'from the laptop');
  await laptop.silent('receive_message');
  // Reconnecting, a device joins anew and hears nothing twice.
  await sleep(1_500);
  phone.close();
  laptop.close();
  await alice.ask('send_message', { itemId, content: 'five' });
  const back = await server.connect('/item', token('sam'));
  await back.ask('join_chat', { itemId, buyerId: 'alice' });
  assert.equal((await back.next('receive_message')).content, 'five');
  await back.silent('receive_message');
  for (const device of [alice, back]) device.close();
});

test('the page has the title, both names and the messages so far, as text', async () => {
  const payload = '<script>alert(1)</script>"\'&<img src=x onerror=alert(1)>';
  await item('page', { title: `Lamp ${payload}` });
  await server.user('eve', { name: `Eve ${payload}` });
  const eve = await server.connect('/item', token('eve'));
  await eve.ask('join_chat', { itemId: 'page' });
  await eve.ask('send_message', { itemId: 'page', content: `Hello ${payload}` });
  const escaped = '&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;&lt;img src=x onerror=alert(1)&gt;';
  for (const [path, who] of [['page', 'eve'], ['page?buyerId=eve', 'sam']]) {
    const { status, headers, body } = await page(path, who);
    assert.equal(status, 200);
    assert.equal(headers.get('content-type'), 'text/html; charset=utf-8');
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.match(headers.get('content-security-policy'), /script-src 'self'/);
    for (const text of [`<h1 id="chat-title">Lamp ${escaped}</h1>`, `Eve ${escaped}`, 'Sam', `>Hello ${escaped}<`]) {
      assert.ok(body.includes(text), `${text} is missing for ${who}`);
    }
    assert.ok(!body.includes('<script>') && !body.includes('<img') && !body.includes('style='), body);
  }
  eve.close();
});

test('the page takes the cookie, and refuses as a page', async () => {
  const { status, body } = await page('42', undefined, { cookie: `haggle_token=${token('alice')}` });
  assert.equal(status, 200);
  assert.match(body, /A desk lamp/);
  assert.equal((await page('42', undefined, { cookie: `haggle_token=${token('alice')}`, origin: 'https://evil.example' })).status, 401);
  for (const [path, who, code, words] of [
    ['42', undefined, 401, 'Please sign in'],
    ['42?buyerId=alice', 'bob', 403, 'not your conversation'],
    ['unknown', 'bob', 404, 'no such conversation'],
    ['42?buyerId=nobody', 'sam', 404, 'no such conversation'],
    ['42?buyerId=', 'sam', 400, 'leads nowhere'],
    ['%00', 'bob', 400, 'leads nowhere'],
  ]) {
    const refused = await page(path, who);
    assert.equal(refused.status, code, path);
    assert.match(refused.headers.get('content-type'), /^text\/html/);
    assert.ok(refused.body.includes(words), path);
  }
  const buyers = await page('42', 'sam');
  assert.equal(buyers.status, 200);
  assert.ok(buyers.body.includes('href="?buyerId=alice"') && buyers.body.includes('Alice'), 'the seller chooses among the buyers');
});

test('the official client is served beside the protocol', async () => {
  for (const name of ['socket.io.js', 'socket.io.min.js', 'socket.io.esm.min.js']) {
    const { status, headers, body } = await server.call(`/socket.io/${name}`);
    assert.equal(status, 200, name);
    assert.match(headers.get('content-type'), /javascript/);
    assert.match(body, /Socket\.IO v4/);
  }
  assert.equal((await server.call('/js/chat.js')).status, 200);
  assert.equal((await server.call('/chat.html?orderId=1&userId=alice')).status, 200);
});

test('people who speak other vocabularies hear each other in one conversation', async () => {
  const itemId = 'mixed';
  await item(itemId);
  const alice = await server.connect('/item', token('alice'));
  const { conversationId } = await alice.ask('join_chat', { itemId });
  const sam = await server.connect('/group', token('sam'));
  await sam.ask('send_message', { chatId: conversationId, content: 'by group' });
  const heard = await alice.next('receive_message');
  assert.deepEqual([heard.content, heard.senderId, heard.receiverId], ['by group', 'sam', 'alice']);
  await alice.ask('send_message', { itemId, content: 'by item' });
  assert.deepEqual((await sam.next('receive_message')).sender, { id: 'alice', username: 'Alice' });
  const sent = await server.call(`/v1/conversations/${conversationId}/messages`, { token: token('sam'), body: { body: 'by REST' } });
  assert.equal(sent.status, 201);
  assert.equal((await alice.next('receive_message')).content, 'by REST');
  const known = await server.call(`/v1/conversations/item:${itemId}:alice`, { token: token('alice') });
  assert.deepEqual([known.body.id, known.body.subject.id], [conversationId, itemId]);
  // Opened by the native vocabulary, where nobody has a part: the item's owner is the seller.
  const opened = await server.call('/v1/conversations', { token: token('bob'), body: { participants: [{ user_id: 'sam' }], subject: { kind: 'item', id: itemId } } });
  const bob = await server.connect('/item', token('bob'));
  assert.deepEqual(await bob.ask('join_chat', { itemId }), { itemId, buyerId: 'bob', conversationId: opened.body.id });
  for (const device of [alice, bob, sam]) device.close();
});
