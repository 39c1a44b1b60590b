// Connection state recovery: unmodified clients that are cut off find everything as it was, and exactly what they missed.
import { after, before, test } from 'node:test';
import { assert, cleanUp, Server, sleep, token } from './harness.mjs';

let server;

before(async () => {
  server = await Server.start({ HAGGLE_ROOT_VOCABULARY: 'group', HAGGLE_RATE_LIMITS: 'off' });
});
after(cleanUp);

let rooms = 0;
const room = async (...people) => (await server.conversation(`group:${(rooms += 1)}`, people)).id;

/** Everything that a client heard of these names, in order, since it was last asked. */
const told = (client, name) => client.heard.filter((event) => event.name === name).map((event) => event.payload.content);

/** Waits until a client is connected again. */
async function back(client) {
  for (let waited = 0; !client.io.connected; waited += 20) {
    assert.ok(waited < 10_000, 'it did not come back');
    await sleep(20);
  }
}

/** A person who talks, and a person who listens and will be cut off. */
async function pair(name, options) {
  const chatId = await room(`${name}-talks`, `${name}-hears`);
  const talks = await server.connect('/group', token(`${name}-talks`));
  const hears = await server.connect('/group', token(`${name}-hears`), options);
  const say = async (...texts) => {
    for (const content of texts) await talks.ask('send_message', { chatId, content });
  };
  await say('before');
  await hears.next('receive_message');
  return { chatId, talks, hears, say };
}

for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
  test(`what was missed is told once and in order, over ${transports.join(' and ')}`, async () => {
    const { chatId, hears, say, talks } = await pair(transports.join('-'), { transports });
    await hears.ask('join_chat', { chatId });
    await sleep(50);
    const id = hears.io.id;
    for (let round = 0; round < 3; round += 1) {
      hears.forget();
      hears.io.io.reconnectionDelay(300);
      hears.cut();
      await say(`${round}a`, `${round}b`, `${round}c`);
      await back(hears);
      await say(`${round}d`);
      await hears.next('receive_message', (message) => message.content === `${round}d`);
      assert.equal(hears.io.recovered, true);
      assert.equal(hears.io.id, id, 'it keeps its id');
      assert.deepEqual(told(hears, 'receive_message'), [`${round}a`, `${round}b`, `${round}c`]);
    }
    // It is in the room still: typing is told to those who joined.
    await sleep(50);
    talks.emit('typing_start', { chatId });
    await hears.next('user_typing');
    talks.close();
    hears.close();
  });
}

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`a server that ends by ${signal} is forgotten by nobody`, async () => {
    const { chatId, hears, talks, say } = await pair(signal);
    await hears.ask('join_chat', { chatId });
    await say('seen');
    await hears.next('receive_message');
    await sleep(100);
    hears.forget();
    hears.io.io.reconnectionDelay(1_500);
    hears.io.io.reconnectionDelayMax(1_500);
    await server.down(signal);
    await server.up();
    await talks.connected();
    await say('missed 1', 'missed 2');
    await back(hears);
    await say('live');
    await hears.next('receive_message', (message) => message.content === 'live');
    assert.equal(hears.io.recovered, true);
    assert.deepEqual(told(hears, 'receive_message'), ['missed 1', 'missed 2']);
    await sleep(50);
    talks.emit('typing_start', { chatId });
    await hears.next('user_typing');
    // The queue does not repeat what recovery told.
    const other = await server.connect('/group', token(`${signal}-hears`));
    await other.silent('receive_message');
    for (const client of [talks, hears, other]) client.close();
  });
}

test('a client that answers from its own words does not hear them again, and another device does', async () => {
  const { chatId, hears, talks, say } = await pair('own');
  await hears.ask('send_message', { chatId, content: 'mine' });
  const laptop = await server.connect('/group', token('own-hears'));
  hears.forget();
  hears.io.io.reconnectionDelay(300);
  hears.cut();
  await laptop.ask('send_message', { chatId, content: 'from my laptop' });
  await say('theirs');
  await back(hears);
  await hears.next('receive_message', (message) => message.content === 'theirs');
  assert.equal(hears.io.recovered, true);
  assert.deepEqual(told(hears, 'receive_message'), ['from my laptop']);
  for (const client of [talks, hears, laptop]) client.close();
});

test('after a kill too, one hears what one said on another device meanwhile', async () => {
  const { chatId, hears, talks, say } = await pair('killed');
  const laptop = await server.connect('/group', token('killed-hears'));
  await hears.ask('send_message', { chatId, content: 'mine, before' });
  await laptop.next('receive_message', (message) => message.content === 'mine, before');
  await sleep(100);
  hears.forget();
  hears.io.io.reconnectionDelay(2_000);
  hears.io.io.reconnectionDelayMax(2_000);
  await server.down('SIGKILL');
  await server.up();
  await back(laptop);
  await back(talks);
  await laptop.ask('send_message', { chatId, content: 'from my laptop, after' });
  await say('theirs');
  await back(hears);
  await hears.next('receive_message', (message) => message.content === 'theirs');
  assert.equal(hears.io.recovered, true);
  assert.deepEqual(told(hears, 'receive_message'), ['from my laptop, after']);
  for (const client of [talks, hears, laptop]) client.close();
});

test('in many conversations at once, with long offsets', async () => {
  const ids = [];
  for (let one = 0; one < 40; one += 1) ids.push(await room('many-talks', 'many-hears'));
  const talks = await server.connect('/group', token('many-talks'));
  const hears = await server.connect('/group', token('many-hears'));
  let count = 0;
  const everywhere = async (content) => {
    await Promise.all(ids.map((chatId) => talks.ask('send_message', { chatId, content })));
    count += ids.length;
  };
  for (let round = 0; round < 3; round += 1) await everywhere(`seen ${round}`);
  while (hears.heard.length < count) await sleep(20);
  hears.forget();
  hears.io.io.reconnectionDelay(300);
  hears.cut();
  await everywhere('missed');
  await back(hears);
  await everywhere('live');
  while (hears.heard.length < 2 * ids.length) await sleep(20);
  await sleep(200);
  assert.equal(hears.io.recovered, true);
  assert.equal(told(hears, 'receive_message').length, 2 * ids.length);
  for (const chatId of ids) {
    const heard = hears.heard.filter((event) => event.payload.chatId === chatId).map((event) => event.payload.content);
    assert.deepEqual(heard, ['missed', 'live']);
  }
  talks.close();
  hears.close();
});

test('a purposeful goodbye, another user and a removal end it', async () => {
  const { chatId, hears, talks, say } = await pair('ends');
  const pid = hears.io._pid;
  const offset = hears.io._lastOffset;
  assert.ok(pid && offset, 'the client holds what it recovers by');
  const thief = await server.connect('/group', token('ends-thief'), { wait: false, autoConnect: false });
  Object.assign(thief.io, { _pid: pid, _lastOffset: offset });
  thief.io.connect();
  await thief.connected();
  assert.ok(!thief.io.recovered);
  assert.equal(hears.io.connected, true, 'nobody loses a connection to somebody else');

  hears.close();
  await sleep(100);
  await say('while away');
  hears.io.connect();
  await back(hears);
  assert.ok(!hears.io.recovered);
  assert.equal((await hears.next('receive_message')).content, 'while away');

  hears.forget();
  hears.io.io.reconnectionDelay(300);
  hears.cut();
  await say('not for you');
  const key = `group:${rooms}`;
  await server.shop('DELETE', `/v1/conversations/${encodeURIComponent(key)}/participants/ends-hears`);
  await back(hears);
  await hears.silent('receive_message');
  assert.equal((await hears.ask('join_chat', { chatId })).code, 'not_found');
  for (const client of [talks, hears, thief]) client.close();
});

test('two connections cannot both go on with one', async () => {
  const { hears, say, talks } = await pair('twice');
  const [pid, offset] = [hears.io._pid, hears.io._lastOffset];
  hears.io.io.reconnection(false);
  hears.cut();
  await say('missed');
  const asBefore = async () => {
    const client = await server.connect('/group', token('twice-hears'), { wait: false, autoConnect: false });
    Object.assign(client.io, { _pid: pid, _lastOffset: offset });
    client.io.connect();
    await client.connected();
    return client;
  };
  const both = await Promise.all([asBefore(), asBefore()]);
  // Whoever comes second is a new one, or, where the first had gone on already, goes on in its place.
  const going = () => both.filter(({ io }) => io.recovered && io.connected).length;
  for (const by = Date.now() + 5_000; going() !== 1 && Date.now() < by; ) await sleep(10);
  assert.equal(going(), 1);
  for (const client of [talks, ...both]) client.close();
});

/** Two people on one order in rooms that have to be joined; `hears` has joined and will be cut off for a while. */
async function joined(name, orders = [name]) {
  for (const order of orders) await server.conversation(`order:${order}`, [`${name}-talks`, `${name}-hears`]);
  const talks = await server.connect('/order', token(`${name}-talks`));
  const hears = await server.connect('/order', token(`${name}-hears`), { reconnectionDelay: 500 });
  const say = (orderId, message) => talks.ask('send-message', { orderId, message });
  for (const order of orders) {
    hears.emit('join-order-chat', order);
    await hears.next('previous-messages');
    await say(order, 'before');
    await hears.next('new-message');
  }
  const missed = () => hears.heard.filter(({ name }) => name === 'new-message').map(({ payload }) => payload.message);
  return { talks, hears, say, missed };
}

test('a room that was left and joined again goes on from there', async () => {
  const { hears, missed, say, talks } = await joined('again');
  await hears.ask('leave-order-chat', 'again');
  await say('again', 'said while out');
  hears.emit('join-order-chat', 'again');
  assert.equal((await hears.next('previous-messages')).length, 2);
  hears.cut();
  await say('again', 'missed');
  await back(hears);
  await hears.next('new-message', ({ message }) => message === 'missed');
  assert.equal(hears.io.recovered, true);
  assert.deepEqual(missed(), []);
  for (const client of [talks, hears]) client.close();
});

test('a suspension meanwhile ends it, also when it is over', async () => {
  const { hears, say, talks } = await joined('suspended');
  hears.cut();
  await sleep(100);
  await server.user('suspended-hears', { status: 'suspended' });
  await server.user('suspended-hears', { status: 'active' });
  await back(hears);
  assert.ok(!hears.io.recovered);
  await say('suspended', 'not joined any more');
  await hears.silent('new-message');
  for (const client of [talks, hears]) client.close();
});

test('a room that one was removed from meanwhile does not come back with a new place in it', async () => {
  const { hears, missed, say, talks } = await joined('removed', ['removed-1', 'removed-2']);
  hears.cut();
  await sleep(100);
  await server.shop('DELETE', '/v1/conversations/order:removed-1/participants/removed-hears');
  await say('removed-1', 'while removed');
  await server.conversation('order:removed-1', ['removed-hears']);
  await say('removed-2', 'missed');
  await back(hears);
  await say('removed-1', 'not joined');
  await say('removed-2', 'live');
  await hears.next('new-message', ({ message }) => message === 'live');
  assert.equal(hears.io.recovered, true);
  assert.deepEqual(missed(), ['missed']);
  for (const client of [talks, hears]) client.close();
});

test('who has joined and heard nothing yet comes back too', async () => {
  await server.subject('item', 'quiet', { title: 'A quiet thing', owner_id: 'quiet-seller' });
  const buyer = await server.connect('/item', token('quiet-buyer'), { reconnectionDelay: 500 });
  await buyer.ask('join_chat', { itemId: 'quiet' });
  const seller = await server.connect('/item', token('quiet-seller'));
  buyer.cut();
  await seller.ask('send_message', { itemId: 'quiet', buyerId: 'quiet-buyer', content: 'missed' });
  await back(buyer);
  assert.equal((await buyer.next('receive_message')).content, 'missed');
  assert.equal(buyer.io.recovered, true);
  await seller.ask('send_message', { itemId: 'quiet', buyerId: 'quiet-buyer', content: 'live' });
  assert.equal((await buyer.next('receive_message')).content, 'live');
  for (const client of [buyer, seller]) client.close();
});
