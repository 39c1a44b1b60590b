// The browser, and the demo page as a person sees it.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'];
const ARGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
  // A page that a test answers itself has no address, and may then open no socket to this machine.
  '--disable-features=LocalNetworkAccessChecks',
];
/** Longer than the longest wait before a client reconnects, with a slow machine's patience. */
export const PATIENCE_MS = 15_000;

export function launch() {
  return chromium.launch({ executablePath: installed(), args: ARGS });
}

function installed() {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = BROWSERS.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
  if (!found) throw new Error(`No browser: install one of ${BROWSERS.join(', ')}.`);
  return found;
}

/** Saves a picture where `HAGGLE_SCREENSHOTS` names a folder. */
export async function shoot(page, name, options = {}) {
  const folder = process.env.HAGGLE_SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), ...options });
}

export class Pane {
  constructor(page, user) {
    this.root = page.locator(`.pane[data-user="${user}"]`);
    this.text = this.root.locator('textarea');
    this.scroll = this.root.locator('.scroll');
    this.badge = this.root.locator('.badge');
    this.typing = this.root.locator('.typing-text');
    this.state = this.root.locator('.state-text');
    this.presence = this.root.locator('.presence-text');
    this.jump = this.root.locator('.jump');
  }

  async say(text) {
    await this.text.fill(text);
    await this.text.press('Enter');
  }

  bubble(text) {
    return this.root.locator('.message').filter({ has: this.root.page().locator('.body', { hasText: exactly(text) }) });
  }

  bodies() {
    return this.root.locator('.message .body').allTextContents();
  }

  mark(text) {
    return this.bubble(text).locator('.mark').getAttribute('data-mark');
  }
}

function exactly(text) {
  return new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
}

/** Waits until `look` answers with what is expected, and fails with what it answered last. */
export async function until(look, expected, patienceMs = PATIENCE_MS) {
  const deadline = Date.now() + patienceMs;
  const wanted = JSON.stringify(expected);
  let seen;
  do {
    seen = await look();
    if (JSON.stringify(seen) === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 30));
  } while (Date.now() < deadline);
  throw new Error(`Expected ${wanted}, and saw ${JSON.stringify(seen)}`);
}
