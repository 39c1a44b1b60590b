// Development's sample marketplace: its pages, its people, the lines that embed each, and how it looks to whom. HAGGLE_BIN names the server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { fresh, live, Market } from './market.mjs';
import { launch, PATIENCE_MS, shoot, until } from './page.mjs';
import { Server } from './server.mjs';

const CSP_NEEDS = ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"];
const PHONE = { viewport: { width: 375, height: 760 }, hasTouch: true };

let browser, server, markets;

before(async () => {
  assert.ok(process.env.HAGGLE_BIN, 'HAGGLE_BIN names the server binary to test.');
  browser = await launch();
});

after(() => browser?.close());

beforeEach(async () => {
  markets = [];
  server = await Server.start(process.env.HAGGLE_BIN);
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

const row = (market, id, text) => market.window(id).locator('haggle-inbox .row').filter({ hasText: text });

test('the first page: a buyer asks about an item by its button, the seller answers from the inbox', async () => {
  const market = await open('');
  const bob = market.chat('two');
  await until(() => row(market, 'two', 'Walnut armchair').count(), 1);
  const button = market.window('one').locator('haggle-button');
  await button.getByRole('button', { name: 'Open chat' }).click();
  const alice = button.getByRole('textbox');
  await alice.fill('Can I see it on Friday?');
  await alice.press('Enter');
  await until(() => market.window('two').locator('haggle-inbox .preview').first().textContent(), 'Can I see it on Friday?');
  await market.window('two').locator('haggle-inbox .row').first().click();
  await until(() => bob.bodies(), ['Can I see it on Friday?']);
  await until(() => bob.title.textContent(), 'Alice');
  await shoot(market.page, 'demo-first');
  await button.getByRole('button', { name: 'Close chat' }).first().click();
  await bob.say('Any time after four.');
  await button.getByRole('button', { name: /^Open chat: .*, 1 unread message$/ }).click();
  await until(() => button.locator('.body').allTextContents(), ['Can I see it on Friday?', 'Any time after four.']);
  await until(() => bob.mark('Any time after four.'), 'read');
});

test('each of the people is somebody else, on each page, and a reload changes nothing', async () => {
  const market = await open('one=alice.order&two=carol.inbox');
  await live(market.chat('one'));
  await until(() => market.chat('one').title.textContent(), 'Bob');
  await market.choose('one', 'David');
  await until(() => market.window('one').locator('h3').textContent(), 'Order 1043');
  await until(() => market.chat('one').title.textContent(), 'Carol');
  await market.choose('two', 'Bob');
  await until(() => market.window('two').locator('haggle-inbox .about').first().textContent(), 'Order 1042: two dining chairs');
  await market.choose('two', 'Item');
  await until(() => market.window('two').locator('haggle-button .fab').isVisible(), true);
  assert.equal(new URL(market.page.url()).hash, '#one=david.order&two=bob.item');
  await market.page.reload();
  await until(() => market.chat('one').title.textContent(), 'Carol');
  await until(() => market.window('two').getByRole('heading', { name: 'Walnut armchair, 1962' }).isVisible(), true);
});

test('a second person comes and goes', async () => {
  const market = await open('one=carol.inbox');
  assert.equal(await market.window('two').count(), 0);
  await market.page.getByRole('button', { name: 'Be a second person too' }).click();
  await until(() => market.window('two').locator('haggle-inbox .row').count(), 3);
  await market.page.getByRole('button', { name: 'Close what Alice sees' }).or(market.page.getByRole('button', { name: 'Close what Bob sees' })).click();
  await until(() => market.window('two').count(), 0);
  assert.equal(await market.page.getByRole('button', { name: 'Be a second person too' }).evaluate((button) => button === document.activeElement), true);
});

test('what the address says that is not so is not believed', async () => {
  const market = await open('one=%3Cb%3E.item&two=bob.__proto__&theme=%22%3E&lang=xx&dir=sideways');
  await until(() => market.window('one').locator('h3').textContent(), 'Walnut armchair, 1962');
  assert.equal(await market.window('one').getAttribute('data-person'), 'alice');
  assert.equal(await market.window('two').getAttribute('data-page'), 'inbox');
  assert.equal(await market.page.locator('html').getAttribute('dir'), 'ltr');
});

for (const [page, tag] of [['item', 'haggle-button'], ['order', 'haggle-chat'], ['inbox', 'haggle-inbox']]) {
  test(`the lines beside the ${page} page, copied into a shop on another origin, are all that it needs`, async () => {
    const market = await open(`one=alice.${page}`, { permissions: ['clipboard-read', 'clipboard-write'] });
    const embed = market.window('one').locator('.embed');
    await until(() => embed.locator('code').textContent().then((text) => text.includes(`<${tag}`)), true);
    await embed.getByRole('button', { name: 'Copy' }).click();
    await until(() => embed.locator('.copy').textContent(), 'Copied');
    const lines = await market.page.evaluate(() => navigator.clipboard.readText());
    const shop = createServer((_, response) => {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(`<!doctype html><html lang="en"><title>Elsewhere</title><link rel="icon" href="data:,">${lines}`);
    });
    shop.listen(0, '127.0.0.1');
    await once(shop, 'listening');
    try {
      const elsewhere = await market.context.newPage();
      elsewhere.setDefaultTimeout(PATIENCE_MS);
      await elsewhere.goto(`http://127.0.0.1:${shop.address().port}/`);
      if (page === 'item') await elsewhere.getByRole('button', { name: 'Open chat' }).click();
      if (page === 'inbox') await elsewhere.locator('haggle-inbox .row').filter({ hasText: 'Order 1042' }).click();
      const text = elsewhere.getByRole('textbox', { name: /Message .Bob/ });
      await text.fill('from another shop');
      await text.press('Enter');
      await until(() => elsewhere.locator('.mark').last().getAttribute('data-mark'), 'sent');
    } finally {
      shop.close();
    }
  });
}

test('the page holds under its strict Content-Security-Policy', async () => {
  const market = await open('one=alice.item&two=bob.inbox');
  const answer = await market.page.request.get(server.url);
  const policy = answer.headers()['content-security-policy'] ?? '';
  for (const need of CSP_NEEDS) assert.ok(policy.includes(need), `the policy is: ${policy}`);
  assert.ok(!policy.includes('unsafe'), policy);
  assert.equal(answer.headers()['referrer-policy'], 'no-referrer');
  await market.page.evaluate(() => {
    window.refused = [];
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => window.refused.push([violatedDirective, blockedURI]));
  });
  for (const label of ['Order', 'Inbox', 'Item']) await market.choose('one', label);
  await market.page.getByLabel('Colours').selectOption('dark');
  await row(market, 'two', 'Order 1042').click();
  await until(() => market.chat('two').bodies().then(({ length }) => length), 3);
  assert.deepEqual(await market.page.evaluate(() => window.refused), []);
  assert.equal(await market.page.locator('[style], style, script:not([src])').count(), 0);
});

test('the keyboard alone does everything', async () => {
  const market = await open('one=alice.order&two=bob.order');
  const { page } = market;
  const [alice, bob] = [market.chat('one'), market.chat('two')];
  await live(alice, bob);
  const focused = () => page.evaluate(() => {
    let element = document.activeElement;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return element?.getAttribute('aria-label') ?? element?.textContent?.trim() ?? '';
  });
  const tabTo = async (name, key = 'Tab') => {
    for (let press = 0; press < 60; press += 1) {
      await page.keyboard.press(key);
      if ((await focused()) === name) return;
    }
    assert.fail(`Tab does not reach ${name}`);
  };
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to the shop');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#windows').evaluate((element) => element === document.activeElement), true);
  await tabTo(await bob.text.getAttribute('aria-label'));
  await page.keyboard.type('by keyboard');
  await page.keyboard.press('Enter');
  await until(() => fresh(alice), ['by keyboard']);
  await until(() => alice.announced.textContent().then((text) => text.includes('by keyboard')), true);
  // Back to Alice's window: another page, by the arrows.
  await page.locator('[data-window="one"] .pages input:checked').focus();
  await page.keyboard.press('ArrowLeft');
  await until(() => market.window('one').getAttribute('data-page'), 'item');
  const opener = await market.window('one').locator('.fab').getAttribute('aria-label');
  await tabTo(opener);
  await page.keyboard.press('Enter');
  await until(() => market.window('one').locator('haggle-button').getByRole('textbox').evaluate((element) => element.matches(':focus')), true);
  await page.keyboard.press('Escape');
  await until(() => focused().then((name) => name.startsWith('Open chat')), true);
});

test('axe finds nothing on any page, light and dark, either way round, on a desk and on a phone', async () => {
  for (const [size, options] of [['wide', {}], ['phone', PHONE]]) {
    const market = await open('', { reducedMotion: 'reduce', ...options });
    for (const [page, beside] of [['item', 'inbox'], ['order', 'inbox'], ['inbox', 'item']]) {
      for (const look of ['theme=light', 'theme=dark', 'theme=light&lang=ar', 'theme=dark&dir=rtl']) {
        await market.go(`one=alice.${page}&two=carol.${beside}&${look}`);
        await shown(market, page);
        await market.axe(`${size} ${page} ${look}`);
        await shoot(market.page, `demo-${size}-${page}-${look.replace(/\W/g, '-')}`, { fullPage: size === 'phone' });
        const { width } = market.page.viewportSize();
        assert.equal(await market.page.evaluate(() => document.documentElement.scrollWidth), width, `${size} ${page} ${look} is too wide`);
      }
    }
  }
});

/** The page with something open in it. */
async function shown(market, page) {
  const one = market.window('one');
  if (page === 'order') return live(market.chat('one'));
  if (page === 'item') await one.locator('haggle-button .fab').click();
  else await one.locator('haggle-inbox .row').filter({ hasText: 'Order 1042' }).click();
  await one.getByRole('textbox', { name: /Bob/ }).waitFor();
}

test('on a phone one person is here at a time, the panel covers the page, and the list gives way to the chat and comes back', async () => {
  const market = await open('one=alice.item&two=bob.inbox', PHONE);
  assert.equal(await market.page.locator('.window').count(), 1);
  await market.window('one').locator('.fab').click();
  await market.window('one').getByRole('textbox', { name: /Bob/ }).waitFor();
  // Until the panel has risen.
  await until(() => market.window('one').locator('.panel').boundingBox(), { x: 0, y: 0, ...PHONE.viewport });
  await market.window('one').getByRole('button', { name: 'Close chat' }).first().click();
  await market.choose('one', 'Carol');
  await market.choose('one', 'Inbox');
  await row(market, 'one', 'Payout').click();
  await until(() => market.chat('one').bodies().then(({ length }) => length), 3);
  assert.equal(await market.window('one').locator('haggle-inbox').isVisible(), false);
  await market.window('one').getByRole('button', { name: 'Back to the list' }).click();
  await until(() => market.window('one').locator('haggle-inbox').isVisible(), true);
  assert.equal(await market.chat('one').root.isVisible(), false);
});

test('the settings are in force at once: language, direction, colours', async () => {
  const market = await open('one=alice.order');
  const chat = market.chat('one');
  await live(chat);
  const surface = () => chat.root.evaluate((element) => getComputedStyle(element).backgroundColor);
  await market.page.getByLabel('Colours').selectOption('light');
  const light = await surface();
  await market.page.getByLabel('Colours').selectOption('dark');
  await until(() => surface().then((now) => now !== light), true);
  await market.page.getByLabel('Language').selectOption('ar');
  await until(() => chat.root.locator('.send').getAttribute('aria-label'), 'إرسال');
  assert.equal(await market.page.locator('html').getAttribute('dir'), 'rtl');
  await market.page.getByLabel('Right to left').uncheck();
  await until(() => chat.root.locator('.frame').evaluate((frame) => getComputedStyle(frame).direction), 'ltr');
  assert.equal(new URL(market.page.url()).hash, '#one=alice.order&theme=dark&lang=ar&dir=ltr');
});

test('in production the page says only that Haggle runs', async () => {
  const secrets = { HAGGLE_JWT_SECRET: 'a'.repeat(40), HAGGLE_SERVER_KEY: 'b'.repeat(40) };
  const production = await Server.start(process.env.HAGGLE_BIN, { HAGGLE_MODE: 'production', ...secrets });
  try {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(production.url);
    assert.equal(await page.locator('body').innerText(), 'Haggle runs.');
    assert.equal(await page.locator('script').count(), 0);
    const answer = await page.request.get(`${production.url}/v1/users/demo-alice/presence`);
    assert.notEqual(answer.status(), 200);
    await context.close();
  } finally {
    await production.remove();
  }
});
