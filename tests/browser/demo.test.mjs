// The first minute in a real browser: what a person sees on development's page. HAGGLE_BIN names the server.
import assert from 'node:assert/strict';
import { after, before, beforeEach, afterEach, test } from 'node:test';
import { launch, Pane, PATIENCE_MS, shoot, until } from './page.mjs';
import { Server } from './server.mjs';

const CSP_NEEDS = ["default-src 'none'", "script-src 'self'", "style-src 'self'"];
/** Milliseconds in which another pane must show what happened: at once, on a busy machine. */
const AT_ONCE_MS = 2_000;

let browser, server, page, alice, bob, troubles;

before(async () => {
  assert.ok(process.env.HAGGLE_BIN, 'HAGGLE_BIN names the server binary to test.');
  browser = await launch();
});

after(() => browser?.close());

beforeEach(async () => {
  server = await Server.start(process.env.HAGGLE_BIN);
  page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  page.setDefaultTimeout(PATIENCE_MS);
  watch(page);
  alice = new Pane(page, 'demo-customer');
  bob = new Pane(page, 'demo-agent');
  await open();
});

afterEach(async () => {
  await page.close();
  await server.remove();
  assert.deepEqual(troubles, []);
});

/** Whatever the page complains about, but a server that is away on purpose. */
function watch(watched) {
  troubles = [];
  watched.on('pageerror', (error) => troubles.push(String(error)));
  watched.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  watched.on('console', (line) => {
    if (line.type() === 'error' && !/ERR_CONNECTION_|ERR_EMPTY_RESPONSE|WebSocket/.test(line.text())) troubles.push(line.text());
  });
}

async function open() {
  await page.goto(server.url);
  await live();
}

async function live() {
  for (const pane of [alice, bob]) {
    await until(() => pane.state.textContent(), 'Live');
    await until(() => pane.presence.textContent(), 'online');
  }
}

test('what one writes the other sees at once, and the marks follow', async () => {
  await shoot(page, '1-empty');
  await alice.say('Is the desk lamp still on its way?');
  await until(() => bob.bodies(), ['Is the desk lamp still on its way?'], AT_ONCE_MS);
  await until(() => alice.mark('Is the desk lamp still on its way?'), 'received');
  await bob.text.focus();
  await until(() => alice.mark('Is the desk lamp still on its way?'), 'read', AT_ONCE_MS);
  await bob.say('It left this morning.\nThursday, between 10 and 12.');
  await until(() => alice.bodies(), ['Is the desk lamp still on its way?', 'It left this morning.\nThursday, between 10 and 12.'], AT_ONCE_MS);
  await alice.say('Thank you!');
  await until(() => bob.bodies().then(({ length }) => length), 3);
  await shoot(page, '2-conversation');
});

test('Shift+Enter starts a line, Enter sends, and nothing but spaces is not sent', async () => {
  await alice.text.focus();
  await page.keyboard.type('one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  await page.keyboard.press('Enter');
  await until(() => bob.bodies(), ['one\ntwo']);
  assert.equal(await alice.text.inputValue(), '');
  await alice.text.fill('   ');
  await page.keyboard.press('Enter');
  await alice.say('after');
  await until(() => bob.bodies(), ['one\ntwo', 'after']);
});

test('the limit of 4,000 characters is shown and holds', async () => {
  const send = alice.root.getByRole('button', { name: 'Send' });
  await alice.text.fill('👍'.repeat(4_000));
  assert.equal(await alice.root.locator('.count').textContent(), '4,000 / 4,000');
  assert.equal(await send.isEnabled(), true);
  await alice.text.fill('👍'.repeat(4_001));
  assert.equal(await send.isEnabled(), false);
  await alice.text.press('Enter');
  await alice.text.fill('👍'.repeat(4_000));
  await send.click();
  await until(() => bob.bodies(), ['👍'.repeat(4_000)]);
});

test('typing shows while it lasts', async () => {
  await bob.text.pressSequentially('Let me lo');
  await until(() => alice.typing.textContent(), 'Bob is typing', AT_ONCE_MS);
  assert.equal(await bob.typing.textContent(), '', 'nobody sees their own typing');
  await shoot(page, '3-typing');
  await bob.text.fill('');
  await until(() => alice.typing.textContent(), '', AT_ONCE_MS);
  await bob.text.pressSequentially('ok');
  await until(() => alice.typing.textContent(), 'Bob is typing', AT_ONCE_MS);
  await page.keyboard.press('Enter');
  await until(() => alice.typing.textContent(), '', AT_ONCE_MS);
});

test('a pane that nobody looks at counts unread, and focusing it reads', async () => {
  await bob.text.focus();
  for (const text of ['one', 'two', 'three']) await bob.say(text);
  await until(() => alice.badge.textContent(), '3 unread');
  assert.equal(await alice.badge.isVisible(), true);
  assert.equal(await bob.badge.isVisible(), false, 'own messages are not unread');
  await shoot(page, '4-unread');
  assert.notEqual(await bob.mark('three'), 'read');
  await alice.text.focus();
  await until(() => alice.badge.isVisible(), false);
  await until(() => bob.mark('three'), 'read');
  await page.reload();
  await live();
  assert.equal(await alice.badge.isVisible(), false);
});

test('unread survives a reload', async () => {
  await bob.text.focus();
  await bob.say('one');
  await bob.say('two');
  await until(() => alice.badge.textContent(), '2 unread');
  await page.route('**/js/demo.js', async (route) => {
    const answer = await route.fetch();
    // Nobody looks at either pane.
    await route.fulfill({ response: answer, body: (await answer.text()).replace(/^document\.querySelector.*$/m, '') });
  });
  await page.reload();
  await live();
  await until(() => alice.badge.textContent(), '2 unread');
});

test('someone who has scrolled away counts unread, and jumps to the newest', async () => {
  for (let line = 1; line <= 20; line += 1) await bob.say(`line ${line}`);
  await until(() => alice.bodies().then(({ length }) => length), 20);
  await alice.text.focus();
  await until(() => alice.badge.isVisible(), false);
  await alice.scroll.evaluate((element) => (element.scrollTop = 0));
  await alice.jump.waitFor();
  await api('demo-agent', 'news');
  await until(() => alice.badge.textContent(), '1 unread');
  assert.equal(await alice.scroll.evaluate((element) => element.scrollTop), 0, 'the reader stays where they read');
  await alice.jump.click();
  await until(() => alice.badge.isVisible(), false);
  await until(() => alice.bubble('news').isVisible(), true);
});

test('presence follows the other one', async () => {
  const gate = { isOpen: true, ofBob: [] };
  await page.routeWebSocket(/\/ws$/, (socket) => pass(socket, gate));
  await open();
  gate.isOpen = false;
  for (const socket of gate.ofBob) await socket.close();
  await until(() => bob.state.textContent(), 'Reconnecting');
  await until(() => alice.presence.textContent().then((text) => text.startsWith('last seen ')), true);
  await shoot(page, '7-away');
  gate.isOpen = true;
  await until(() => alice.presence.textContent(), 'online');
});

/** Stands between a pane and the server, and turns Bob away while the gate is shut. */
function pass(socket, gate) {
  let server;
  socket.onMessage((text) => {
    const { type, token = '' } = JSON.parse(text);
    if (type === 'auth' && claims(token).sub === 'demo-agent') {
      if (!gate.isOpen) return void socket.close();
      gate.ofBob.push(socket, (server = socket.connectToServer()));
    }
    server ??= socket.connectToServer();
    server.send(text);
  });
}

function claims(token) {
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
}

test('a reload keeps the history and its order', async () => {
  await converse();
  await page.reload();
  await live();
  for (const pane of [alice, bob]) assert.deepEqual(await pane.bodies(), ['one', 'two', 'three']);
});

test('a reload keeps the marks', async () => {
  await converse();
  await bob.text.focus();
  await until(() => alice.mark('three'), 'read');
  await page.reload();
  await live();
  for (const text of ['one', 'three']) await until(() => alice.mark(text), 'read');
  await until(() => bob.mark('two'), 'read');
});

async function converse() {
  await alice.say('one');
  await until(() => bob.bodies(), ['one']);
  await bob.say('two');
  await until(() => alice.bodies(), ['one', 'two']);
  await alice.say('three');
  await until(() => bob.bodies(), ['one', 'two', 'three']);
}

test('long history loads on the way up, without a jump', async () => {
  for (let line = 1; line <= 120; line += 1) await api('demo-agent', `line ${line}`);
  await page.reload();
  await live();
  await until(() => alice.bodies().then(({ length }) => length), 50);
  await until(() => alice.bubble('line 120').isVisible(), true);
  for (const loaded of [100, 120]) {
    const top = () => alice.bubble(`line ${loaded === 100 ? 71 : 21}`).evaluate((element) => element.getBoundingClientRect().top);
    const before = await alice.scroll.evaluate((element) => {
      element.scrollTop = 60;
      return element.scrollTop;
    }).then(top);
    await until(() => alice.bodies().then(({ length }) => length), loaded);
    assert.ok(Math.abs((await top()) - before) <= 2, `what was read moved from ${before} to ${await top()}`);
  }
  const bodies = await alice.bodies();
  assert.deepEqual(bodies, Array.from({ length: 120 }, (_, at) => `line ${at + 1}`));
});

test('kill -9 and a start on the same database: both come back, nothing missing, nothing doubled, offline text sent once', async () => {
  await alice.say('before');
  await until(() => bob.bodies(), ['before']);
  await server.kill('SIGKILL');
  for (const pane of [alice, bob]) await until(() => pane.state.textContent(), 'Reconnecting');
  await alice.say('written offline 1');
  await alice.say('written offline 2');
  await bob.say('written offline by Bob');
  assert.equal(await alice.mark('written offline 1'), 'sending');
  await shoot(page, '5-offline');
  await server.up();
  await live();
  const all = ['before', 'written offline 1', 'written offline 2', 'written offline by Bob'];
  for (const pane of [alice, bob]) {
    await until(() => pane.bodies().then((bodies) => bodies.toSorted()), all);
  }
  const order = await alice.bodies();
  assert.deepEqual(await bob.bodies(), order, 'both see the same order');
  assert.ok(order.indexOf('written offline 1') < order.indexOf('written offline 2'), 'the order of writing holds');
  await alice.say('after');
  await until(() => bob.bodies().then((bodies) => bodies.at(-1)), 'after');
  assert.deepEqual((await stored()).map(({ body }) => body), [...order, 'after'], 'stored once, in the order shown');
});

test('three restarts while both write lose and double nothing', async () => {
  const written = [];
  const write = async (pane, text) => {
    written.push(text);
    await pane.say(text);
  };
  for (let round = 1; round <= 3; round += 1) {
    for (let at = 1; at <= 4; at += 1) await write(at % 2 ? alice : bob, `round ${round} text ${at}`);
    await server.kill('SIGKILL');
    await write(alice, `round ${round} offline`);
    await server.up();
  }
  await live();
  for (const pane of [alice, bob]) await until(() => pane.bodies().then((bodies) => bodies.toSorted()), written.toSorted());
  const bodies = (await stored()).map(({ body }) => body);
  assert.deepEqual(await alice.bodies(), bodies);
  assert.deepEqual(await bob.bodies(), bodies);
});

test('an orderly stop is announced, and both come back too', async () => {
  await server.kill('SIGTERM');
  for (const pane of [alice, bob]) await until(() => pane.state.textContent(), 'Reconnecting');
  await server.up();
  await live();
  await alice.say('again');
  await until(() => bob.bodies(), ['again']);
});

test('what a person writes stays text', async () => {
  const payloads = [
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '"><svg onload=alert(1)>',
    "javascript:alert(1)//';alert(1)",
    '<style>*{display:none}</style><b>bold</b>',
    '{{constructor.constructor("alert(1)")()}} ${alert(1)} &lt;i&gt;',
    '\u202e\u2066txet\u2069 \u0301',
  ];
  for (const payload of payloads) await alice.say(payload);
  await until(() => bob.bodies(), payloads);
  await page.reload();
  await live();
  for (const pane of [alice, bob]) {
    await until(() => pane.bodies(), payloads);
    assert.equal(await pane.root.locator('.body *').count(), 0, 'no text became an element');
  }
});

test('the page holds under its strict Content-Security-Policy', async () => {
  const answer = await page.request.get(server.url);
  const policy = answer.headers()['content-security-policy'] ?? '';
  for (const need of CSP_NEEDS) assert.ok(policy.includes(need), `the policy is: ${policy}`);
  assert.ok(!policy.includes('unsafe'), policy);
  assert.equal(await page.locator('[style], style, script:not([src])').count(), 0);
});

test('the keyboard alone does everything', async () => {
  await page.locator('.brand').click();
  await page.evaluate(() => document.activeElement?.blur());
  const stops = [];
  for (let press = 0; press < 16 && !stops.includes('text-demo-agent'); press += 1) {
    await page.keyboard.press('Tab');
    stops.push(await page.evaluate(() => document.activeElement?.id || document.activeElement?.className || ''));
  }
  assert.ok(stops.includes('text-demo-customer') && stops.includes('text-demo-agent'), `Tab stops: ${stops}`);
  await page.keyboard.type('by keyboard');
  await page.keyboard.press('Enter');
  await until(() => alice.bodies(), ['by keyboard']);
  await until(() => alice.root.getByRole('log').textContent(), 'Bob: by keyboard');
});

test('on a phone the panes stand below each other, light and dark', async () => {
  await alice.say('Does it fit?');
  await bob.say('Down to the last pixel, also with a word like Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen.');
  await until(() => alice.bodies().then(({ length }) => length), 2);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 1280, height: 860 });
    await shoot(page, `6-wide-${colorScheme}`, { fullPage: true });
    await page.setViewportSize({ width: 360, height: 780 });
    await shoot(page, `6-phone-${colorScheme}`, { fullPage: true });
  }
  const [above, below] = [await alice.root.boundingBox(), await bob.root.boundingBox()];
  assert.ok(below.y >= above.y + above.height && above.x === below.x);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, 'nothing is wider than the phone');
});

/** Sends by REST, as the shop's backend or another device would. */
async function api(user, body) {
  const answer = await fetch(`${server.url}/v1/conversations/order:demo/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await token(user)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ body }),
  });
  assert.equal(answer.status, 201);
}

/** What the server holds, oldest first. */
async function stored() {
  const answer = await fetch(`${server.url}/v1/conversations/order:demo/messages?limit=200`, {
    headers: { authorization: `Bearer ${await token('demo-customer')}` },
  });
  assert.equal(answer.status, 200);
  return (await answer.json()).messages;
}

async function token(user) {
  const name = { 'demo-customer': 'Alice', 'demo-agent': 'Bob' }[user];
  const role = { 'demo-customer': 'customer', 'demo-agent': 'agent' }[user];
  const answer = await fetch(`${server.url}/dev/token?${new URLSearchParams({ userId: user, name, role })}`);
  return (await answer.json()).token;
}
