// The server's other pages: what axe finds on each, light and dark, on a desk and on a phone, and their policy. HAGGLE_BIN names the server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Market } from './market.mjs';
import { launch, shoot } from './page.mjs';
import { Server } from './server.mjs';

const SECRETS = { HAGGLE_JWT_SECRET: 'a'.repeat(40), HAGGLE_SERVER_KEY: 'b'.repeat(40) };

let browser, server, production;

before(async () => {
  assert.ok(process.env.HAGGLE_BIN, 'HAGGLE_BIN names the server binary to test.');
  browser = await launch();
  server = await Server.start(process.env.HAGGLE_BIN);
  production = await Server.start(process.env.HAGGLE_BIN, { HAGGLE_MODE: 'production', ...SECRETS });
  // The demo's people, item and order.
  await fetch(server.url);
});

after(async () => {
  await browser?.close();
  await server?.remove();
  await production?.remove();
});

const development = () => server.url;
const PAGES = [
  { name: 'order', path: '/chat.html?orderId=demo&userId=demo-alice', shows: 'Lovely, I will be at home.' },
  { name: 'item', path: '/chat/demo', user: 'demo-david', shows: 'Is the armchair still available' },
  { name: 'buyers', path: '/chat/demo', user: 'demo-bob', shows: 'David' },
  { name: 'refused', path: '/chat/demo', shows: 'Please sign in', refuses: true },
  { name: 'production', path: '/', shows: 'Haggle runs.', base: () => production.url },
];

for (const { name, path, user, shows, refuses, base = development } of PAGES) {
  test(`axe finds nothing on the page ${name}, and nothing in it is refused`, async () => {
    for (const [size, viewport] of Object.entries({ wide: { width: 1000, height: 800 }, phone: { width: 360, height: 700 } })) {
      const market = await Market.blank(browser, { viewport, reducedMotion: 'reduce' });
      const { page } = market;
      if (user) await market.context.addCookies([{ name: 'haggle_token', value: await token(user), url: server.url }]);
      await page.addInitScript(() => {
        window.refused = [];
        document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => window.refused.push([violatedDirective, blockedURI]));
      });
      await page.goto(base() + path);
      await page.getByText(shows).first().waitFor();
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await market.axe(`${name} ${size} ${colorScheme}`);
        await shoot(page, `page-${name}-${size}-${colorScheme}`);
      }
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), viewport.width, 'nothing is wider than the page');
      assert.deepEqual(await page.evaluate(() => window.refused), []);
      // The browser names the status of a page that was refused.
      if (refuses) market.troubles = market.troubles.filter((text) => !text.includes('401'));
      await market.close();
    }
  });
}

async function token(user) {
  const answer = await fetch(`${server.url}/dev/token?${new URLSearchParams({ userId: user })}`);
  return (await answer.json()).token;
}
