// The browser, pictures of its pages, and waiting for what they show.
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
