// What would be published to npm: every module that the package's entries load is in it, and nothing else is loaded.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

const FOLDER = new URL('../../web/js/', import.meta.url);

test('the package holds all that its entries load, and needs no other', async () => {
  const { exports, files, version, dependencies } = JSON.parse(await readFile(new URL('package.json', FOLDER), 'utf8'));
  assert.equal(dependencies, undefined);
  assert.match(await readFile(new URL('../../Cargo.toml', import.meta.url), 'utf8'), new RegExp(`^version = "${version}"$`, 'm'));
  const wanted = Object.values(exports).map((path) => new URL(path, FOLDER).href);
  const seen = new Set();
  while (wanted.length > 0) {
    const url = wanted.pop();
    if (seen.has(url)) continue;
    seen.add(url);
    const path = url.slice(FOLDER.href.length);
    assert.ok(files.some((file) => (file.endsWith('/') ? path.startsWith(file) : path === file)), `${path} is not in the package`);
    for (const [, from] of (await readFile(new URL(url), 'utf8')).matchAll(/^(?:import|export)\s[^;]*?from '([^']+)';$/gm)) {
      assert.ok(from.startsWith('.'), `${path} loads ${from}`);
      wanted.push(new URL(from, url).href);
    }
  }
  assert.ok(seen.size > 20);
});

test('the client can be loaded where there is no page', async () => {
  const { HaggleClient } = await import(new URL('haggle.js', FOLDER));
  assert.equal(new HaggleClient({ url: 'ws://shop.test/ws', token: () => null }).state, 'offline');
});
