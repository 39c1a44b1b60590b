// What people write stays text in the widget, whoever they say they are, and the page's policy is as strict as the server's own.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, shoot, until } from './page.mjs';
import { Server } from './server.mjs';
import { Backend, Chat, chatTag, openShop, tag, tokenUrl } from './shop.mjs';

const KEY = 'the-key-of-a-shop-that-is-32-bytes-long';
const PAYLOADS = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  "javascript:alert(1)//';alert(1)",
  '<style>*{display:none}</style><b>bold</b>',
  '<a href="javascript:alert(1)">click</a>',
  '<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>',
  '</span></li></ol><script>alert(1)</script>',
  '{{constructor.constructor("alert(1)")()}} ${alert(1)} &lt;i&gt; %3Cscript%3E',
  '<template shadowrootmode=open><script>alert(1)</script></template>',
  '<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>',
];

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
  page = await browser.newPage({ viewport: { width: 900, height: 700 } });
  page.on('pageerror', (error) => troubles.push(String(error)));
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (line) => line.type() === 'error' && troubles.push(line.text()));
});

afterEach(async () => {
  await page.close();
  await server.remove();
  assert.deepEqual(troubles, []);
});

/** Every element that the widget's shadow roots may have; anything else came from what a person wrote. */
const KNOWN = ['a', 'bdi', 'button', 'div', 'form', 'header', 'haggle-chat', 'haggle-inbox', 'i', 'input', 'li', 'ol', 'p', 'path', 'section', 'slot',
  'span', 'svg', 'textarea', 'time', 'ul'];

/** What stands in the shadow roots of the page, and what could run in it. */
function inventory() {
  const names = new Set();
  const scripts = [];
  const walk = (root) => {
    for (const element of root.querySelectorAll('*')) {
      names.add(element.localName);
      for (const { name, value } of element.attributes) {
        if (name.startsWith('on') || name === 'style' || /^\s*(javascript|data):/i.test(value)) scripts.push(`${element.localName} ${name}=${value}`);
      }
      if (element.shadowRoot) walk(element.shadowRoot);
    }
  };
  for (const host of document.querySelectorAll('haggle-chat, haggle-inbox, haggle-button')) walk(host.shadowRoot);
  return { names: [...names].sort(), scripts };
}

test('payloads in texts, names, titles and ids stay text, in the conversation and in the inbox', async () => {
  for (const [at, payload] of PAYLOADS.entries()) {
    const id = `user-${at}`;
    await backend.user(id, payload.slice(0, 250));
    await backend.put(`/v1/subjects/order/${at}`, { title: payload });
    await backend.conversation(`order:${at}`, ['alice', id], { subject: { kind: 'order', id: String(at) }, title: at % 2 ? payload : undefined });
    await backend.say(id, payload, `order:${at}`);
  }
  await openShop(page, server, tag('haggle-inbox', { 'token-url': tokenUrl('alice'), for: 'chat' }) + chatTag('alice', { id: 'chat', conversation: 'order:0' }));
  const chat = new Chat(page);
  const rows = page.locator('haggle-inbox .row');
  await until(() => rows.count(), PAYLOADS.length);
  for (const payload of PAYLOADS) {
    await rows.filter({ has: page.getByText(payload, { exact: true }) }).click();
    await until(() => chat.bodies(), [payload]);
    await until(() => chat.title.textContent(), payload);
    await until(() => chat.about.textContent(), payload);
    await chat.text.pressSequentially(payload.slice(0, 20));
    await chat.text.fill(payload);
    await chat.text.press('Enter');
    await until(() => chat.bodies(), [payload, payload]);
    await chat.root.locator('[role="log"]').waitFor({ state: 'attached' });
  }
  const { names, scripts } = await page.evaluate(inventory);
  await shoot(page, 'widget-payloads');
  assert.deepEqual(names.filter((name) => !KNOWN.includes(name)), []);
  assert.deepEqual(scripts, []);
});

test('links are made of http and https alone, lead where they say, and tell nobody where from', async () => {
  const text = 'See https://shop.example/a?b=1&c=(d), (http://shop.example/e). Not javascript:alert(1) ftp://shop.example '
    + 'https://bank.example@evil.example/ nor data:text/html,x HTTPS://SHOP.EXAMPLE/F. Nor https:// or http://\u202egpj.exe';
  await backend.conversation('order:42', ['alice', 'bob']);
  await backend.say('bob', text);
  await openShop(page, server, chatTag('alice'));
  const chat = new Chat(page);
  await until(() => chat.bodies(), [text]);
  const links = await chat.root.locator('.body a').evaluateAll((all) => all.map(({ href, rel, target, textContent }) => ({ href, rel, target, textContent })));
  assert.deepEqual(links.map(({ href }) => href), ['https://shop.example/a?b=1&c=(d)', 'http://shop.example/e', 'https://shop.example/F']);
  assert.deepEqual(links.map(({ textContent }) => textContent), ['https://shop.example/a?b=1&c=(d)', 'http://shop.example/e', 'HTTPS://SHOP.EXAMPLE/F']);
  for (const { rel, target } of links) {
    assert.equal(target, '_blank');
    for (const need of ['noopener', 'noreferrer', 'nofollow']) assert.ok(rel.split(' ').includes(need));
  }
});

test('a name with bidi or zero-width characters, or of two scripts, cannot pass for another\'s', async () => {
  const names = {
    bob: 'Bob', eve1: 'Bob\u200b', eve2: '\u202eboB', eve3: 'B\u043eb', eve4: 'bob ', eve5: '\u2067Bob\u2069', eve6: 'Ｂob', eve7: '\u3164\u200b', carol: 'Carol',
  };
  for (const [id, name] of Object.entries(names)) await backend.user(id, name);
  await backend.conversation('order:42', ['alice', ...Object.keys(names)], { kind: 'group', title: 'All of them' });
  for (const id of Object.keys(names)) await backend.say(id, `from ${id}`);
  await openShop(page, server, chatTag('alice'));
  const chat = new Chat(page);
  await until(() => chat.bodies().then(({ length }) => length), Object.keys(names).length);
  const shown = await chat.root.locator('.message').evaluateAll((rows) => rows.map((row) => [
    row.querySelector('.name bdi').textContent, row.querySelector('.name .tag')?.textContent ?? '',
  ]));
  await shoot(page, 'widget-names');
  const byId = Object.fromEntries(Object.keys(names).map((id, at) => [id, shown[at]]));
  assert.deepEqual(byId.carol, ['Carol', ''], 'who resembles nobody is left alone');
  for (const id of Object.keys(names).filter((one) => /^eve[1-6]/.test(one))) assert.equal(byId[id][1], id, `${id} shows as ${byId[id]}`);
  assert.deepEqual(byId.eve7, ['eve7', ''], 'a name that cannot be seen is no name');
  assert.equal(byId.eve2[0], 'boB');
  for (const [name] of shown) assert.doesNotMatch(name, /[\u200b-\u200f\u202a-\u202e\u2066-\u2069]/u);
});

test('the widget needs nothing inline: a strict policy lets all of it work', async () => {
  await backend.conversation('order:42', ['alice', 'bob']);
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => window.violations.push(`${violatedDirective} ${blockedURI}`));
  });
  await openShop(page, server, chatTag('alice') + tag('haggle-button', { 'token-url': tokenUrl('alice'), open: true }));
  const chat = new Chat(page, 'main > haggle-chat');
  await until(() => chat.state(), 'live');
  await chat.say('styled');
  await until(() => chat.mark('styled'), 'sent');
  const colour = await chat.message('styled').locator('.bubble').evaluate((bubble) => getComputedStyle(bubble).backgroundColor);
  assert.notEqual(colour, 'rgba(0, 0, 0, 0)', 'the style sheet is in force');
  assert.deepEqual(await page.evaluate(() => window.violations), []);
});

test('the shop\'s styles and the widget\'s leave each other alone', async () => {
  await backend.conversation('order:42', ['alice', 'bob']);
  const css = '*{color:red!important;font-size:40px!important}.bubble,.row,button{display:none!important}';
  await backend.say('bob', 'untouched');
  await openShop(page, server, `<p class="bubble message" id="own">own</p>${chatTag('alice')}`, { css });
  const chat = new Chat(page);
  await until(() => chat.message('untouched').isVisible(), true);
  assert.equal(await page.locator('#own').evaluate((own) => getComputedStyle(own).borderRadius), '0px');
});
