// Development's sample marketplace as a person sees it: its windows, and what stands in them.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { PATIENCE_MS, until } from './page.mjs';
import { Chat } from './shop.mjs';

const AXE = await readFile(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
/** What is said in `order:demo` when the demo is set up. */
export const SAID_BEFORE = 3;

/** One browser page with the marketplace, and whatever goes wrong in it. */
export class Market {
  troubles = [];

  /** `view` is the address's fragment: `one=alice.order&two=bob.order`. */
  static async open(browser, server, view = '', options = {}) {
    const market = await Market.blank(browser, options);
    await market.page.goto(`${server.url}/#${view}`);
    return market;
  }

  /** A page that is nowhere yet. */
  static async blank(browser, options = {}) {
    const market = new Market();
    market.context = await browser.newContext({ viewport: { width: 1360, height: 1000 }, ...options });
    market.page = await market.context.newPage();
    market.page.setDefaultTimeout(PATIENCE_MS);
    market.#watch();
    return market;
  }

  /** Whatever the page complains about, but a server that is away on purpose. */
  #watch() {
    this.page.on('pageerror', (error) => this.troubles.push(String(error)));
    this.page.on('dialog', (dialog) => {
      this.troubles.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    this.page.on('console', (line) => {
      const text = line.text();
      if (line.type() === 'error' && !/ERR_CONNECTION_|ERR_EMPTY_RESPONSE|WebSocket/.test(text)) this.troubles.push(text);
    });
  }

  /** Shows something else in the same page. */
  async go(view) {
    const { origin } = new URL(this.page.url());
    await this.page.goto('about:blank');
    await this.page.goto(`${origin}/#${view}`);
  }

  window(id) {
    return this.page.locator(`[data-window="${id}"]`);
  }

  chat(id) {
    return new Chat(this.page, `[data-window="${id}"] haggle-chat`);
  }

  unread(id) {
    return this.window(id).locator('.unread').textContent();
  }

  /** Chooses a person or a page in a window. */
  async choose(id, label) {
    await this.window(id).getByText(label, { exact: true }).first().click();
  }

  /** Fails with what axe finds on the whole page. */
  async axe(what) {
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(() => window.axe.run(document));
    const found = violations.map(({ id, nodes }) => [id, nodes.map(({ target, failureSummary }) => [target, failureSummary])]);
    assert.deepEqual(found, [], what);
  }

  async close() {
    await this.context.close();
    assert.deepEqual(this.troubles, []);
  }
}

/** What was said since the demo was set up. */
export async function fresh(chat) {
  return (await chat.bodies()).slice(SAID_BEFORE);
}

/** Waits until the conversation is there and live. */
export async function live(...chats) {
  for (const chat of chats) {
    await until(() => chat.state(), 'live');
    await until(() => chat.bodies().then(({ length }) => length >= SAID_BEFORE), true);
  }
}
