// The widget's inbox and button, its accessibility, its languages, and how it holds long conversations.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, shoot, until } from './page.mjs';
import { Server } from './server.mjs';
import { Backend, Chat, chatTag, openShop, tag, tokenUrl } from './shop.mjs';

const KEY = 'the-key-of-a-shop-that-is-32-bytes-long';
const AXE = await readFile(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
/** What docs/widget.md promises of a conversation of 5,000 messages. */
const MESSAGES = 5_000;
const NODES_MAX = 2_000;
const HEAP_MAX_BYTES = 8 * 1024 * 1024;
/** A scroll that takes longer than this in one task is seen as a jerk. */
const TASK_MAX_MS = 120;

let browser, server, backend, page, troubles;

before(async () => {
  assert.ok(process.env.HAGGLE_BIN, 'HAGGLE_BIN names the server binary to test.');
  browser = await launch();
});

after(() => browser?.close());

beforeEach(async () => {
  troubles = [];
  server = await Server.start(process.env.HAGGLE_BIN, { HAGGLE_SERVER_KEY: KEY, HAGGLE_RATE_LIMITS: 'off' });
  backend = new Backend(server, KEY);
  for (const [id, name] of Object.entries({ alice: 'Alice', bob: 'Bob', carlos: 'Carlos', zoe: 'Zoë', layla: 'ليلى' })) await backend.user(id, name);
  await backend.put('/v1/subjects/order/42', { title: 'Order 1042: two armchairs' });
  await backend.put('/v1/subjects/product/7', { title: 'Desk lamp', owner_id: 'bob' });
  await backend.conversation('order:42', ['alice', 'bob'], { subject: { kind: 'order', id: '42' } });
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await server.remove();
  assert.deepEqual(troubles, []);
});

async function open(body, options = {}) {
  page = await browser.newPage({ viewport: options.viewport ?? { width: 1100, height: 720 }, ...options.context });
  page.on('pageerror', (error) => troubles.push(String(error)));
  await openShop(page, server, body, options);
  return page;
}

const inboxTag = (user, attributes = {}) => tag('haggle-inbox', { 'token-url': tokenUrl(user), ...attributes });
const buttonTag = (user, attributes = {}) => tag('haggle-button', { 'token-url': tokenUrl(user), ...attributes });
const names = () => page.locator('haggle-inbox .name').allTextContents();

/** Several people who wrote to Bob about things. */
async function busy() {
  await backend.say('alice', 'First of all, hello');
  for (const [id, title] of [['carlos', 'A bicycle'], ['zoe', undefined], ['layla', 'مصباح مكتب']]) {
    await backend.conversation(`about:${id}`, ['bob', id], { title });
    await backend.say(id, 'Is it still there?', `about:${id}`);
  }
}

test('the inbox is newest first and live, shows what is unread, and opens what is chosen', async () => {
  await busy();
  await open(inboxTag('bob', { for: 'desk' }) + tag('haggle-chat', { id: 'desk', 'token-url': tokenUrl('bob') }));
  await until(names, ['ليلى', 'Zoë', 'Carlos', 'Alice']);
  await until(() => page.locator('haggle-chat .empty').textContent(), 'Choose a conversation.');
  await backend.say('alice', 'And one thing more');
  await until(names, ['Alice', 'ليلى', 'Zoë', 'Carlos']);
  const alice = page.locator('haggle-inbox .row').first();
  assert.match(await alice.textContent(), /2 unread messages/);
  assert.match(await alice.textContent(), /And one thing more/);
  await alice.click();
  const chat = new Chat(page);
  await until(() => chat.bodies(), ['First of all, hello', 'And one thing more']);
  await until(() => alice.locator('.badge').count(), 0);
  assert.equal(await alice.getAttribute('aria-current'), 'true');
  await until(() => page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.localName), 'textarea');
  await page.keyboard.type('At your service');
  await page.keyboard.press('Enter');
  await until(() => alice.locator('.preview').textContent(), 'You: At your service');
  await shoot(page, 'widget-inbox');
  await backend.conversation('about:new', ['bob', 'dora'], { title: 'A new one' });
  await backend.say('dora', 'Good evening', 'about:new');
  await until(() => names().then(([first]) => first), 'dora');
});

test('the inbox is searched by name and by title, by the keyboard alone', async () => {
  await busy();
  await open(inboxTag('bob'));
  await until(() => names().then(({ length }) => length), 4);
  const search = page.getByRole('searchbox');
  await search.focus();
  for (const [query, found] of [['zoe', ['Zoë']], ['BICYC', ['Carlos']], ['ليلى', ['ليلى']], ['armchairs', ['Alice']], ['nobody', []]]) {
    await search.fill(query);
    await until(names, found);
  }
  await until(() => page.locator('haggle-inbox .state').textContent(), 'Nothing found.');
  assert.equal(await page.locator('haggle-inbox .sr[role="status"]').textContent(), '0 conversations');
  await search.press('Escape');
  await until(() => names().then(({ length }) => length), 4);
  let chosen;
  await page.exposeFunction('chosen', (title) => (chosen = title));
  await page.evaluate(() => document.addEventListener('haggle-select', ({ detail }) => window.chosen(detail.conversation.title)));
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'Enter']) await page.keyboard.press(key);
  await until(() => chosen, 'A bicycle');
});

test('many conversations come a page at a time, and search finds those that are not loaded', async () => {
  for (let at = 1; at <= 130; at += 1) await backend.conversation(`order:${1_000 + at}`, ['bob', `buyer-${at}`], { title: `Parcel ${at}` });
  await open(inboxTag('bob'));
  await until(() => names().then(({ length }) => length), 50);
  await page.getByRole('searchbox').fill('buyer-1');
  await until(() => names().then((all) => all.includes('buyer-1')), true);
  await page.getByRole('searchbox').fill('');
  const older = page.getByRole('button', { name: 'Show older conversations' });
  for (const count of [100, 131]) {
    await older.click();
    await until(() => names().then(({ length }) => length), count);
  }
  assert.equal(await older.isVisible(), false);
});

test('the button counts what is unread, and opens and closes by keyboard', async () => {
  await backend.say('bob', 'one');
  await open(buttonTag('alice', { conversation: 'order:42' }));
  const button = page.locator('.fab');
  await until(() => button.getAttribute('aria-label'), 'Open chat: \u2068Order 1042: two armchairs\u2069, 1 unread message');
  await backend.say('bob', 'two');
  await until(() => page.locator('.fab .badge').textContent(), '2');
  await button.focus();
  await page.keyboard.press('Enter');
  const chat = new Chat(page);
  await until(() => chat.bodies(), ['one', 'two']);
  await until(() => page.evaluate(() => document.querySelector('haggle-button').unread), 0);
  await page.keyboard.type('three');
  await page.keyboard.press('Enter');
  await until(() => chat.mark('three'), 'sent');
  await shoot(page, 'widget-button');
  await page.keyboard.press('Escape');
  assert.equal(await chat.root.isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.shadowRoot.activeElement.className), 'fab');
  await backend.say('bob', 'while closed');
  await until(() => button.getAttribute('aria-label'), 'Open chat: \u2068Order 1042: two armchairs\u2069, 1 unread message');
});

test('on a product page the button opens a conversation with the seller, and finds it again', async () => {
  for (const round of [1, 2]) {
    await open(buttonTag('zoe', { with: 'bob', subject: 'product:7' }), { path: `/product-${round}` });
    await page.locator('.fab').click();
    const chat = new Chat(page);
    await until(() => chat.about.textContent(), 'Desk lamp');
    await chat.say(`round ${round}`);
    await until(() => chat.mark(`round ${round}`).then(Boolean), true);
    await until(() => chat.bodies().then(({ length }) => length), round);
  }
});

test('a button whose conversation cannot be opened says so, and tries again when it is told to', async () => {
  const context = await browser.newContext({ viewport: { width: 900, height: 720 } });
  page = await context.newPage();
  let isDown = true;
  await page.route('**/v1/conversations', (route) => (isDown ? route.abort() : route.continue()));
  await openShop(page, server, buttonTag('zoe', { with: 'bob', subject: 'product:7' }));
  await page.locator('.fab').click();
  const again = page.getByRole('button', { name: 'Try again' });
  await again.waitFor();
  await until(() => again.evaluate((element) => element.matches(':focus')), true);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ failureSummary }) => failureSummary)]), []);
  await shoot(page, 'widget-button-failed');
  isDown = false;
  await page.keyboard.press('Enter');
  const chat = new Chat(page);
  await until(() => chat.about.textContent(), 'Desk lamp');
  await until(() => chat.text.evaluate((element) => element.matches(':focus')), true);
});

test('every element tells its page the state of the connection, once', async () => {
  await open('');
  await page.evaluate(() => {
    window.told = [];
    document.addEventListener('haggle-state', ({ target, detail }) => window.told.push(`${target.localName} ${detail.state}`));
  });
  const told = () => page.evaluate(() => window.told.splice(0).sort());
  await page.evaluate((html) => document.querySelector('main').insertAdjacentHTML('beforeend', html),
    inboxTag('bob') + buttonTag('alice', { conversation: 'order:42', open: true }) + chatTag('alice'));
  const states = () => page.evaluate(() => ['inbox', 'button', 'chat'].map((name) => document.querySelector(`haggle-${name}`).state));
  await until(states, ['live', 'live', 'live']);
  assert.deepEqual((await told()).filter((one) => one.endsWith('live')), ['haggle-button live', 'haggle-chat live', 'haggle-inbox live']);
  await server.kill();
  await until(() => states().then((all) => all.includes('live')), false);
  assert.deepEqual((await told()).filter((one) => one.endsWith('offline')).slice(0, 3).length, 3);
});

test('without a conversation the button opens the inbox, and goes there and back', async () => {
  await busy();
  await open(buttonTag('bob'));
  await until(() => page.locator('.fab .badge').textContent(), '4');
  await page.locator('.fab').click();
  await until(() => names().then(({ length }) => length), 4);
  await page.locator('haggle-inbox .row').first().click();
  const chat = new Chat(page);
  await until(() => chat.title.textContent(), 'ليلى');
  await page.getByRole('button', { name: 'Back to conversations' }).click();
  await until(() => names().then(({ length }) => length), 4);
  await page.getByRole('button', { name: 'Close chat' }).first().click();
  await until(() => page.locator('.fab .badge').textContent(), '3');
});

test('several buttons on a page are told apart by what they are about', async () => {
  await backend.conversation('order:43', ['alice', 'bob'], { title: 'Order 1043: a lamp' });
  await backend.conversation('talk', ['alice', 'carlos']);
  await open(buttonTag('alice', { conversation: 'order:42' }) + buttonTag('alice', { conversation: 'order:43' }) + buttonTag('alice', { conversation: 'talk' })
    + buttonTag('alice', { with: 'zoe', subject: 'product:7' }) + buttonTag('alice') + buttonTag('alice', { heading: 'Our support', conversation: 'order:42' }));
  const told = async () => {
    const labels = await page.locator('.fab').evaluateAll((all) => all.map((one) => one.getAttribute('aria-label').replace(/[\u2068\u2069]/g, '')));
    return labels.map((label) => label.replace('Open chat: ', ''));
  };
  await until(told, ['Order 1042: two armchairs', 'Order 1043: a lamp', 'Carlos', 'product 7', 'Conversations', 'Our support']);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  assert.deepEqual(violations.map(({ id }) => id), []);
});

test('an inbox that cannot be loaded says so, asks again by itself, and at once when it is told to', async () => {
  await busy();
  let isDown = true;
  const context = await browser.newContext({ viewport: { width: 500, height: 700 } });
  page = await context.newPage();
  let asked = 0;
  await page.routeWebSocket('**/ws', (socket) => {
    const there = socket.connectToServer();
    socket.onMessage((text) => {
      const { id, type } = JSON.parse(text);
      if (type === 'conversations') asked += 1;
      if (type !== 'conversations' || !isDown) there.send(text);
      else socket.send(JSON.stringify({ id, ok: false, error: { code: 'unavailable', message: 'away', retry_after: 1 } }));
    });
  });
  await openShop(page, server, inboxTag('bob'));
  const state = page.locator('haggle-inbox .state');
  await until(() => state.textContent(), 'The conversations could not be loaded.');
  await until(() => asked > 2, true);
  isDown = false;
  await until(() => names().then(({ length }) => length), 4);
  assert.equal(await state.isVisible(), false);
  isDown = true;
  await page.reload();
  await page.getByRole('button', { name: 'Try again' }).waitFor();
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  assert.deepEqual(violations.map(({ id }) => id), []);
  isDown = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  await until(() => names().then(({ length }) => length), 4);
  assert.equal(await page.getByRole('searchbox').evaluate((element) => element.matches(':focus')), true, 'the focus does not fall off the page');
});

test('axe finds nothing, light and dark, in the chat, the inbox and the panel', async () => {
  await busy();
  await backend.say('bob', 'See https://shop.example/a');
  await open(inboxTag('bob', { selected: '1' }) + chatTag('alice')
    + `</main>${buttonTag('alice', { conversation: 'order:42', open: true })}`);
  const chat = new Chat(page, 'main > haggle-chat');
  await until(() => chat.bodies().then(({ length }) => length), 2);
  await until(() => names().then(({ length }) => length), 4);
  await chat.say('A last word');
  await until(() => chat.mark('A last word'), 'sent');
  await chat.root.getByRole('button', { name: 'Emoji' }).click();
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run(document));
    await shoot(page, `widget-axe-${colorScheme}`);
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ target, failureSummary }) => [target, failureSummary])]), [], colorScheme);
  }
});

test('axe finds nothing while the connection is away, a text is too long, and a message has failed', async () => {
  await open(chatTag('alice', { theme: 'dark' }));
  const chat = new Chat(page);
  await until(() => chat.state(), 'live');
  await server.kill();
  await until(() => chat.notice.isVisible(), true);
  await chat.say('waits');
  await chat.text.fill('x'.repeat(4_001));
  await until(() => chat.root.locator('.count').isVisible(), true);
  await page.evaluate(AXE);
  for (const theme of ['dark', 'light']) {
    await page.evaluate((name) => document.querySelector('haggle-chat').setAttribute('theme', name), theme);
    const { violations } = await page.evaluate(() => window.axe.run(document));
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ failureSummary }) => failureSummary)]), [], theme);
  }
});

test('each language speaks its own, and Arabic runs from right to left', async () => {
  await backend.say('bob', 'Hello');
  const words = { en: 'Send', es: 'Enviar', de: 'Senden', ar: 'إرسال', zh: '发送', fr: 'Send' };
  await open(chatTag('alice'));
  const chat = new Chat(page);
  for (const [lang, send] of Object.entries(words)) {
    await page.evaluate((tag) => document.querySelector('haggle-chat').setAttribute('lang', tag), lang);
    await until(() => chat.root.locator('.send').getAttribute('aria-label'), send);
    await until(() => chat.bodies().then(([first]) => first), 'Hello');
    const { direction } = await chat.root.locator('.frame').evaluate((frame) => getComputedStyle(frame));
    assert.equal(direction, lang === 'ar' ? 'rtl' : 'ltr');
    if (lang !== 'ar') continue;
    await chat.say('شكرا');
    await until(() => chat.mark('شكرا'), 'sent');
    const [mine, theirs] = [await chat.message('شكرا').boundingBox(), await chat.message('Hello').boundingBox()];
    assert.ok(mine.x < theirs.x, 'one\'s own stand on the left');
    await shoot(page, 'widget-arabic');
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run(document));
    assert.deepEqual(violations.map(({ id }) => id), []);
    await chat.root.evaluate((element) => element.setAttribute('lang', 'en'));
    await until(() => chat.root.locator('.send').getAttribute('aria-label'), 'Send');
    await page.evaluate(() => document.querySelector('haggle-chat').removeAttribute('lang'));
  }
});

test('it fits a phone, with long words, long names and a panel over the whole page', async () => {
  await backend.user('bob', 'Wolfeschlegelsteinhausenbergerdorff'.repeat(2));
  await backend.say('bob', 'Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen'.repeat(3));
  await open(`<p>Below</p>${buttonTag('alice', { conversation: 'order:42' })}`, { viewport: { width: 320, height: 640 }, context: { reducedMotion: 'reduce' } });
  await page.locator('.fab').click();
  const chat = new Chat(page);
  await until(() => chat.bodies().then(({ length }) => length), 1);
  await shoot(page, 'widget-phone');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, 'nothing is wider than the phone');
  const box = await chat.root.boundingBox();
  assert.deepEqual([box.x, box.y, box.width, box.height].map(Math.round), [0, 0, 320, 640]);
  assert.equal(await chat.scroll.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth), 0);
  for (const button of await chat.root.locator('button:visible').all()) {
    const { width, height } = await button.boundingBox();
    assert.ok(width >= 24 && height >= 24, 'a target that a finger meets');
  }
});

test('a shop\'s colours are in force', async () => {
  await open(chatTag('alice'), { css: 'haggle-chat{--haggle-accent:rgb(120 0 90);--haggle-radius:0px}' });
  const chat = new Chat(page);
  await until(() => chat.state(), 'live');
  await chat.say('ours');
  const colour = await chat.message('ours').locator('.bubble').evaluate((bubble) => getComputedStyle(bubble).backgroundColor);
  assert.equal(colour, 'rgb(120, 0, 90)');
});

test('5,000 messages scroll to the first and back without a jump, in few elements and little memory', async () => {
  const lines = Array.from({ length: MESSAGES }, (_, at) => `line ${at + 1}${at % 7 === 0 ? '\nwith more below it, so that heights differ' : ''}`);
  // In order: each batch begins when the one before is stored.
  for (let at = 0; at < MESSAGES; at += 1) await backend.say(at % 3 ? 'alice' : 'bob', lines[at]);
  await open(chatTag('alice'));
  const chat = new Chat(page);
  await until(() => chat.bodies().then((bodies) => bodies.length > 30), true);
  const cdp = await page.context().newCDPSession(page);
  const heap = async () => {
    await cdp.send('HeapProfiler.collectGarbage');
    return (await cdp.send('Runtime.getHeapUsage')).usedSize;
  };
  await chat.jump.click({ timeout: 3_000 }).catch(() => {});
  const seen = await page.evaluate(toAnEnd, -400);
  assert.deepEqual(seen.jumps, [], 'what was read did not move');
  assert.equal(seen.first, 'line 1\nwith more below it, so that heights differ');
  assert.ok(seen.nodes <= NODES_MAX, `${seen.nodes} elements`);
  const used = await heap();
  assert.ok(used <= HEAP_MAX_BYTES, `${(used / 1024 / 1024).toFixed(1)} MB`);
  assert.ok(seen.longest <= TASK_MAX_MS, `the longest task took ${seen.longest} ms`);
  console.log(`# 5,000 messages: ${seen.nodes} elements at most, ${(used / 1024 / 1024).toFixed(1)} MB in all, longest scroll task ${seen.longest.toFixed(0)} ms, ${seen.steps} steps`);
  const back = await page.evaluate(toAnEnd, 400);
  assert.deepEqual(back.jumps, [], 'what was read did not move on the way down either');
  assert.deepEqual(back.passed, lines, 'nothing is left out on the way down');
  assert.ok(back.nodes <= NODES_MAX, `${back.nodes} elements`);
  assert.ok(await heap() <= HEAP_MAX_BYTES);
  assert.equal(await chat.jump.isVisible(), false, 'the end is the newest message');
  await backend.say('bob', 'live again');
  await until(() => chat.bodies().then((bodies) => bodies.at(-1)), 'live again');
});

test('whoever reads far up keeps their place while more comes than is held, and is at the newest with one press', async () => {
  for (let at = 1; at <= 300; at += 1) await backend.say('alice', `old ${at}`);
  await open(chatTag('alice'));
  const chat = new Chat(page);
  await until(() => chat.bodies().then((bodies) => bodies.length > 30), true);
  await chat.jump.click({ timeout: 3_000 }).catch(() => {});
  await page.evaluate(toAnEnd, -400);
  const place = () => chat.message('old 3').evaluate((row) => row.getBoundingClientRect().top);
  const before = await place();
  for (let at = 1; at <= 1_500; at += 1) await backend.say('bob', `new ${at}`);
  await until(() => page.evaluate(() => document.querySelector('haggle-chat').unread), 1_500);
  assert.equal(await place(), before);
  await until(() => chat.jump.getAttribute('aria-label'), 'Jump to the newest message, 1,500 unread messages');
  await chat.jump.click();
  await until(() => chat.bodies().then((bodies) => bodies.at(-1)), 'new 1500');
  await until(() => page.evaluate(() => document.querySelector('haggle-chat').unread), 0);
});

/**
 * Scrolls by so many pixels at a time until there is no more, and watches how what is in sight moves, what there is and how much, and how
 * long it takes.
 */
async function toAnEnd(byPx) {
  const root = document.querySelector('haggle-chat').shadowRoot;
  const scroll = root.querySelector('.scroll');
  const result = { jumps: [], nodes: 0, longest: 0, steps: 0, first: '', passed: [] };
  const passed = new Set();
  const watched = () => [...root.querySelectorAll('.message')].find((row) => row.getBoundingClientRect().bottom > scroll.getBoundingClientRect().top + 100);
  const settled = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  for (let idle = 0; idle < 60 && result.steps < 4_000; ) {
    const row = watched();
    const body = row.querySelector('.body').textContent;
    const before = row.getBoundingClientRect().top;
    const from = scroll.scrollTop;
    const began = performance.now();
    for (const { textContent } of root.querySelectorAll('.message .body')) passed.add(textContent);
    scroll.scrollTop = Math.max(0, from + byPx);
    const moved = from - scroll.scrollTop;
    scroll.dispatchEvent(new Event('scroll'));
    result.longest = Math.max(result.longest, performance.now() - began);
    await settled();
    if (row.isConnected && row.querySelector('.body').textContent === body) {
      const drift = row.getBoundingClientRect().top - before - moved;
      // Within 48 pixels of the newest message it stays with that one.
      const fromEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight;
      if (Math.abs(drift) > 2 && (byPx < 0 || fromEnd > 48)) result.jumps.push([body, drift]);
    }
    result.nodes = Math.max(result.nodes, root.querySelectorAll('*').length);
    result.steps += 1;
    result.first = root.querySelector('.message .body').textContent;
    idle = moved === 0 ? idle + 1 : 0;
    if (moved === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  result.passed = [...passed];
  return result;
}
