// The widget in a shop's page, as people use it, in a real browser. HAGGLE_BIN names the server.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, PATIENCE_MS, shoot, until } from './page.mjs';
import { Server } from './server.mjs';
import { Backend, Chat, chatTag, foreignShop, openShop, tag, tokenUrl } from './shop.mjs';

const KEY = 'the-key-of-a-shop-that-is-32-bytes-long';
/** Milliseconds in which another person must see what happened: at once, on a busy machine. */
const AT_ONCE_MS = 2_000;

let browser, server, backend, alice, bob, troubles;

before(async () => {
  assert.ok(process.env.HAGGLE_BIN, 'HAGGLE_BIN names the server binary to test.');
  browser = await launch();
});

after(() => browser?.close());

beforeEach(async () => {
  troubles = [];
  server = await Server.start(process.env.HAGGLE_BIN, { HAGGLE_SERVER_KEY: KEY, HAGGLE_RATE_LIMITS: 'off' });
  backend = new Backend(server, KEY);
  await backend.user('alice', 'Alice');
  await backend.user('bob', 'Bob');
  await backend.put('/v1/subjects/order/42', { title: 'Order 1042: two armchairs' });
  await backend.conversation('order:42', ['alice', 'bob'], { subject: { kind: 'order', id: '42' } });
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await server.remove();
  assert.deepEqual(troubles, []);
});

/** A page of its own browser context: another person, or another device. */
async function person(options = {}) {
  const context = await browser.newContext({ viewport: { width: 480, height: 700 }, ...options });
  const page = await context.newPage();
  page.on('pageerror', (error) => troubles.push(String(error)));
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (line) => {
    if (line.type() === 'error' && !/ERR_CONNECTION_|ERR_EMPTY_RESPONSE|WebSocket|40[134]/.test(line.text())) troubles.push(line.text());
  });
  return page;
}

async function open(user, attributes = {}, options = {}) {
  const page = await person(options.context);
  await openShop(page, server, chatTag(user, attributes), options);
  const chat = new Chat(page);
  await until(() => chat.state(), 'live');
  await chat.title.waitFor();
  return chat;
}

/** Two people, each in a browser context of their own. */
async function both() {
  [alice, bob] = [await open('alice'), await open('bob')];
  for (const one of [alice, bob]) await until(() => one.presence.textContent(), 'online');
  return [alice, bob];
}

/** Brings a page to the front: the browser gives only one the focus. */
const look = (chat) => chat.page.bringToFront();

test('two people chat: at once, in order, with marks, typing, presence and a title', async () => {
  await both();
  assert.equal(await alice.title.textContent(), 'Bob');
  await until(() => alice.about.textContent(), 'Order 1042: two armchairs');
  await alice.say('Is the lamp still there?');
  await until(() => bob.bodies(), ['Is the lamp still there?'], AT_ONCE_MS);
  await look(bob);
  await until(() => alice.mark('Is the lamp still there?'), 'read');
  await bob.text.pressSequentially('Yes, it');
  await until(() => alice.typing.textContent().then((text) => /Bob.* is typing/.test(text)), true, AT_ONCE_MS);
  await bob.text.press('Enter');
  await until(() => alice.bodies(), ['Is the lamp still there?', 'Yes, it'], AT_ONCE_MS);
  await until(() => alice.typing.textContent(), '');
  assert.match(await alice.announced.textContent(), /Bob.*: Yes, it/);
  await bob.page.close();
  await until(() => alice.presence.textContent().then((text) => text.startsWith('last seen')), true);
});

test('messages of one sender within minutes stand together, and each day has its line', async () => {
  await both();
  for (const text of ['one', 'two']) await alice.say(text);
  await until(() => bob.bodies(), ['one', 'two']);
  await bob.say('three');
  await until(() => alice.bodies().then(({ length }) => length), 3);
  assert.deepEqual(await alice.root.locator('.message').evaluateAll((rows) => rows.map((row) => row.classList.contains('follows'))), [false, true, false]);
  assert.deepEqual(await alice.root.locator('.day').allTextContents(), ['Today']);
});

test('kill -9 and a start on the same database: nothing lost or doubled, and what was written meanwhile is sent once, in order', async () => {
  await both();
  await alice.say('before');
  await until(() => bob.bodies(), ['before']);
  await server.kill('SIGKILL');
  for (const one of [alice, bob]) await until(() => one.notice.isVisible(), true);
  for (const text of ['offline 1', 'offline 2', 'offline 3']) await alice.say(text);
  await bob.say('offline by Bob');
  assert.equal(await alice.mark('offline 1'), 'sending');
  await shoot(alice.page, 'widget-offline');
  await server.up();
  const all = ['before', 'offline 1', 'offline 2', 'offline 3', 'offline by Bob'];
  for (const one of [alice, bob]) await until(() => one.bodies().then((bodies) => bodies.toSorted()), all);
  const shown = await alice.bodies();
  assert.deepEqual(await bob.bodies(), shown, 'both see the same order');
  assert.deepEqual(shown.filter((text) => /offline \d/.test(text)), ['offline 1', 'offline 2', 'offline 3']);
  assert.deepEqual((await backend.stored('alice')).map(({ body }) => body), shown);
});

test('what was written offline is sent once, though the page was closed before the server came back', async () => {
  await both();
  await server.kill('SIGKILL');
  await until(() => alice.notice.isVisible(), true);
  for (const text of ['kept 1', 'kept 2']) await alice.say(text);
  const { page } = alice;
  await page.goto('about:blank');
  await server.up();
  await openShop(page, server, chatTag('alice'));
  for (const one of [alice, bob]) await until(() => one.bodies(), ['kept 1', 'kept 2']);
  await page.reload();
  await until(() => alice.bodies(), ['kept 1', 'kept 2']);
  assert.deepEqual((await backend.stored('alice')).map(({ body }) => body), ['kept 1', 'kept 2']);
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('haggle:')).length), 0);
});

test('a message that the server refuses stays, and can be tried again or discarded', async () => {
  const page = await person();
  let refuses = true;
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const up = socket.connectToServer();
    socket.onMessage((text) => {
      const { id, type } = JSON.parse(text);
      if (type === 'send' && refuses) socket.send(JSON.stringify({ id, ok: false, error: { code: 'invalid', message: 'No.' } }));
      else up.send(text);
    });
  });
  await openShop(page, server, chatTag('alice'));
  alice = new Chat(page);
  await until(() => alice.state(), 'live');
  await alice.say('first');
  await alice.say('second');
  await until(() => alice.mark('second'), 'failed');
  await shoot(page, 'widget-failed');
  await alice.message('second').getByRole('button', { name: 'Discard' }).click();
  await until(() => alice.bodies(), ['first']);
  refuses = false;
  await alice.message('first').getByRole('button', { name: 'Try again' }).click();
  await until(() => alice.mark('first'), 'sent');
  assert.deepEqual((await backend.stored('alice')).map(({ body }) => body), ['first']);
});

test('what is unread has a divider, and the newest is one press away', async () => {
  for (let line = 1; line <= 40; line += 1) await backend.say('alice', `seen ${line}`);
  bob = await open('bob');
  await look(bob);
  await bob.jump.click();
  await until(async () => (await bob.page.evaluate(() => document.querySelector('haggle-chat').unread)), 0);
  await bob.page.goto('about:blank');
  for (let line = 1; line <= 30; line += 1) await backend.say('alice', `new ${line}`);
  await openShop(bob.page, server, chatTag('bob'));
  await until(() => bob.divider.isVisible(), true);
  assert.equal(await bob.divider.textContent(), 'New messages');
  const [line, view] = [await bob.divider.boundingBox(), await bob.scroll.boundingBox()];
  assert.ok(line.y >= view.y && line.y < view.y + 40, `the divider is at ${line.y}, in a view from ${view.y}`);
  assert.equal(await bob.divider.evaluate((divider) => divider.nextElementSibling.querySelector('.body').textContent), 'new 1');
  await until(() => bob.jump.isVisible(), true);
  assert.match(await bob.jump.textContent(), /30/);
  await shoot(bob.page, 'widget-unread');
  await bob.jump.click();
  await until(() => bob.jump.isVisible(), false);
  const newest = bob.message('new 30');
  await until(() => newest.evaluate((row) => {
    const scroll = row.closest('.scroll').getBoundingClientRect();
    return row.getBoundingClientRect().bottom <= scroll.bottom + 1;
  }), true);
  await until(() => bob.page.evaluate(() => document.querySelector('haggle-chat').unread), 0);
});

test('the divider is found where more is unread than a page holds, and nothing is read before it was seen', async () => {
  for (const count of [45, 130]) {
    for (let line = 1; line <= count; line += 1) await backend.say('alice', `${count}: ${line}`);
    bob = await open('bob');
    await until(() => bob.divider.isVisible(), true);
    assert.equal(await bob.divider.evaluate((divider) => divider.nextElementSibling.querySelector('.body').textContent), `${count}: 1`);
    assert.equal(await bob.page.evaluate(() => document.querySelector('haggle-chat').unread), count);
    await bob.jump.click();
    await until(() => bob.page.evaluate(() => document.querySelector('haggle-chat').unread), 0);
    await bob.page.close();
  }
});

test('what was begun in one conversation is there again after a look at another', async () => {
  await backend.conversation('order:43', ['alice', 'bob']);
  alice = await open('alice');
  await alice.text.fill('half a sen');
  const show = (key) => alice.page.evaluate((ref) => document.querySelector('haggle-chat').setAttribute('conversation', ref), key);
  await show('order:43');
  await until(() => alice.text.inputValue(), '');
  await show('order:42');
  await until(() => alice.text.inputValue(), 'half a sen');
});

test('a new message does not pull away whoever reads further up', async () => {
  for (let line = 1; line <= 60; line += 1) await backend.say('bob', `line ${line}`);
  alice = await open('alice');
  await until(() => alice.bodies().then(({ length }) => length > 0), true);
  await alice.jump.click({ timeout: 3_000 }).catch(() => {});
  await alice.scroll.evaluate((scroll) => (scroll.scrollTop -= 500));
  const row = alice.message('line 50');
  const top = () => row.evaluate((element) => element.getBoundingClientRect().top);
  const was = await top();
  await backend.say('bob', 'news');
  await until(() => alice.jump.textContent(), '1');
  assert.ok(Math.abs((await top()) - was) <= 1, `it moved from ${was} to ${await top()}`);
});

test('the limit of 4,000 characters is shown when a long text is pasted, and nothing is cut', async () => {
  await both();
  const long = '👍'.repeat(4_007);
  await alice.text.fill(long);
  await until(() => alice.root.locator('.count').textContent(), '7 characters too many');
  assert.equal(await alice.root.getByRole('button', { name: 'Send' }).isEnabled(), false);
  await alice.text.press('Enter');
  assert.equal(await alice.text.inputValue(), long);
  await alice.text.fill('👍'.repeat(3_990));
  await until(() => alice.root.locator('.count').textContent(), '10 characters left');
  await alice.text.press('Enter');
  await until(() => bob.bodies(), ['👍'.repeat(3_990)]);
});

test('emoji come by mouse and by keyboard', async () => {
  alice = await open('alice');
  await alice.text.fill('ab');
  await alice.text.press('ArrowLeft');
  await alice.root.getByRole('button', { name: 'Emoji' }).click();
  await alice.root.getByRole('button', { name: '😂' }).click();
  assert.equal(await alice.text.inputValue(), 'a😂b');
  await alice.root.getByRole('button', { name: 'Emoji' }).press('Enter');
  await alice.page.keyboard.press('ArrowRight');
  await alice.page.keyboard.press('ArrowDown');
  await alice.page.keyboard.press('Enter');
  assert.equal(await alice.text.inputValue(), 'a😂🤔b');
  await alice.root.getByRole('button', { name: 'Emoji' }).press('Enter');
  await alice.page.keyboard.press('Escape');
  assert.equal(await alice.root.locator('.emoji').isVisible(), false);
  await alice.page.keyboard.type('!');
  assert.equal(await alice.text.inputValue(), 'a😂🤔!b');
});

test('the keyboard alone does everything', async () => {
  await backend.say('bob', 'look at https://shop.example/a');
  alice = await open('alice');
  const { page } = alice;
  await alice.root.locator('.body a').waitFor();
  const stops = [];
  for (let press = 0; press < 5; press += 1) {
    await page.keyboard.press('Tab');
    stops.push(await page.evaluate(() => {
      const active = document.activeElement.shadowRoot?.activeElement;
      return active?.className || active?.localName;
    }));
  }
  assert.deepEqual(stops, ['scroll', 'a', 'smile', 'textarea', undefined], 'the send button waits for a text');
  await alice.text.focus();
  await page.keyboard.type('by keyboard');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('on two lines');
  await page.keyboard.press('Enter');
  await until(() => alice.bodies().then((bodies) => bodies.at(-1)), 'by keyboard\non two lines');
});

test('a conversation that is not there, and nobody signed in, are said in words', async () => {
  const page = await person();
  await openShop(page, server, chatTag('alice', { conversation: 'order:none' }));
  alice = new Chat(page);
  await until(() => alice.notice.textContent(), 'This conversation is not available.');
  assert.equal(await alice.text.isVisible(), false);
  await page.route('**/nobody', (route) => route.fulfill({ status: 401 }));
  await openShop(page, server, chatTag('alice', { 'token-url': '/nobody' }), { path: '/shop-other' });
  await until(() => alice.notice.locator('p').textContent(), 'You are not signed in, or may not use the chat.');
  assert.equal(await alice.state(), 'refused');
  assert.equal(await alice.root.locator('.empty').isVisible(), false, 'nothing is loading');
});

test('a token is asked for again before it ends, on the same connection', async () => {
  const page = await person();
  let asked = 0;
  const sockets = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  await page.route('**/short-token', async (route) => {
    asked += 1;
    const response = await fetch(`${server.url}/dev/token?userId=alice`);
    await route.fulfill({ json: await response.json() }).catch(() => {});
  });
  // The server's tokens are good for hours: the page's clock is moved instead.
  await page.clock.install();
  await openShop(page, server, chatTag('alice', { 'token-url': '/short-token' }));
  alice = new Chat(page);
  await page.clock.runFor(1_000);
  await until(() => alice.state(), 'live');
  await page.clock.fastForward('12:30:00');
  await until(() => asked, 2);
  assert.equal(sockets.length, 1);
  await page.close();
});

test('a shop on another origin needs one script and one element', async () => {
  const shop = await foreignShop(server, chatTag('alice', { server: server.url }));
  try {
    const page = await person();
    await page.goto(shop.url);
    alice = new Chat(page);
    await until(() => alice.state(), 'live');
    await alice.say('from elsewhere');
    await until(() => alice.mark('from elsewhere'), 'sent');
    assert.equal((await backend.stored('bob'))[0].body, 'from elsewhere');
    await until(() => alice.about.textContent(), 'Order 1042: two armchairs');
  } finally {
    await shop.close();
  }
});

test('in production a shop on the allowed origin has all of it with tokens that it signs itself, and any other origin nothing', async () => {
  const secret = 'a-secret-of-the-shop-and-of-haggle-alone';
  const shops = [];
  for (let at = 0; at < 2; at += 1) shops.push(createServer().listen(0, '127.0.0.1'));
  await Promise.all(shops.map((shop) => shop.listening || once(shop, 'listening')));
  const [allowed, stranger] = shops.map((shop) => `http://127.0.0.1:${shop.address().port}`);
  const production = await Server.start(process.env.HAGGLE_BIN, {
    HAGGLE_MODE: 'production', HAGGLE_JWT_SECRET: secret, HAGGLE_SERVER_KEY: KEY, HAGGLE_ALLOWED_ORIGINS: allowed,
  });
  try {
    const there = new Backend(production, KEY);
    for (const [id, name] of [['alice', 'Alice'], ['bob', 'Bob']]) await there.user(id, name);
    await there.conversation('order:42', ['alice', 'bob'], { title: 'Order 1042' });
    for (const shop of shops) {
      shop.on('request', (request, response) => {
        response.setHeader('content-type', request.url === '/' ? 'text/html; charset=utf-8' : 'application/json');
        if (request.url === '/chat-token') return response.end(JSON.stringify({ token: signed({ sub: 'alice', exp: Math.floor(Date.now() / 1_000) + 600 }, secret) }));
        response.end(`<!doctype html><html lang="en"><title>A shop</title><link rel="icon" href="data:,">
          <script type="module" src="${production.url}/js/haggle-widget.js"></script>
          <haggle-chat conversation="order:42" token-url="/chat-token"></haggle-chat><haggle-inbox token-url="/chat-token"></haggle-inbox>`);
      });
    }
    const page = await person();
    await page.goto(allowed);
    alice = new Chat(page);
    await until(() => alice.state(), 'live');
    await alice.say('from the shop');
    await until(() => alice.mark('from the shop'), 'sent');
    await until(() => alice.about.textContent(), 'Order 1042');
    await until(() => page.locator('haggle-inbox .preview').textContent(), 'You: from the shop');
    const other = await (await browser.newContext()).newPage();
    other.setDefaultTimeout(1_000);
    await other.goto(stranger);
    const elsewhere = new Chat(other);
    await other.waitForTimeout(2_000);
    // Without leave it cannot even load the script, or it stays outside.
    assert.notEqual(await elsewhere.state().catch(() => null), 'live');
    assert.deepEqual(await elsewhere.bodies(), []);
  } finally {
    for (const shop of shops) shop.close();
    await production.remove();
  }
});

/** A token as the shop's backend signs it. */
function signed(claims, secret) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

test('the page\'s own client can be given, and the page hears what happens', async () => {
  const page = await person();
  await openShop(page, server, tag('haggle-chat', { conversation: 'order:42' }));
  await page.evaluate(async (url) => {
    const { HaggleClient } = await import('/js/haggle-widget.js');
    const element = document.querySelector('haggle-chat');
    window.told = [];
    for (const type of ['haggle-state', 'haggle-message', 'haggle-unread']) {
      document.addEventListener(type, ({ detail }) => window.told.push([type, detail.state ?? detail.message?.body ?? detail.unread]));
    }
    const client = new HaggleClient({ token: () => fetch(url).then((answer) => answer.json()).then(({ token }) => token) });
    element.client = client;
    client.connect();
  }, tokenUrl('alice'));
  alice = new Chat(page);
  await until(() => alice.state(), 'live');
  await alice.title.waitFor();
  await until(() => alice.presence.textContent(), 'offline');
  await backend.say('bob', 'hello');
  await until(() => page.evaluate(() => window.told.some(([type, what]) => type === 'haggle-message' && what === 'hello')), true);
  assert.ok(await page.evaluate(() => window.told.some(([type, what]) => type === 'haggle-state' && what === 'live')));
});

test('a shop that signs its user out forgets what was unsent, in all its tabs, and asks anew who is there', async () => {
  const page = await person();
  let isIn = true;
  await page.context().route('**/session-token', async (route) => {
    const response = isIn ? await fetch(`${server.url}/dev/token?userId=alice`) : null;
    await route.fulfill(response ? { json: await response.json() } : { status: 401 }).catch(() => {});
  });
  await openShop(page, server, chatTag('alice', { 'token-url': '/session-token' }));
  const other = await page.context().newPage();
  await openShop(other, server, chatTag('alice', { 'token-url': '/session-token' }));
  for (const one of [page, other]) await until(() => new Chat(one).state(), 'live');
  alice = new Chat(page);
  await server.kill();
  await alice.say('never sent');
  await new Chat(other).say('nor this');
  await alice.text.fill('begun');
  const kept = () => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('haggle:')).length);
  assert.equal(await kept(), 2);
  isIn = false;
  await page.evaluate(() => {
    localStorage.setItem('of the shop', 'stays');
    customElements.get('haggle-chat').signOut();
  });
  await until(kept, 0);
  assert.equal(await page.evaluate(() => localStorage.getItem('of the shop')), 'stays');
  for (const one of [page, other]) await until(() => new Chat(one).state(), 'refused');
  await server.up();
  isIn = true;
  for (const one of [page, other]) {
    await new Chat(one).notice.getByRole('button').click();
    await until(() => new Chat(one).state(), 'live');
    assert.deepEqual(await new Chat(one).bodies(), []);
  }
  assert.equal(await alice.text.inputValue(), '');
  assert.deepEqual(await backend.stored('bob'), []);
});

test('a connection that is cut off without a word is noticed when the page comes back, and by itself', async () => {
  const page = await person();
  let isCut = false;
  let opened = 0;
  await page.routeWebSocket('**/ws', (socket) => {
    opened += 1;
    const there = socket.connectToServer();
    const isOld = opened === 1;
    socket.onMessage((text) => (isCut && isOld) || there.send(text));
    there.onMessage((text) => (isCut && isOld) || socket.send(text));
  });
  await openShop(page, server, chatTag('alice'));
  alice = new Chat(page);
  await until(() => alice.state(), 'live');
  isCut = true;
  await backend.say('bob', 'are you there?');
  await page.waitForTimeout(1_100);
  await page.evaluate(() => dispatchEvent(new Event('online')));
  await until(() => alice.bodies(), ['are you there?']);
  assert.equal(opened, 2);
});

test('elements that are taken out of the page close their connection', async () => {
  const page = await person();
  const closed = [];
  page.on('websocket', (socket) => socket.on('close', () => closed.push(1)));
  await openShop(page, server, chatTag('alice') + tag('haggle-inbox', { 'token-url': tokenUrl('alice') }));
  alice = new Chat(page);
  await until(() => alice.state(), 'live');
  await page.evaluate(() => document.querySelector('haggle-inbox').remove());
  await page.evaluate(() => document.querySelector('haggle-chat').remove());
  await until(() => closed.length, 1, PATIENCE_MS);
});
