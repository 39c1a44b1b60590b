// The book vocabulary, walked as its own usage examples do it: a buyer and a seller about a book, two devices each, sockets and REST.
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { assert, assertTime, cleanUp, Server, sleep, token } from './harness.mjs';

const MESSAGE = [
  '_id', 'id', 'conversationId', 'senderId', 'senderName', 'recipientId', 'recipientName',
  'message', 'bookId', 'isRead', 'messageType', 'createdAt', 'updatedAt',
];

let server;
const john = () => token('user1');
const jane = () => token('user2');

before(async () => {
  server = await Server.start({ HAGGLE_ROOT_VOCABULARY: 'book' });
  await server.user('user1', { name: 'John Doe' });
  await server.user('user2', { name: 'Jane Roe' });
});
after(cleanUp);

/** A call under /api/messages that must succeed; answers with its data. */
async function api(path, options = {}, status = 200) {
  const answer = await server.call(`/api/messages${path}`, options);
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.deepEqual(Object.keys(answer.body), ['success', 'data']);
  assert.equal(answer.body.success, true);
  return answer.body.data;
}

/** A call under /api/messages that must be refused, in the vocabulary's envelope. */
async function refused(path, options, status, code) {
  const answer = await server.call(`/api/messages${path}`, options);
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.deepEqual(Object.keys(answer.body).slice(0, 3), ['success', 'error', 'code']);
  assert.equal(answer.body.success, false);
  assert.equal(answer.body.code, code);
  return answer;
}

/** A GET whose path goes out as it is written: `fetch` might encode it. */
async function rawGet(path, token) {
  const asked = request({ host: '127.0.0.1', port: server.port, path, headers: { authorization: `Bearer ${token}` } }).end();
  const [answer] = await once(asked, 'response');
  let text = '';
  for await (const piece of answer) text += piece;
  return { status: answer.statusCode, body: JSON.parse(text) };
}

/** The seed's own example, over one way of carrying it. */
for (const [how, namespace, options] of [
  ['WebSocket', '/', { transports: ['websocket'] }],
  ['polling', '/book', { transports: ['polling'] }],
  ['upgrade', '/book', { transports: ['polling', 'websocket'] }],
]) {
  test(`a chat about a book over ${how} in ${namespace}`, async () => {
    const conversationId = `book-${how}|user1:user2`;
    const socket = await server.connect(namespace, john(), options);
    const other = await server.connect(namespace, jane(), options);
    socket.emit('chat:join', { conversationId });
    assert.deepEqual(await socket.next('chat:joined'), { conversationId });
    // The other one writes the two the other way round: it is the same, under its first spelling.
    assert.deepEqual(await other.ask('chat:join', { conversationId: `book-${how}|user2:user1` }), { conversationId });
    assert.deepEqual(await other.next('chat:joined'), { conversationId });

    const message = 'Hello, is this book available?';
    socket.emit('chat:message', { conversationId, message, senderId: 'user1', senderName: 'Somebody Else' });
    const heard = await socket.next('chat:message');
    assert.deepEqual(Object.keys(heard), MESSAGE);
    assertTime(heard.createdAt);
    assert.deepEqual(heard, {
      _id: String(heard.id),
      id: heard.id,
      conversationId,
      senderId: 'user1',
      senderName: 'John Doe',
      recipientId: 'user2',
      recipientName: 'Jane Roe',
      message,
      bookId: `book-${how}`,
      isRead: false,
      messageType: 'text',
      createdAt: heard.createdAt,
      updatedAt: heard.createdAt,
    });
    assert.deepEqual(await other.next('chat:message'), heard);

    const sent = await other.ask('chat:message', {
      conversationId, message: 'Yes', messageType: 'image', recipientId: 'user1', bookId: `book-${how}`, clientId: 'c1',
    });
    assert.equal(sent.messageType, 'image');
    assert.deepEqual(await socket.next('chat:message'), sent);
    assert.deepEqual(await other.next('chat:message'), sent);
    assert.deepEqual(await other.ask('chat:message', { conversationId, message: 'Yes', clientId: 'c1' }), sent);
    assert.equal((await other.ask('chat:message', { conversationId, message: 'No', clientId: 'c1' })).code, 'invalid');
    await socket.silent('chat:message');
    await socket.silent('notify:new-message');
    await other.silent('notify:new-message');

    socket.emit('chat:typing', { conversationId, userId: 'user1', isTyping: true });
    assert.deepEqual(await other.next('chat:typing'), { conversationId, userId: 'user1', isTyping: true });
    const began = Date.now();
    assert.deepEqual(await other.next('chat:typing'), { conversationId, userId: 'user1', isTyping: false });
    const lasted = Date.now() - began;
    assert.ok(lasted > 800 && lasted < 1_900, `typing lasted ${lasted} ms`);
    await socket.silent('chat:typing');

    socket.emit('chat:leave', { conversationId });
    assert.deepEqual(await socket.next('chat:left'), { conversationId });
    await other.ask('chat:message', { conversationId, message: 'Still there?' });
    const notice = await socket.next('notify:new-message');
    assert.deepEqual(Object.keys(notice), ['conversationId', 'message', 'unreadCount']);
    assert.equal(notice.conversationId, conversationId);
    assert.deepEqual(Object.keys(notice.message), MESSAGE);
    assert.equal(notice.unreadCount, 2);
    await socket.silent('chat:message');
    socket.close();
    other.close();
    await sleep(50);
  });
}

test('whoever has not joined is notified, on every device, with the count of that conversation', async () => {
  const [here, there] = ['counts1|user1:user2', 'counts2|user1:user2'];
  const phone = await server.connect('/book', jane());
  const laptop = await server.connect('/book', jane());
  const [sender, second] = [await server.connect('/book', john()), await server.connect('/book', john())];
  await laptop.ask('chat:join', { conversationId: here });
  await sender.ask('chat:message', { conversationId: here, message: 'one' });
  await sender.ask('chat:message', { conversationId: there, message: 'elsewhere' });
  await sender.ask('chat:message', { conversationId: here, message: 'two' });
  for (const [message, conversationId, unreadCount] of [['one', here, 1], ['elsewhere', there, 1], ['two', here, 2]]) {
    const notice = await phone.next('notify:new-message');
    assert.deepEqual([notice.message.message, notice.conversationId, notice.unreadCount], [message, conversationId, unreadCount]);
  }
  assert.equal((await laptop.next('chat:message')).message, 'one');
  assert.equal((await laptop.next('chat:message')).message, 'two');
  assert.equal((await laptop.next('notify:new-message')).message.message, 'elsewhere');
  // Whoever sends without having joined has the acknowledgement; other devices of theirs hear it in the room alone.
  for (const own of [sender, second]) {
    await own.silent('notify:new-message');
    await own.silent('chat:message');
  }
  // What one writes oneself is never unread, and writing marks nothing read.
  const mine = await phone.ask('chat:message', { conversationId: here, message: 'mine' });
  assert.equal(mine.senderId, 'user2');
  const unread = await api('/unread/user2', { token: jane() });
  assert.equal(unread.conversations[here], 2);
  assert.equal(unread.conversations[there], 1);
  assert.equal(unread.unreadCount, Object.values(unread.conversations).reduce((sum, n) => sum + n, 0));
  for (const socket of [phone, laptop, sender, second]) socket.close();
  await sleep(50);
});

test('messages over REST, broadcast too', async () => {
  const conversationId = 'book123|user1:user2';
  const phone = await server.connect('/book', jane());
  const sent = await api(
    '',
    {
      token: john(),
      body: {
        conversationId, senderId: 'user1', senderName: 'John Doe', recipientId: 'user2', message: 'Hello!', bookId: 'book123', clientId: 'r1',
      },
    },
    201,
  );
  assert.deepEqual(Object.keys(sent), MESSAGE);
  assert.deepEqual((await phone.next('notify:new-message')).message, sent);
  const repeat = { token: john(), body: { conversationId, message: 'Hello!', clientId: 'r1' } };
  assert.deepEqual(await api('', repeat), sent);

  // Raw `|` in the path and `%7C`, and the other spelling; a browser sends the first, `encodeURIComponent` the second.
  const raw = await rawGet(`/api/messages/${conversationId}`, john());
  assert.equal(raw.status, 200);
  assert.deepEqual(raw.body.data.messages, [sent]);
  for (const path of ['book123%7Cuser2%3Auser1', 'book123%7cuser1:user2', 'book123|user2:user1']) {
    assert.deepEqual((await api(`/${path}`, { token: john() })).messages, [sent]);
  }
  // What its sender fetches is not read by that; what its recipient fetches is.
  assert.equal((await api('/unread/user2', { token: jane() })).conversations[conversationId], 1);
  await api(`/${conversationId}`, { token: jane() });
  assert.equal((await api('/unread/user2', { token: jane() })).conversations[conversationId], undefined);
  assert.equal((await api(`/${conversationId}`, { token: john() })).messages[0].isRead, true);

  await phone.ask('chat:join', { conversationId });
  await api('', { token: john(), body: { conversationId, message: 'Ping' } }, 201);
  await api('', { token: john(), body: { conversationId, message: 'Pong' } }, 201);
  assert.equal((await phone.next('chat:message')).message, 'Ping');
  assert.deepEqual(await api('/book123%7Cuser2:user1/read', { token: jane(), method: 'PUT' }), { updated: 2 });
  assert.deepEqual(await api(`/${conversationId}/read`, { token: jane(), method: 'PUT' }), { updated: 0 });
  phone.close();
  await sleep(50);
});

test('pages are numbered from the newest, each oldest first', async () => {
  const conversationId = 'pages|user1:user2';
  for (let n = 1; n <= 7; n += 1) await api('', { token: john(), body: { conversationId, message: `m${n}` } }, 201);
  const page = async (query) => {
    const { messages, pagination } = await api(`/${conversationId}${query}`, { token: jane() });
    return [messages.map((one) => one.message).join(' '), pagination];
  };
  assert.deepEqual(await page('?limit=3'), ['m5 m6 m7', { page: 1, limit: 3, total: 7, hasMore: true }]);
  assert.deepEqual(await page('?page=2&limit=3'), ['m2 m3 m4', { page: 2, limit: 3, total: 7, hasMore: true }]);
  assert.deepEqual(await page('?page=3&limit=3'), ['m1', { page: 3, limit: 3, total: 7, hasMore: false }]);
  assert.deepEqual(await page('?page=4&limit=3'), ['', { page: 4, limit: 3, total: 7, hasMore: false }]);
  assert.deepEqual((await page('?limit=1000'))[1], { page: 1, limit: 200, total: 7, hasMore: false });
  assert.deepEqual((await page(''))[1], { page: 1, limit: 50, total: 7, hasMore: false });
  for (const query of ['?page=0', '?limit=0', '?page=x']) {
    await refused(`/${conversationId}${query}`, { token: jane() }, 400, 'invalid');
  }
});

test('the lists: conversations, unread counts, the latest partner', async () => {
  await server.user('seller', { name: 'Sara' });
  await server.user('buyer', { name: 'Ben' });
  await server.subject('book', 'owned', { title: 'Dune', owner_id: 'seller' });
  const [seller, buyer] = [token('seller'), token('buyer')];
  assert.deepEqual(await api('/conversations/user/buyer', { token: buyer }), []);
  assert.deepEqual(await api('/unread/buyer', { token: buyer }), { unreadCount: 0, conversations: {} });
  await refused('/partner?bookId=owned', { token: buyer }, 404, 'not_found');

  // The owner writes first and sells all the same; of a book that nobody owns whoever did not write first does.
  await api('', { token: seller, body: { conversationId: 'owned|buyer:seller', message: 'Interested?' } }, 201);
  await api('', { token: buyer, body: { conversationId: 'free|buyer:seller', message: 'Is it there?' } }, 201);
  // A conversation that was opened by joining, and in which nobody has written, is not listed.
  const socket = await server.connect('/book', buyer);
  await socket.ask('chat:join', { conversationId: 'owned|buyer:user1' });
  socket.close();

  const list = await api('/conversations/user/buyer', { token: buyer });
  assert.deepEqual(list.map(({ lastMessageAt, ...rest }) => (assertTime(lastMessageAt), rest)), [
    {
      conversationId: 'free|buyer:seller', bookId: 'free', sellerId: 'seller', sellerName: 'Sara', buyerId: 'buyer', buyerName: 'Ben',
      lastMessage: 'Is it there?', isActive: true, unreadCount: { buyer: 0, seller: 1 },
    },
    {
      conversationId: 'owned|buyer:seller', bookId: 'owned', sellerId: 'seller', sellerName: 'Sara', buyerId: 'buyer', buyerName: 'Ben',
      lastMessage: 'Interested?', isActive: true, unreadCount: { buyer: 1, seller: 0 },
    },
  ]);
  assert.deepEqual(await api('/unread/buyer', { token: buyer }), { unreadCount: 1, conversations: { 'owned|buyer:seller': 1 } });
  const partner = await api('/partner?bookId=owned', { token: buyer });
  assert.deepEqual(Object.keys(partner), ['conversationId', 'partnerId', 'partnerName', 'lastMessageAt']);
  assert.deepEqual([partner.conversationId, partner.partnerId, partner.partnerName], ['owned|buyer:seller', 'seller', 'Sara']);
  assert.equal((await api('/partner?bookId=owned', { token: seller })).partnerId, 'buyer');
  await refused('/partner', { token: buyer }, 400, 'invalid');
});

test('user ids may hold what keeps the parts apart, and a book id may be a number', async () => {
  const [a, b] = ['auth0|1:x', 'auth0|2'];
  const conversationId = `77|${a}:${b}`;
  const [one, two] = [await server.connect('/book', token(a)), await server.connect('/book', token(b))];
  assert.deepEqual(await two.ask('chat:join', { conversationId: `77|${b}:${a}` }), { conversationId: `77|${b}:${a}` });
  const sent = await one.ask('chat:message', { conversationId, message: 'hi', bookId: 77, recipientId: b });
  assert.deepEqual([sent.conversationId, sent.bookId, sent.senderId, sent.recipientId], [`77|${b}:${a}`, '77', a, b]);
  assert.deepEqual(await two.next('chat:message'), sent);
  const found = await api(`/${encodeURIComponent(conversationId)}`, { token: token(a) });
  assert.deepEqual(found.messages, [sent]);
  // A book id that holds `|`: whoever wrote it first was understood, and the name stands for that from then on.
  const odd = 'series|3|user1:user2';
  const opened = await api('', { token: john(), body: { conversationId: odd, message: 'Volume 3?' } }, 201);
  assert.deepEqual([opened.bookId, opened.recipientId], ['series|3', 'user2']);
  const answered = await api('', { token: jane(), body: { conversationId: odd, message: 'Yes' } }, 201);
  assert.deepEqual([answered.conversationId, answered.bookId, answered.recipientId], [odd, 'series|3', 'user1']);
  one.close();
  two.close();
});

test('what is refused is told by the acknowledgement, else by the error event', async () => {
  const conversationId = 'book-WebSocket|user1:user2';
  const socket = await server.connect('/book', john());
  const stranger = await server.connect('/book', token('mallory'));
  for (const event of ['chat:join', 'chat:leave', 'chat:message', 'chat:typing']) {
    const payload = { conversationId, message: 'hi', isTyping: true };
    assert.deepEqual(await stranger.ask(event, payload), { error: 'no such conversation', code: 'not_found' });
  }
  const rows = [
    ['chat:join', {}, 'invalid'],
    ['chat:join', 'what?', 'invalid'],
    ['chat:join', { conversationId: 'book123' }, 'invalid'],
    ['chat:join', { conversationId: 'book123|user1:user1' }, 'invalid'],
    ['chat:leave', { conversationId: 'never|user1:user2' }, 'not_found'],
    ['chat:message', { conversationId, message: '   ' }, 'invalid'],
    ['chat:message', { conversationId }, 'invalid'],
    ['chat:message', { conversationId, message: 'x'.repeat(4_001) }, 'too_large'],
    ['chat:message', { conversationId, message: 'hi', clientId: 'c'.repeat(65) }, 'invalid'],
    ['chat:message', { conversationId, message: 'hi', recipientId: 'user3' }, 'invalid'],
    ['chat:message', { conversationId, message: 'hi', bookId: 'another' }, 'invalid'],
    ['chat:message', { conversationId, message: 'hi', senderId: 'user2' }, 'forbidden'],
    ['chat:message', { conversationId, message: 'hi', userId: 'user2' }, 'forbidden'],
    ['chat:typing', { conversationId, userId: 'user2', isTyping: true }, 'forbidden'],
    ['chat:typing', { conversationId }, 'invalid'],
    ['user:online', { userId: 'user2' }, 'forbidden'],
  ];
  for (const [event, payload, code] of rows) {
    assert.equal((await socket.ask(event, payload)).code, code, `${event} ${JSON.stringify(payload)}`);
    await socket.silent('error');
    socket.emit(event, payload);
    const error = await socket.next('error');
    assert.deepEqual(Object.keys(error), ['error', 'code']);
    assert.equal(error.code, code);
  }
  const nobody = await server.connect('/book', 'no token', { wait: false });
  assert.equal((await nobody.refused()).data.code, 'unauthorized');
  const exp = Math.floor(Date.now() / 1000) + 7200;
  assert.deepEqual(await socket.ask('auth', { token: token('user1', { exp }) }), { ok: true, exp });
  assert.equal((await socket.ask('auth', { token: jane() })).code, 'forbidden');
  socket.close();
  stranger.close();
});

test('REST refuses in the vocabulary’s own envelope', async () => {
  const conversationId = 'book-WebSocket|user1:user2';
  await refused('/unread/user1', {}, 401, 'unauthorized');
  await refused('/unread/user1', { token: 'nonsense' }, 401, 'unauthorized');
  await refused('/unread/user2', { token: john() }, 403, 'forbidden');
  await refused('/conversations/user/user2', { token: john() }, 403, 'forbidden');
  // Somebody else's and none at all look alike.
  const mallory = token('mallory');
  const theirs = await refused(`/${conversationId}`, { token: mallory }, 404, 'not_found');
  const none = await refused('/none|user1:user2', { token: mallory }, 404, 'not_found');
  assert.deepEqual(theirs.body, none.body);
  await refused('/never|user1:user2', { token: john() }, 404, 'not_found');
  await refused('/never|user1:user2/read', { token: john(), method: 'PUT' }, 404, 'not_found');
  await refused('/nonsense', { token: john() }, 400, 'invalid');
  await refused('', { token: john(), body: { conversationId, message: 'x', senderId: 'user2' } }, 403, 'forbidden');
  await refused('', { token: john(), body: { conversationId, message: 'x', recipientId: 'user3' } }, 400, 'invalid');
  await refused('', { token: john(), body: { conversationId, message: 'x'.repeat(4_001) } }, 413, 'too_large');
  await refused('', { token: john(), body: [] }, 400, 'invalid');
  await refused('/a/b/c/d', { token: john() }, 404, 'not_found');
  await server.user('banned', { status: 'suspended' });
  await refused('/unread/banned', { token: token('banned') }, 403, 'forbidden');
  const eager = token('eager');
  const flood = Array.from({ length: 300 }, (_, n) => ({ conversationId: 'flood|eager:user1', message: `m${n}` }));
  const answers = await Promise.all(flood.map((body) => server.call('/api/messages', { token: eager, body })));
  const late = answers.find((answer) => answer.status === 429);
  assert.ok(late, 'nobody was asked to wait');
  assert.deepEqual([late.body.code, late.body.success], ['rate_limited', false]);
  assert.equal(late.headers.get('retry-after'), String(late.body.retryAfter));
  await refused('', { token: john(), method: 'DELETE' }, 404, 'not_found');
});

test('the description of the API has every route, and whatever it refers to', async () => {
  const { body } = await server.call('/openapi.json');
  const routes = Object.keys(body.paths).filter((path) => path.startsWith('/api/messages'));
  assert.deepEqual(routes.sort(), [
    '/api/messages',
    '/api/messages/conversations/user/{userId}',
    '/api/messages/partner',
    '/api/messages/unread/{userId}',
    '/api/messages/{conversationId}',
    '/api/messages/{conversationId}/read',
  ]);
  for (const [, name] of JSON.stringify(body).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
    assert.ok(body.components.schemas[name], `${name} is not described`);
  }
});

test('partners see who comes and goes, and who says so', async () => {
  await api('', { token: john(), body: { conversationId: 'status|user1:user2', message: 'hi' } }, 201);
  const watcher = await server.connect('/book', jane());
  const stranger = await server.connect('/book', token('mallory'));
  const about = ({ userId }) => userId === 'user1';
  const status = async (expected) => {
    const said = await watcher.next('user:status', about);
    assert.deepEqual(Object.keys(said), ['userId', 'status', 'lastSeen']);
    assert.equal(said.status, expected);
    if (expected === 'offline') assertTime(said.lastSeen);
  };
  const phone = await server.connect('/book', john());
  await status('online');
  const laptop = await server.connect('/book', john());
  laptop.close();
  await watcher.silent('user:status', about);
  phone.emit('user:offline', {});
  await status('offline');
  phone.emit('user:online', { userId: 'user1' });
  await status('online');
  assert.deepEqual(await phone.ask('user:online'), { ok: true });
  await status('online');
  phone.cut();
  phone.close();
  await status('offline');
  await stranger.silent('user:status', about);
  watcher.close();
  stranger.close();
});

test('messages wait for whoever is away, in order, once, over a restart too', async () => {
  await server.user('away', { name: 'Ann' });
  const conversationId = 'waiting|user1:away';
  const socket = await server.connect('/book', john());
  for (const message of ['one', 'two']) await socket.ask('chat:message', { conversationId, message });
  await server.down();
  await server.up();
  await socket.connected();
  await socket.ask('chat:message', { conversationId, message: 'three' });

  // One that joins at once hears what waited as what waited.
  const phone = await server.connect('/book', token('away'));
  phone.emit('chat:join', { conversationId });
  for (const message of ['one', 'two', 'three']) {
    const notice = await phone.next('notify:new-message');
    assert.deepEqual([notice.message.message, notice.conversationId], [message, conversationId]);
    assert.equal(notice.unreadCount, 3);
  }
  await phone.next('chat:joined');
  await phone.silent('chat:message');
  // The second device comes at once: what the first has heard is no news.
  const laptop = await server.connect('/book', token('away'));
  await laptop.silent('notify:new-message');
  await socket.ask('chat:message', { conversationId, message: 'four' });
  assert.equal((await phone.next('chat:message')).message, 'four');
  assert.equal((await laptop.next('notify:new-message')).unreadCount, 4);
  phone.close();
  laptop.close();
  await sleep(50);
  const back = await server.connect('/book', token('away'));
  await back.silent('notify:new-message');
  back.close();
  socket.close();
});

test('a long queue is told as what waited, though its reader joins meanwhile', async () => {
  const conversationId = 'long|author:reader';
  const author = await server.connect('/book', token('author'));
  const texts = Array.from({ length: 190 }, (_, n) => `m${n}`);
  const sent = await Promise.all(texts.map((message) => author.ask('chat:message', { conversationId, message })));
  assert.deepEqual(sent.map(({ message }) => message), texts);
  const reader = await server.connect('/book', token('reader'));
  await reader.ask('chat:join', { conversationId });
  await author.ask('chat:message', { conversationId, message: 'live' });
  await reader.next('chat:message', ({ message }) => message === 'live');
  const told = reader.heard.filter(({ name }) => name === 'notify:new-message');
  assert.deepEqual(told.map(({ payload }) => payload.message.message), texts);
  await reader.silent('chat:message');
  author.close();
  reader.close();
});

test('a socket that was cut off is back in its rooms and hears what it missed in their words', async () => {
  const conversationId = 'cut|user1:user2';
  const socket = await server.connect('/book', john());
  const other = await server.connect('/book', jane());
  await other.ask('chat:join', { conversationId });
  // A socket can be recovered once it has heard something.
  await socket.ask('chat:message', { conversationId, message: 'hello' });
  assert.equal((await other.next('chat:message')).message, 'hello');
  other.cut();
  const missed = await socket.ask('chat:message', { conversationId, message: 'are you there?' });
  assert.deepEqual(await other.next('chat:message'), missed);
  assert.equal(other.io.recovered, true);
  await other.silent('chat:message');
  await other.silent('notify:new-message', (notice) => notice.conversationId === conversationId);
  const live = await socket.ask('chat:message', { conversationId, message: 'still?' });
  assert.deepEqual(await other.next('chat:message'), live);
  socket.close();
  other.close();
});

test('whoever is removed hears no more, and the other still has what was said', async () => {
  const conversationId = 'removed|user1:user2';
  await api('', { token: john(), body: { conversationId, message: 'hi' } }, 201);
  const other = await server.connect('/book', jane());
  await other.ask('chat:join', { conversationId });
  await other.next('notify:new-message', (notice) => notice.conversationId === conversationId);
  await server.shop('DELETE', `/v1/conversations/${encodeURIComponent(conversationId)}/participants/user2`);
  await api('', { token: john(), body: { conversationId, message: 'alone' } }, 201);
  await other.silent('chat:message');
  await other.silent('notify:new-message');
  assert.equal((await other.ask('chat:message', { conversationId, message: 'no' })).code, 'not_found');
  assert.equal((await other.ask('chat:join', { conversationId: 'removed|user2:user1' })).code, 'not_found');
  await refused(`/${conversationId}`, { token: jane() }, 404, 'not_found');
  const { messages } = await api(`/${conversationId}`, { token: john() });
  assert.deepEqual(messages.map((one) => [one.message, one.recipientId]), [['hi', 'user2'], ['alone', 'user2']]);
  const list = await api('/conversations/user/user1', { token: john() });
  assert.equal(list.find((one) => one.conversationId === conversationId).isActive, false);
  other.close();
});

test('a native client and a group client talk in the same conversation, each in its own words', async () => {
  const conversationId = 'shared|user1:user2';
  const native = `/v1/conversations/${encodeURIComponent(conversationId)}`;
  const book = await server.connect('/book', john());
  await book.ask('chat:join', { conversationId });
  const chatId = (await server.call(native, { token: jane() })).body.id;
  const group = await server.connect('/group', jane());
  await group.ask('join_chat', { chatId });

  const fromBook = await book.ask('chat:message', { conversationId, message: 'from book' });
  const received = await group.next('receive_message', (event) => event.content === 'from book');
  assert.deepEqual([received.id, received.chatId, received.sender.username], [fromBook.id, chatId, 'John Doe']);
  const sent = await server.call(`${native}/messages`, { token: jane(), body: { body: 'from native' } });
  assert.equal(sent.status, 201);
  await book.next('chat:message', (one) => one.message === 'from book');
  const fromNative = await book.next('chat:message');
  assert.deepEqual([fromNative.id, fromNative.message, fromNative.conversationId], [sent.body.id, 'from native', conversationId]);
  assert.deepEqual([fromNative.senderId, fromNative.recipientId, fromNative.bookId], ['user2', 'user1', 'shared']);
  group.emit('send_message', { chatId, content: 'from group' });
  assert.equal((await book.next('chat:message')).message, 'from group');
  group.emit('typing_start', { chatId });
  assert.deepEqual(await book.next('chat:typing'), { conversationId, userId: 'user2', isTyping: true });
  book.emit('chat:typing', { conversationId, isTyping: true });
  assert.deepEqual(await group.next('user_typing'), { chatId, user: { id: 'user1', username: 'John Doe' } });
  const { messages } = (await server.call(`${native}/messages`, { token: jane() })).body;
  assert.deepEqual(messages.map((one) => [one.seq, one.body]), [[1, 'from book'], [2, 'from native'], [3, 'from group']]);
  await server.call(`${native}/read`, { token: jane(), body: { seq: 1 } });
  const page = await api(`/${conversationId}`, { token: john() });
  assert.deepEqual(page.messages.map((one) => one.isRead), [true, false, false]);

  // What is not about a book is no business of this vocabulary.
  const elsewhere = await server.conversation('order:9', ['user1', 'user2']);
  await server.call(`/v1/conversations/${elsewhere.id}/messages`, { token: jane(), body: { body: 'about an order' } });
  await book.silent('notify:new-message');
  const { conversations } = await api('/unread/user1', { token: john() });
  assert.ok(Object.keys(conversations).every((name) => name.includes('|')));
  book.close();
  group.close();
});
