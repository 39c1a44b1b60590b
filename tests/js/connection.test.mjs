// The client's connection: tokens, states, waiting, giving up.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { FakeSocket } from './fake-socket.mjs';
import { authenticate, client, heard, joined, pass, setUp, settle, tearDown } from './support.mjs';

beforeEach(setUp);
afterEach(tearDown);

test('the first frame is auth with the token of the callback, and then the client is live', async () => {
  const { chat, states } = client();
  assert.equal(chat.state, 'offline');
  chat.connect();
  const socket = await authenticate();
  assert.equal(socket.url, 'ws://shop.test/ws');
  assert.deepEqual(socket.sent, [{ id: 1, type: 'auth', token: 'token-1' }]);
  assert.deepEqual(states, ['connecting', 'live']);
  assert.deepEqual(chat.user, { user_id: 'alice', name: 'Alice' });
});

test('a lost connection is opened again with the same token', async () => {
  const { socket, states } = await joined();
  socket.drop();
  assert.equal(states.at(-1), 'offline');
  await pass(250);
  assert.equal(FakeSocket.opened.length, 2);
  const again = await authenticate();
  assert.equal(again.frames('auth')[0].token, 'token-1');
  assert.equal(states.at(-1), 'live');
});

test('waits are random up to a bound that doubles, and end at the longest', async () => {
  const waits = [];
  mock.method(globalThis, 'setTimeout', ((original) => (run, wait) => {
    waits.push(wait);
    return original(run, wait);
  })(globalThis.setTimeout));
  mock.method(Math, 'random', () => 0.999);
  const { chat } = client(undefined, { retryBaseMs: 1_000, retryMaxMs: 6_000 });
  chat.connect();
  await settle();
  for (let failure = 0; failure < 5; failure += 1) {
    FakeSocket.last.drop();
    await pass(6_000);
  }
  const DEADLINE_MS = 10_000;
  assert.deepEqual(waits.filter((wait) => wait !== DEADLINE_MS), [999, 1_998, 3_996, 5_994, 5_994]);
});

test('connect during a wait tries at once', async () => {
  mock.method(Math, 'random', () => 0.999);
  const { chat } = client();
  chat.connect();
  await settle();
  FakeSocket.last.drop();
  chat.connect();
  await settle();
  assert.equal(FakeSocket.opened.length, 2);
});

test('an unauthorized token is replaced by a fresh one at once', async () => {
  const { chat, states } = client(['old', 'fresh']);
  chat.connect();
  await settle();
  FakeSocket.last.accept();
  FakeSocket.last.refuse('auth', { code: 'unauthorized' });
  await pass(0);
  const socket = await authenticate();
  assert.equal(socket.frames('auth')[0].token, 'fresh');
  assert.equal(states.at(-1), 'live');
});

test('a socket closed before auth is answered costs the token too', async () => {
  const { chat } = client(['old', 'fresh']);
  chat.connect();
  await settle();
  FakeSocket.last.accept();
  FakeSocket.last.drop();
  await pass(500);
  const socket = await authenticate();
  assert.equal(socket.frames('auth')[0].token, 'fresh');
});

test('three refused tokens in a row end in refused, until connect', async () => {
  const { chat, states } = client(['a', 'b', 'c', 'd']);
  chat.connect();
  for (let attempt = 0; attempt < 3; attempt += 1) {
    await pass(2_000);
    FakeSocket.last.accept();
    FakeSocket.last.refuse('auth', { code: 'unauthorized' });
  }
  await pass(60_000);
  assert.equal(FakeSocket.opened.length, 3);
  assert.equal(chat.state, 'refused');
  chat.connect();
  await authenticate();
  assert.equal(states.at(-1), 'live');
});

test('a server that lets in and then calls every request unauthorized is not hammered', async () => {
  const { chat } = client(['a', 'b', 'c', 'd', 'e', 'f']);
  chat.conversation('order:42');
  chat.connect();
  for (let attempt = 0; attempt < 3; attempt += 1) {
    await pass(2_000);
    const socket = await authenticate();
    socket.refuse('history', { code: 'unauthorized' });
  }
  await pass(60_000);
  assert.equal(chat.state, 'refused');
  assert.equal(FakeSocket.opened.length, 3);
});

test('a suspended user is refused and does not come back', async () => {
  const { chat } = client();
  const errors = [];
  chat.on('state', ({ error }) => error && errors.push(error.code));
  chat.connect();
  await settle();
  FakeSocket.last.accept();
  FakeSocket.last.refuse('auth', { code: 'forbidden' });
  await pass(600_000);
  assert.equal(chat.state, 'refused');
  assert.deepEqual(errors, ['forbidden']);
  assert.equal(FakeSocket.opened.length, 1);
});

test('nobody signed in is refused without a connection', async () => {
  const { chat } = client([]);
  chat.connect();
  await pass(60_000);
  assert.equal(chat.state, 'refused');
  assert.equal(FakeSocket.opened.length, 0);
});

test('a token that cannot be had just now is asked for again', async () => {
  let asked = 0;
  const { chat } = client([], {
    token: async () => {
      asked += 1;
      if (asked === 1) throw new Error('the shop is away');
      return 'token';
    },
  });
  chat.connect();
  await settle();
  assert.equal(chat.state, 'offline');
  await pass(500);
  await authenticate();
  assert.equal(chat.state, 'live');
});

test('bye with reconnect comes back, but not before the time that it names', async () => {
  const { chat, socket } = await joined();
  const byes = [];
  chat.on('bye', ({ code }) => byes.push(code));
  socket.say({ type: 'bye', code: 'restarting', reason: 'A new version.', reconnect: true, retry_after: 7 });
  assert.deepEqual(byes, ['restarting']);
  assert.ok(socket.isClosed);
  await pass(6_999);
  assert.equal(FakeSocket.opened.length, 1);
  await pass(251);
  assert.equal(FakeSocket.opened.length, 2);
});

test('coming back to the page does not cut short the time that a server has asked for', async () => {
  const window = new EventTarget();
  globalThis.addEventListener = window.addEventListener.bind(window);
  globalThis.removeEventListener = window.removeEventListener.bind(window);
  try {
    const { chat, socket } = await joined();
    socket.say({ type: 'bye', code: 'unavailable', reason: 'busy', reconnect: true, retry_after: 20 });
    await pass(19_999);
    window.dispatchEvent(new Event('online'));
    await settle();
    assert.equal(chat.state, 'offline');
    await pass(1);
    window.dispatchEvent(new Event('online'));
    await settle();
    assert.equal(chat.state, 'connecting', 'but it ends the jitter that comes on top');
    chat.close();
  } finally {
    for (const name of ['addEventListener', 'removeEventListener']) delete globalThis[name];
  }
});

test('bye without reconnect stays away', async () => {
  const { chat, socket } = await joined();
  socket.say({ type: 'bye', code: 'forbidden', reason: 'Suspended.', reconnect: false });
  await pass(600_000);
  assert.equal(chat.state, 'refused');
  assert.equal(FakeSocket.opened.length, 1);
});

test('bye for an expired token comes back with a fresh one', async () => {
  const { socket } = await joined();
  socket.say({ type: 'bye', code: 'unauthorized', reason: 'The token has expired.', reconnect: true });
  await pass(0);
  const again = await authenticate();
  assert.equal(again.frames('auth')[0].token, 'token-2');
});

test('a handshake that hangs is given up after 10 s', async () => {
  const { chat } = client();
  chat.connect();
  await settle();
  await pass(10_000);
  assert.ok(FakeSocket.opened[0].isClosed);
  await pass(500);
  assert.equal(FakeSocket.opened.length, 2);
});

test('a request without a reply for 15 s means that the connection is dead', async () => {
  const { chat, order, socket } = await joined();
  order.send('Hello?');
  await pass(14_999);
  assert.equal(chat.state, 'live');
  await pass(1);
  assert.equal(chat.state, 'offline');
  assert.ok(socket.isClosed);
});

test('a token is renewed on the same connection before it ends', async () => {
  const exp = Date.now() / 1_000 + 600;
  const jwt = (name) => `h.${Buffer.from(JSON.stringify({ sub: name, exp })).toString('base64url')}.s`;
  const { chat } = client([jwt('ä1'), jwt('ä2')]);
  chat.connect();
  const socket = await authenticate();
  await pass(539_999);
  assert.equal(socket.frames('auth').length, 1);
  await pass(1);
  assert.equal(socket.frames('auth').length, 2);
  assert.equal(socket.frames('auth')[1].token, jwt('ä2'));
  assert.equal(FakeSocket.opened.length, 1);
});

test('a token that lives for years does not renew at once', async () => {
  const exp = Date.now() / 1_000 + 10 * 365 * 86_400;
  const { chat } = client([`h.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.s`, 'other']);
  chat.connect();
  const socket = await authenticate();
  await pass(60_000);
  assert.equal(socket.frames('auth').length, 1);
});

test('what the client does not know, it survives', async () => {
  const { chat, order, socket } = await joined(1);
  for (const frame of ['', 'null', '[]', '7', '{', '{"type": 4}', '{"id": 99, "ok": true}', '{"ok": false}']) socket.say(frame);
  socket.say({ type: 'reaction', conversation: 7, emoji: 'x' });
  socket.say({ type: 'typing', conversation: 8, user_id: 'eve', name: 'Eve', on: true });
  await settle();
  assert.equal(chat.state, 'live');
  assert.equal(order.messages.length, 1);
});

test('close stays closed', async () => {
  const { chat, socket } = await joined();
  chat.close();
  await pass(600_000);
  assert.ok(socket.isClosed);
  assert.equal(chat.state, 'offline');
  assert.equal(FakeSocket.opened.length, 1);
});

test('a server that is silent for 25 s is asked for a word, and given up when there is none within 10 s', async () => {
  const { chat, socket, states } = await joined();
  FakeSocket.isMute = true;
  await pass(24_999);
  assert.equal(socket.frames('ping').length, 0);
  await pass(1);
  assert.equal(socket.frames('ping').length, 1);
  await pass(9_999);
  assert.equal(chat.state, 'live');
  await pass(1);
  assert.ok(socket.isClosed);
  assert.deepEqual(states.slice(-2), ['live', 'offline']);
  FakeSocket.isMute = false;
  await pass(500);
  await authenticate();
  assert.equal(chat.state, 'live', 'and another one is opened');
});

test('whatever is heard proves that the connection holds, and a quiet one is asked again and again', async () => {
  const { chat, socket } = await joined();
  await pass(20_000);
  socket.say(heard(1));
  await pass(20_000);
  assert.equal(socket.frames('ping').length, 0, 'no question while there is news');
  FakeSocket.isMute = true;
  await pass(5_000);
  assert.equal(socket.frames('ping').length, 1);
  socket.say(heard(2));
  await pass(14_000);
  assert.equal(chat.state, 'live', 'news in place of the answer do as well');
  FakeSocket.isMute = false;
  for (let step = 0; step < 120; step += 1) await pass(5_000);
  assert.equal(chat.state, 'live');
  assert.equal(FakeSocket.last, socket);
  assert.equal(socket.frames('ping').length, 25, 'once more, and then for ten minutes');
});

test('when the network or the page comes or goes, a live connection has 5 s to prove itself, and a wait ends', async () => {
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const window = new EventTarget();
  globalThis.document = /** @type {any} */ (page);
  globalThis.addEventListener = window.addEventListener.bind(window);
  globalThis.removeEventListener = window.removeEventListener.bind(window);
  try {
    for (const [target, moment] of [[window, 'online'], [window, 'offline'], [window, 'pageshow'], [page, 'visibilitychange']]) {
      FakeSocket.isMute = false;
      const { chat, socket } = await joined();
      target.dispatchEvent(new Event(moment));
      assert.equal(socket.frames('ping').length, 0, `${moment}: it was heard just now`);
      await pass(1_000);
      FakeSocket.isMute = true;
      page.visibilityState = 'hidden';
      page.dispatchEvent(new Event('visibilitychange'));
      assert.equal(socket.frames('ping').length, 0, 'nobody looks');
      page.visibilityState = 'visible';
      for (let again = 0; again < 3; again += 1) target.dispatchEvent(new Event(moment));
      assert.equal(socket.frames('ping').length, 1, `${moment}: asked once`);
      await pass(4_999);
      assert.equal(chat.state, 'live');
      await pass(1);
      assert.equal(chat.state, 'offline', moment);
      target.dispatchEvent(new Event(moment));
      await settle();
      assert.equal(chat.state, moment === 'offline' ? 'offline' : 'connecting', `${moment} ends the wait, or is no time to try`);
      chat.close();
      target.dispatchEvent(new Event(moment));
      assert.equal(chat.state, 'offline', 'a closed client stays closed');
    }
  } finally {
    for (const name of ['document', 'addEventListener', 'removeEventListener']) delete globalThis[name];
  }
});
