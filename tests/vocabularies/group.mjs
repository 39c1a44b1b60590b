// The group vocabulary, walked as its own usage examples do it: two people and a group, two devices, queues, reconnects.
import { after, before, test } from 'node:test';
import { assert, assertTime, cleanUp, Server, sleep, token } from './harness.mjs';

let server;
let chatId;

before(async () => {
  server = await Server.start({ HAGGLE_ROOT_VOCABULARY: 'group' });
  await server.user('2', { name: 'john' });
  await server.user('alice', { name: 'Alice' });
  await server.user('carol', { name: 'Carol' });
  chatId = (await server.conversation('group:1', ['2', 'alice', 'carol'])).id;
});
after(cleanUp);

for (const [how, options] of [
  ['WebSocket', { transports: ['websocket'] }],
  ['polling', { transports: ['polling'] }],
  ['upgrade', { transports: ['polling', 'websocket'] }],
]) {
  test(`a chat over ${how}, the token in auth or in the header`, async () => {
    const alice = await server.connect('/', token('alice'), options);
    const john = await server.connect('/group', undefined, {
      ...options,
      extraHeaders: { Authorization: `Bearer ${token('2')}` },
    });
    alice.emit('join_chat', { chatId });
    assert.deepEqual(await alice.next('joined_chat'), { chatId, message: 'Successfully joined chat' });
    assert.deepEqual(await john.ask('join_chat', { chatId: String(chatId) }), {
      chatId,
      message: 'Successfully joined chat',
    });

    john.emit('typing_start', { chatId });
    assert.deepEqual(await alice.next('user_typing'), { chatId, user: { id: 2, username: 'john' } });
    john.emit('typing_stop', { chatId });
    assert.deepEqual(await alice.next('user_stopped_typing'), { chatId, user: { id: 2, username: 'john' } });

    john.emit('send_message', { chatId, content: 'Hello' });
    const sent = await john.next('message_sent');
    assert.deepEqual(Object.keys(sent), ['messageId', 'chatId', 'timestamp']);
    assertTime(sent.timestamp);
    assert.deepEqual(await alice.next('receive_message'), {
      id: sent.messageId,
      chatId,
      sender: { id: 2, username: 'john' },
      content: 'Hello',
      timestamp: sent.timestamp,
    });
    await john.silent('receive_message');
    const again = await john.ask('send_message', { chatId, content: 'once', clientId: `c-${how}` });
    assert.deepEqual(await john.ask('send_message', { chatId, content: 'once', clientId: `c-${how}` }), again);
    await alice.next('receive_message');
    await alice.silent('receive_message');
    alice.close();
    john.close();
    await sleep(50);
  });
}

test('what is refused is told by the acknowledgement, else by the error event', async () => {
  const stranger = await server.connect('/group', token('mallory'));
  assert.deepEqual(await stranger.ask('join_chat', { chatId }), { error: 'no such conversation', code: 'not_found' });
  stranger.emit('send_message', { chatId, content: 'hi' });
  assert.deepEqual(await stranger.next('error'), { error: 'no such conversation', code: 'not_found' });
  stranger.emit('send_message', { chatId, content: '   ' });
  assert.equal((await stranger.next('error')).code, 'invalid');
  stranger.emit('send_message', { chatId, content: 'x'.repeat(4001) });
  assert.equal((await stranger.next('error')).code, 'too_large');
  stranger.emit('join_chat', 'what?');
  assert.equal((await stranger.next('error')).code, 'invalid');
  assert.equal((await stranger.ask('typing_start', { chatId, userId: 'alice' })).code, 'forbidden');
  const nobody = await server.connect('/group', 'no token', { wait: false });
  assert.equal((await nobody.refused()).data.code, 'unauthorized');
  stranger.close();
});

test('messages wait for whoever is away, in order, once, over a restart too', async () => {
  const away = await server.conversation('group:away', ['2', 'erin']);
  const john = await server.connect('/group', token('2'));
  for (const content of ['one', 'two']) await john.ask('send_message', { chatId: away.id, content });
  await server.down();
  await server.up();
  await john.connected();
  await john.ask('send_message', { chatId: away.id, content: 'three' });

  const phone = await server.connect('/group', token('erin'));
  for (const content of ['one', 'two', 'three']) assert.equal((await phone.next('receive_message')).content, content);
  // The second device comes at once: what the first has heard is no news.
  const laptop = await server.connect('/group', token('erin'));
  await laptop.silent('receive_message');
  await john.ask('send_message', { chatId: away.id, content: 'four' });
  for (const device of [phone, laptop]) assert.equal((await device.next('receive_message')).content, 'four');
  phone.close();
  laptop.close();
  await sleep(50);
  const back = await server.connect('/group', token('erin'));
  await back.silent('receive_message');
  back.close();
  john.close();
});

test('one hears what one says on another device, and a fresh token keeps the socket', async () => {
  const phone = await server.connect('/group', token('alice'));
  const laptop = await server.connect('/group', token('alice'));
  await phone.ask('send_message', { chatId, content: 'from the phone' });
  assert.equal((await laptop.next('receive_message')).content, 'from the phone');
  await phone.silent('receive_message');
  const exp = Math.floor(Date.now() / 1000) + 7200;
  assert.deepEqual(await phone.ask('auth', { token: token('alice', { exp }) }), { ok: true, exp });
  assert.equal((await phone.ask('auth', { token: token('2') })).code, 'forbidden');
  phone.close();
  laptop.close();
});
