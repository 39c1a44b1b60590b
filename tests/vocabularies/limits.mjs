// Rate limits as clients of Socket.IO meet them: acknowledgements, error events, connect_error, refused handshakes.
import { after, before, test } from 'node:test';
import { assert, cleanUp, Server, sleep, token } from './harness.mjs';

const BURST = 4;
const OFFICE = '203.0.113.1';

let server;
let chatId;

before(async () => {
  const limits = ['MESSAGES', 'JOINS', 'TYPING', 'CONNECTS'].flatMap((what) => [
    [`HAGGLE_${what}_BURST`, String(BURST)],
    [`HAGGLE_${what}_PER_SECOND`, '1'],
  ]);
  server = await Server.start({ HAGGLE_ROOT_VOCABULARY: 'group', ...Object.fromEntries(limits), HAGGLE_ADDRESS_FACTOR: '5' });
  chatId = (await server.conversation('group:1', ['alice', 'bob', 'carol', 'dave'])).id;
});
after(cleanUp);

/** A refusal in the form of all vocabularies. */
function assertLimited(refused) {
  assert.deepEqual(Object.keys(refused), ['error', 'code', 'retryAfter']);
  assert.equal(refused.code, 'rate_limited');
  assert.ok(Number.isInteger(refused.retryAfter) && refused.retryAfter >= 1, JSON.stringify(refused));
}

/** All of the burst passed, and no more than became free meanwhile. */
function assertBurst(passed, began, burst = BURST) {
  const free = Math.floor((Date.now() - began) / 1000) + 1;
  assert.ok(passed >= burst && passed <= burst + free, `${passed} passed`);
}

for (const [user, event, fields] of [
  ['alice', 'send_message', { content: 'hello' }],
  ['bob', 'join_chat', {}],
  ['carol', 'typing_start', {}],
]) {
  test(`${event} beyond the burst is refused, with the time to wait, and to nobody else`, async () => {
    const socket = await server.connect('/group', token(user));
    const other = await server.connect('/group', token('dave'));
    const began = Date.now();
    let passed = 0;
    let refused;
    while (!refused) {
      const answer = await socket.ask(event, { chatId, ...fields });
      if (answer.code) refused = answer;
      else passed += 1;
    }
    assertLimited(refused);
    assertBurst(passed, began);
    await socket.silent('error');
    // Without an acknowledgement the vocabulary's error event says it, of all that is refused.
    for (let n = 0; n < 3; n += 1) socket.emit(event, { chatId, ...fields });
    assertLimited(await socket.next('error'));
    assert.equal((await other.ask(event, { chatId, ...fields })).code, undefined);
    await sleep(refused.retryAfter * 1000 + 50);
    assert.equal((await socket.ask(event, { chatId, ...fields })).code, undefined);
    if (event === 'send_message') {
      const history = await server.call(`/v1/conversations/${chatId}/messages?limit=200`, { token: token('dave') });
      const mine = history.body.messages.filter((message) => message.sender.id === user).length;
      assertBurst(mine, began);
    }
    socket.close();
    other.close();
  });
}

for (const [namespace, user, event, failed, keys, call, open] of [
  [
    '/shop', 'henry', 'chat:send_message', 'chat:error', ['error', 'code', 'retryAfter', 'event'],
    ({ conversationId, message }) => [`/api/chat/conversations/${conversationId}/messages`, { message }],
    async () => {
      await server.user('henry', { role: 'customer' });
      await server.user('irene', { role: 'seller' });
      return { conversationId: (await server.conversation('shop:1', ['henry', 'irene'])).id, message: 'hello' };
    },
  ],
  [
    '/book', 'john', 'chat:message', 'error', ['error', 'code', 'retryAfter'],
    (said) => ['/api/messages', said],
    async () => ({ conversationId: 'b1|john:jane', message: 'hello' }),
  ],
  [
    '/order', 'kate', 'send-message', 'error', ['message', 'code', 'retryAfter'],
    null,
    async () => {
      await server.conversation('order:77', ['kate', 'jane']);
      return { orderId: '77', message: 'hello' };
    },
  ],
]) {
  test(`${namespace} says it in its own words, on the socket and by REST`, async () => {
    const said = await open();
    const socket = await server.connect(namespace, token(user));
    for (let n = 0; n < 3 * BURST; n += 1) socket.emit(event, said);
    const refused = await socket.next(failed);
    assert.deepEqual(Object.keys(refused), keys);
    assert.deepEqual([refused.code, refused.event ?? event], ['rate_limited', event]);
    socket.close();
    // Not all of them send by REST.
    if (!call) return;
    let answer;
    do {
      const [path, body] = call(said);
      answer = await server.call(path, { token: token(user), body });
    } while (answer.status === 201);
    assert.equal(answer.status, 429);
    assert.deepEqual(Object.keys(answer.body), ['success', 'error', 'code', 'retryAfter']);
    assert.deepEqual([answer.body.success, answer.body.code], [false, 'rate_limited']);
    assert.equal(answer.headers.get('retry-after'), String(answer.body.retryAfter));
  });
}

test('a user who connects too often hears why and when to come back; others come in', async () => {
  const began = Date.now();
  const sockets = [];
  let refused;
  while (!refused) {
    const socket = await server.connect(sockets.length % 2 ? '/shop' : '/group', token('erin'), { wait: false });
    await socket.connected().then(
      () => sockets.push(socket),
      (error) => (refused = { socket, error }),
    );
  }
  assertBurst(sockets.length, began);
  const { socket, error } = refused;
  assert.match(error.message, /too many requests/);
  assert.deepEqual(Object.keys(error.data), ['code', 'retryAfter']);
  assert.equal(error.data.code, 'rate_limited');
  assert.ok(Number.isInteger(error.data.retryAfter) && error.data.retryAfter >= 1);
  await server.connect('/group', token('frank'));
  for (const one of sockets) assert.ok(one.io.connected, 'whoever is in stays');
  await sleep(error.data.retryAfter * 1000 + 50);
  socket.io.connect();
  await socket.connected();
});

test('an address that opens too many transports is refused the handshake, and its clients come back by themselves', async () => {
  const open = (address) =>
    fetch(`${server.url}/socket.io/?EIO=4&transport=polling`, { headers: { 'x-forwarded-for': address } });
  const began = Date.now();
  let passed = 0;
  let answer = await open(OFFICE);
  while (answer.status === 200) {
    passed += 1;
    answer = await open(OFFICE);
  }
  assertBurst(passed / 5, began);
  assert.equal(answer.status, 403);
  const said = await answer.json();
  assert.equal(said.code, 4);
  assert.match(said.message, /too many requests/);
  assert.equal((await open('203.0.113.2')).status, 200);
  const inTheOffice = await server.connect('/group', token('grace'), {
    wait: false,
    extraHeaders: { 'X-Forwarded-For': OFFICE },
  });
  await new Promise((resolve) => inTheOffice.io.once('connect', resolve));
});

test('with limits off nobody is refused', async () => {
  const free = await Server.start({
    HAGGLE_RATE_LIMITS: 'off',
    ...Object.fromEntries(['MESSAGES', 'JOINS', 'TYPING', 'CONNECTS'].map((what) => [`HAGGLE_${what}_BURST`, '1'])),
    HAGGLE_ADDRESS_FACTOR: '1',
  });
  for (let n = 0; n < 20; n += 1) {
    const socket = await free.connect('/group', token('alice'));
    for (const [event, fields] of [['join_chat', {}], ['typing_start', {}], ['send_message', { content: 'x' }]]) {
      assert.equal((await socket.ask(event, { chatId, ...fields })).code, undefined);
    }
  }
});

test('a reader that takes nothing is cut off, and counted', async () => {
  const patient = await Server.start({ HAGGLE_RATE_LIMITS: 'off', HAGGLE_SLOW_READER_SECONDS: '2' });
  const { id } = await patient.conversation('group:slow', ['slow', 'quick']);
  const slow = await patient.connect('/group', token('slow'), { reconnection: false });
  const quick = await patient.connect('/group', token('quick'));
  slow.io.io.engine.transport.ws._socket.pause();
  const counted = async () => {
    const { body } = await patient.call('/metrics');
    return Number(/^haggle_slow_readers_total (\d+)/m.exec(body)?.[1] ?? 0);
  };
  const content = 'x'.repeat(4_000);
  const due = Date.now() + 30_000;
  while ((await counted()) === 0 && Date.now() < due) {
    await Promise.all(Array.from({ length: 50 }, () => quick.ask('send_message', { chatId: id, content })));
  }
  assert.equal(await counted(), 1);
  assert.equal(quick.io.connected, true);
});
