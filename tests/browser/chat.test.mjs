// An order's chat page and an item's, each as two people see it in their own browsers. HAGGLE_BIN names the server.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, PATIENCE_MS, shoot, until } from './page.mjs';
import { Server } from './server.mjs';

const KEY = 'a-server-key-for-tests-only-0123456789';
const PAYLOADS = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  "javascript:alert(1)//';alert(1)",
  '<style>*{display:none}</style><b>bold</b>',
  '{{title}} ${alert(1)} &lt;i&gt;',
  'two\nlines',
];

let browser, server, people, troubles;

before(async () => {
  assert.ok(process.env.HAGGLE_BIN, 'HAGGLE_BIN names the server binary to test.');
  browser = await launch();
});
after(() => browser?.close());

beforeEach(async () => {
  server = await Server.start(process.env.HAGGLE_BIN, { HAGGLE_SERVER_KEY: KEY });
  troubles = [];
  people = [];
  for (const [id, name] of [['alice', 'Alice'], ['bob', 'Bob']]) await shop(`/v1/users/${id}`, { name });
  await shop('/v1/conversations/order:42', { participants: [{ user_id: 'alice', role: 'buyer' }, { user_id: 'bob', role: 'agent' }] });
  await shop('/v1/subjects/item/7', { title: 'A desk lamp & <its> bulb', owner_id: 'bob' });
});

afterEach(async () => {
  for (const person of people) await person.page.context().close();
  await server.remove();
  assert.deepEqual(troubles, []);
});

/** A provisioning call of the shop's backend. */
async function shop(path, body) {
  const answer = await fetch(server.url + path, {
    method: 'PUT',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
}

async function token(userId) {
  return (await (await fetch(`${server.url}/dev/token?userId=${userId}`)).json()).token;
}

/** One person's browser, with its own cookies. */
class Visitor {
  static async come(path, { cookie, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 900, height: 720 }, ...options });
    if (cookie) await context.addCookies([{ name: 'haggle_token', value: cookie, url: server.url, httpOnly: true, sameSite: 'Strict' }]);
    const visitor = new Visitor();
    visitor.page = await context.newPage();
    visitor.page.setDefaultTimeout(PATIENCE_MS);
    people.push(visitor);
    watch(visitor.page);
    await visitor.page.goto(server.url + path);
    return visitor;
  }

  part(name) {
    return this.page.locator(`[data-chat="${name}"]`);
  }

  async live() {
    await until(() => this.part('state').textContent(), 'Live');
    return this;
  }

  async say(text) {
    await this.part('input').fill(text);
    await this.part('input').press('Enter');
  }

  bodies() {
    return this.page.locator('.message .body').allTextContents();
  }
}

/** Whatever a page complains about, but a server that is away on purpose. */
function watch(page) {
  page.on('pageerror', (error) => troubles.push(String(error)));
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (line) => {
    if (line.type() === 'error' && !/ERR_CONNECTION_|ERR_EMPTY_RESPONSE|WebSocket|the server responded with a status of 4/.test(line.text())) {
      troubles.push(line.text());
    }
  });
}

async function order() {
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((who) => Visitor.come(`/chat.html?orderId=42&userId=${who}`)));
  await Promise.all([alice.live(), bob.live()]);
  return [alice, bob];
}

test('an order: both ways at once, typing, reading, presence', async () => {
  const [alice, bob] = await order();
  await shoot(alice.page, 'chat-1-empty');
  await alice.say('Where is my lamp?');
  await until(() => bob.bodies(), ['Where is my lamp?']);
  await until(() => alice.bodies(), ['Where is my lamp?']);
  await bob.part('input').pressSequentially('On its');
  await until(() => alice.part('typing').textContent(), 'Bob is typing');
  await shoot(alice.page, 'chat-2-typing');
  await bob.say('On its way.');
  await until(() => alice.part('typing').textContent(), '');
  await until(() => alice.bodies(), ['Where is my lamp?', 'On its way.']);
  // Bob's page is in front when he writes; whoever looks has read it.
  await bob.page.bringToFront();
  await until(() => alice.page.locator('.mine .mark').last().textContent(), 'Read');
  await until(() => alice.part('announcer').textContent(), 'Bob: On its way.');
  await bob.page.close();
  await until(() => alice.page.locator('[data-chat="presence"]').textContent(), 'Bob has left');
});

test('an order: what a person writes stays text, and stands after a reload in its order', async () => {
  const [alice, bob] = await order();
  for (const payload of PAYLOADS) await alice.say(payload);
  await until(() => bob.bodies(), PAYLOADS);
  await until(() => alice.bodies(), PAYLOADS);
  await bob.page.reload();
  await bob.live();
  await until(() => bob.bodies(), PAYLOADS);
  assert.equal(await bob.page.locator('.body *').count(), 0, 'no text became an element');
});

test('an order: kill -9 and a start lose and double nothing, written offline or not', async () => {
  const [alice, bob] = await order();
  await alice.say('before');
  await until(() => bob.bodies(), ['before']);
  await server.kill('SIGKILL');
  await until(() => alice.part('state').textContent(), 'Reconnecting');
  await alice.say('written offline');
  await shoot(alice.page, 'chat-3-offline');
  await server.up();
  await Promise.all([alice.live(), bob.live()]);
  for (const person of [alice, bob]) await until(() => person.bodies(), ['before', 'written offline']);
});

test('an order: earlier messages are loaded on request', async () => {
  const bob = await token('bob');
  for (let line = 1; line <= 70; line += 1) {
    const answer = await fetch(`${server.url}/v1/conversations/order:42/messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bob}`, 'content-type': 'application/json' },
      body: JSON.stringify({ body: `line ${line}` }),
    });
    assert.equal(answer.status, 201);
  }
  const alice = await (await Visitor.come('/chat.html?orderId=42&userId=alice')).live();
  await until(() => alice.bodies().then((all) => [all.length, all[0]]), [50, 'line 21']);
  await alice.part('older').click();
  await until(() => alice.bodies().then((all) => [all.length, all[0]]), [70, 'line 1']);
  await until(() => alice.part('older').isVisible(), false);
});

test('the token comes from the cookie or the fragment; somebody else\'s, or none, is told', async () => {
  const [cookie, fragment] = [await token('alice'), await token('bob')];
  // Without development's own token.
  const without = (person) => person.page.route('**/dev/token*', (route) => route.fulfill({ status: 404 }));
  const alice = await Visitor.come('/healthz', { cookie });
  await without(alice);
  await alice.page.goto(`${server.url}/chat.html?orderId=42&userId=alice`);
  await alice.live();
  const bob = await Visitor.come('/healthz');
  await without(bob);
  await bob.page.goto(`${server.url}/chat.html?orderId=42&userId=bob#token=${fragment}`);
  assert.equal(await bob.page.evaluate(() => location.hash), '', 'the token stands in the address');
  await bob.live();
  await bob.say('by the fragment');
  await until(() => alice.bodies(), ['by the fragment']);
  for (const path of ['/chat.html?orderId=42&userId=bob', '/chat.html?orderId=43&userId=alice']) {
    await alice.page.goto(server.url + path);
    await until(() => alice.part('state').textContent(), 'Not connected');
    assert.match(await alice.part('notice').textContent(), /^This conversation cannot be shown: /);
  }
  await alice.page.goto(`${server.url}/chat.html`);
  assert.match(await alice.part('notice').textContent(), /orderId=…&userId=…/);
  await shoot(alice.page, 'chat-4-nothing-asked');
});

test('new ChatClient(orderId, userId) on a page of the shop\'s own, as its front end uses it', async () => {
  const [alice] = await order();
  const page = await browser.newPage();
  watch(page);
  await page.route(`${server.url}/shop.html`, (route) => route.fulfill({
    contentType: 'text/html',
    body: '<!doctype html><title>Order</title><div id="here"></div><script src="/socket.io/socket.io.js"></script><script src="/js/chat.js"></script>',
  }));
  await page.goto(`${server.url}/shop.html`);
  await page.evaluate(() => {
    window.chat = new ChatClient(42, 'bob').on('message', ({ body }) => (window.heard = body));
    window.addEventListener('beforeunload', () => window.chat.leaveChat());
  });
  await until(() => page.evaluate(() => window.chat.state), 'live');
  await alice.say('Hello?');
  await until(() => page.evaluate(() => window.heard), 'Hello?');
  await page.evaluate(() => window.chat.sendMessage('by the shop'));
  await until(() => alice.bodies(), ['Hello?', 'by the shop']);
  await page.evaluate(() => {
    window.drawn = new ChatClient('42', 'bob', { container: '#here' });
  });
  await until(() => page.locator('#here .body').allTextContents(), ['Hello?', 'by the shop']);
  await page.locator('#here textarea').fill('drawn');
  await page.locator('#here button').click();
  await until(() => alice.bodies().then((all) => all.at(-1)), 'drawn');
  await page.close();
});

test('an item: the messages so far are in the page, and it goes on live', async () => {
  const [alice, bob] = [await token('alice'), await token('bob')];
  const buyer = await (await Visitor.come('/chat/7', { cookie: alice })).live();
  assert.equal(await buyer.page.locator('h1').textContent(), 'A desk lamp & <its> bulb');
  assert.equal(await buyer.page.locator('.peer-name').textContent(), 'Bob');
  for (const payload of PAYLOADS) await buyer.say(payload);
  await until(() => buyer.bodies(), PAYLOADS);

  // Without scripts all is there already.
  const still = await Visitor.come('/chat/7?buyerId=alice', { cookie: bob, javaScriptEnabled: false });
  assert.deepEqual(await still.bodies(), PAYLOADS);
  assert.equal(await still.page.locator('.body *').count(), 0, 'no text became an element');
  await shoot(still.page, 'chat-5-item-without-scripts');

  const seller = await Visitor.come('/chat/7', { cookie: bob });
  await shoot(seller.page, 'chat-6-buyers');
  await seller.page.getByRole('link', { name: /Alice/ }).click();
  await seller.live();
  assert.deepEqual(await seller.bodies(), PAYLOADS);
  await seller.say('It is yours.');
  await until(() => buyer.bodies(), [...PAYLOADS, 'It is yours.']);
  await buyer.say('Thank you!');
  await until(() => seller.bodies(), [...PAYLOADS, 'It is yours.', 'Thank you!']);
  await seller.page.reload();
  await seller.live();
  assert.deepEqual(await seller.bodies(), [...PAYLOADS, 'It is yours.', 'Thank you!'], 'nothing is told twice');
  await server.kill('SIGKILL');
  await until(() => buyer.part('state').textContent(), 'Reconnecting');
  await buyer.say('written offline');
  await server.up();
  await until(() => seller.bodies().then((all) => all.at(-1)), 'written offline');
});

test('an item: a name passes for no other, and nothing in the page turns its direction, with scripts and without', async () => {
  await shop('/v1/subjects/item/7', { title: 'A \u202epmal\u202c desk', owner_id: 'bob' });
  await shop('/v1/users/alice', { name: 'Bo\u200bb' });
  await shop('/v1/users/carol', { name: 'Al\u2066ice' });
  const names = async (page) => [await page.locator('h1').textContent(), await page.locator('.peer-name').textContent(), await page.locator('.author').first().textContent()];
  const cookie = await token('bob');
  const buyer = await (await Visitor.come('/chat/7', { cookie: await token('alice') })).live();
  await buyer.say('hello\u202e there');
  await buyer.say('two');
  await (await Visitor.come('/chat/7', { cookie: await token('carol') })).live();
  for (const javaScriptEnabled of [false, true]) {
    const seller = await Visitor.come('/chat/7?buyerId=alice', { cookie, javaScriptEnabled });
    if (javaScriptEnabled) await seller.live();
    assert.deepEqual(await names(seller.page), ['A pmal desk', 'Bob (alice)', 'Bob (alice)'], `scripts: ${javaScriptEnabled}`);
    assert.equal(await seller.page.title(), 'A pmal desk');
    await seller.page.goto(`${server.url}/chat/7`);
    const list = await seller.page.locator('.buyers bdi').allTextContents();
    assert.deepEqual(list.sort(), ['Alice (carol)', 'Bob (alice)']);
    assert.deepEqual(await seller.page.locator('.buyers .last').allTextContents().then((all) => all.filter(Boolean)), ['two']);
  }
});

test('an item: the token by the fragment, and who may not come in', async () => {
  const nobody = await Visitor.come('/chat/7');
  assert.equal(await nobody.page.locator('h1').textContent(), 'Please sign in');
  await shoot(nobody.page, 'chat-7-refused');
  const alice = await Visitor.come(`/chat/7#token=${await token('alice')}`);
  assert.equal(await alice.page.evaluate(() => location.hash), '', 'the token stands in the address');
  await alice.live();
  await alice.say('by the fragment');
  await until(() => alice.bodies(), ['by the fragment']);
  const bob = await Visitor.come('/chat/7?userId=bob&buyerId=alice');
  await bob.live();
  assert.deepEqual(await bob.bodies(), ['by the fragment']);
});

test('the pages hold under their strict Content-Security-Policy, on a phone too, light and dark', async () => {
  const [alice, bob] = await order();
  await alice.say('Does it fit?');
  await bob.say('Down to the last pixel, also with a word like Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen.');
  await until(() => alice.bodies().then(({ length }) => length), 2);
  const item = await (await Visitor.come('/chat/7', { cookie: await token('alice') })).live();
  await item.say('And this one?');
  for (const [name, person, path] of [['order', alice, '/chat.html'], ['item', item, '/chat/7']]) {
    const answer = await person.page.request.get(server.url + path);
    const policy = answer.headers()['content-security-policy'] ?? '';
    assert.ok(policy.includes("default-src 'none'") && !policy.includes('unsafe'), policy);
    assert.equal(await person.page.locator('[style], style, script:not([src])').count(), 0);
    for (const colorScheme of ['light', 'dark']) {
      await person.page.emulateMedia({ colorScheme });
      await person.page.setViewportSize({ width: 900, height: 720 });
      await shoot(person.page, `chat-8-${name}-wide-${colorScheme}`);
      await person.page.setViewportSize({ width: 360, height: 700 });
      await shoot(person.page, `chat-8-${name}-phone-${colorScheme}`);
    }
    assert.equal(await person.page.evaluate(() => document.documentElement.scrollWidth), 360, 'nothing is wider than the phone');
  }
});
