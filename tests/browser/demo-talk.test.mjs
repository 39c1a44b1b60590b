// Two people on development's page, side by side and in two browsers: what they say arrives once, whatever happens to the server.
// HAGGLE_BIN names it.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { fresh, live, Market, SAID_BEFORE } from './market.mjs';
import { launch, shoot, until } from './page.mjs';
import { Server } from './server.mjs';
import { Backend } from './shop.mjs';

const KEY = 'the-key-of-a-shop-that-is-32-bytes-long';
/** Milliseconds in which another window must show what happened: at once, on a busy machine. */
const AT_ONCE_MS = 2_000;
const BESIDE = 'one=alice.order&two=bob.order';

let browser, server, backend, markets;

before(async () => {
  assert.ok(process.env.HAGGLE_BIN, 'HAGGLE_BIN names the server binary to test.');
  browser = await launch();
});

after(() => browser?.close());

beforeEach(async () => {
  markets = [];
  server = await Server.start(process.env.HAGGLE_BIN, { HAGGLE_SERVER_KEY: KEY });
  backend = new Backend(server, KEY);
});

afterEach(async () => {
  try {
    for (const market of markets) await market.close();
  } finally {
    await server.remove();
  }
});

async function open(view, options) {
  const market = await Market.open(browser, server, view, options);
  markets.push(market);
  return market;
}

/** Alice and Bob side by side, on the same order. */
async function beside() {
  const market = await open(BESIDE);
  const [alice, bob] = [market.chat('one'), market.chat('two')];
  await live(alice, bob);
  return { market, page: market.page, alice, bob };
}

/** Alice and Bob in two browsers that share nothing. */
async function apart() {
  const [here, there] = [await open('one=alice.order'), await open('one=bob.order')];
  const [alice, bob] = [here.chat('one'), there.chat('one')];
  await live(alice, bob);
  return { alice, bob };
}

test('what one writes the other sees at once, and the marks follow', async () => {
  const { market, page, alice, bob } = await beside();
  await until(() => alice.presence.textContent(), 'online');
  await alice.say('Is the desk lamp still on its way?');
  await until(() => fresh(bob), ['Is the desk lamp still on its way?'], AT_ONCE_MS);
  await until(() => alice.mark('Is the desk lamp still on its way?'), 'received');
  await bob.text.focus();
  await until(() => alice.mark('Is the desk lamp still on its way?'), 'read', AT_ONCE_MS);
  await bob.say('It left this morning.\nThursday, between 10 and 12.');
  await until(() => fresh(alice), ['Is the desk lamp still on its way?', 'It left this morning.\nThursday, between 10 and 12.'], AT_ONCE_MS);
  await page.reload();
  const both = [market.chat('one'), market.chat('two')];
  await live(...both);
  for (const chat of both) await until(() => fresh(chat).then(({ length }) => length), 2);
  await until(() => alice.mark('Is the desk lamp still on its way?'), 'read');
});

test('typing shows while it lasts', async () => {
  const { alice, bob } = await beside();
  await bob.text.pressSequentially('Let me lo');
  await until(() => alice.typing.textContent().then((text) => text.includes('is typing')), true, AT_ONCE_MS);
  assert.equal(await bob.typing.textContent(), '', 'nobody sees their own typing');
  await bob.text.fill('');
  await until(() => alice.typing.textContent(), '', AT_ONCE_MS);
});

test('a window that nobody looks at counts unread, a reload keeps the count, and focusing it reads', async () => {
  const { market, page, alice, bob } = await beside();
  await bob.text.focus();
  for (const text of ['one', 'two', 'three']) await bob.say(text);
  await until(() => market.unread('one'), '3 unread');
  await until(() => market.unread('two'), '', AT_ONCE_MS);
  assert.notEqual(await bob.mark('three'), 'read');
  await shoot(page, 'demo-unread');
  await page.reload();
  await live(alice, bob);
  await until(() => market.unread('one'), '3 unread');
  await alice.text.focus();
  await until(() => market.unread('one'), '');
  await until(() => bob.mark('three'), 'read');
});

test('presence follows the other one', async () => {
  const market = await open('one=alice.order');
  const alice = market.chat('one');
  await live(alice);
  const other = await open('one=bob.order');
  await until(() => alice.presence.textContent(), 'online');
  await other.page.goto('about:blank');
  await until(() => alice.presence.textContent().then((text) => text.startsWith('last seen ')), true);
});

test('long history loads on the way up, whole and in order', async () => {
  // The demo is set up when its page is asked for.
  await fetch(server.url);
  for (const line of lines(120)) await backend.say('demo-bob', line, 'order:demo');
  const market = await open('one=alice.order');
  const alice = market.chat('one');
  await until(() => alice.message('line 120').isVisible(), true);
  for (let seen = 0; seen < 120 + SAID_BEFORE;) {
    const { length } = await alice.bodies();
    if (length === seen) assert.ok(await alice.scroll.evaluate((element) => element.scrollTop > 0), `stuck at ${seen}`);
    seen = length;
    if (seen === 120 + SAID_BEFORE) break;
    await alice.scroll.evaluate((element) => (element.scrollTop = 60));
    await until(() => alice.bodies().then((bodies) => bodies.length > seen), true);
  }
  assert.deepEqual(await fresh(alice), lines(120));
});

test('two browsers, kill -9 and a start under them: nothing lost, nothing doubled, what was written offline sent once', async () => {
  const { alice, bob } = await apart();
  await alice.say('before');
  await until(() => fresh(bob), ['before']);
  await server.kill('SIGKILL');
  for (const chat of [alice, bob]) await until(() => chat.notice.isVisible(), true);
  for (const text of ['written offline 1', 'written offline 2']) await alice.say(text);
  await bob.say('written offline by Bob');
  assert.equal(await alice.mark('written offline 1'), 'sending');
  await shoot(alice.page, 'demo-offline');
  await server.up();
  const all = ['before', 'written offline 1', 'written offline 2', 'written offline by Bob'];
  for (const chat of [alice, bob]) await until(() => fresh(chat).then((bodies) => bodies.toSorted()), all);
  const order = await fresh(alice);
  assert.deepEqual(await fresh(bob), order, 'both see the same order');
  assert.ok(order.indexOf('written offline 1') < order.indexOf('written offline 2'), 'the order of writing holds');
  await alice.say('after');
  await until(() => fresh(bob).then((bodies) => bodies.at(-1)), 'after');
  assert.deepEqual(await stored(), [...order, 'after'], 'stored once, in the order shown');
});

test('three restarts while both write lose and double nothing', async () => {
  const { alice, bob } = await apart();
  const written = [];
  const write = async (chat, text) => {
    written.push(text);
    await chat.say(text);
  };
  for (let round = 1; round <= 3; round += 1) {
    for (let at = 1; at <= 4; at += 1) await write(at % 2 ? alice : bob, `round ${round} text ${at}`);
    await server.kill('SIGKILL');
    await write(alice, `round ${round} offline`);
    await server.up();
  }
  for (const chat of [alice, bob]) await until(() => fresh(chat).then((bodies) => bodies.toSorted()), written.toSorted(), 40_000);
  const bodies = await stored();
  assert.deepEqual(await fresh(alice), bodies);
  assert.deepEqual(await fresh(bob), bodies);
});

test('an orderly stop is announced, and both come back too', async () => {
  const { alice, bob } = await beside();
  await server.kill('SIGTERM');
  for (const chat of [alice, bob]) await until(() => chat.notice.isVisible(), true);
  await server.up();
  await until(() => alice.state(), 'live');
  await alice.say('again');
  await until(() => fresh(bob), ['again'], 40_000);
});

test('what people write, and what they and things are called, stays text', async () => {
  const payloads = [
    '<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '"><svg onload=alert(1)>', "javascript:alert(1)//';alert(1)",
    '<style>*{display:none}</style><b>bold</b>', '{{constructor.constructor("alert(1)")()}} ${alert(1)} &lt;i&gt;',
  ];
  const market = await open('one=alice.order&two=bob.inbox');
  const alice = market.chat('one');
  await live(alice);
  for (const payload of payloads) await alice.say(payload);
  await until(() => fresh(alice), payloads);
  for (const [at, payload] of payloads.entries()) {
    await backend.user(`stranger-${at}`, payload);
    await backend.conversation(`strange:${at}`, ['demo-bob', `stranger-${at}`], { title: payload });
    await backend.say(`stranger-${at}`, payload, `strange:${at}`);
  }
  const inbox = market.window('two').locator('haggle-inbox');
  const bob = market.chat('two');
  for (const payload of payloads) {
    await inbox.locator('.row').filter({ has: market.page.locator('.name', { hasText: payload }) }).click();
    await until(() => bob.bodies(), [payload]);
    await until(() => bob.title.textContent(), payload);
  }
  assert.equal(await market.page.locator('.body :not(a), .name script, .name img, .title img, .about img').count(), 0, 'no text became an element');
});

test('asked for again and again, also at once, the demo is set up once', async () => {
  const asked = await Promise.all(Array.from({ length: 8 }, () => fetch(server.url)));
  assert.deepEqual(asked.map(({ status }) => status), Array(8).fill(200));
  assert.equal((await fetch(server.url)).status, 200);
  await until(() => backend.stored('demo-alice', 'order:demo').then(({ length }) => length), SAID_BEFORE);
  assert.deepEqual(await stored(), []);
});

/** What the server holds since the demo was set up, oldest first. */
async function stored() {
  const messages = await backend.stored('demo-alice', 'order:demo');
  return messages.slice(SAID_BEFORE).map(({ body }) => body);
}

const lines = (count) => Array.from({ length: count }, (_, at) => `line ${at + 1}`);
