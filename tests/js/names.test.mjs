// Names and links as the widget shows them. What needs a page is in tests/browser.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Locale } from '../../web/js/widget/locale.js';
import { clean, isEmojiOnly, linked, shownName } from '../../web/js/widget/text.js';

/** What holds the server's own pages to the same rule. */
const NAMES = JSON.parse(await readFile(new URL('../fixtures/names.json', import.meta.url), 'utf8'));

test('what cannot be seen is left out of a name, and what people write with stays', () => {
  const rows = [...NAMES.clean, ['half \ud83d', 'half']];
  for (const [name, expected] of rows) assert.equal(clean(name), expected, JSON.stringify(name));
});

test('a name that could pass for another\'s shows its id', () => {
  const among = NAMES.among.map(([user_id, name]) => ({ user_id, name }));
  for (const [id, name, text, tag] of NAMES.shown) assert.deepEqual(shownName(id, name, among), { text, tag }, JSON.stringify(name));
});

test('a link that ends in thousands of signs does not keep the page busy', () => {
  globalThis.document = /** @type {any} */ ({ createElement: () => ({}) });
  const body = `http://shop.example/a${'.'.repeat(1_980)}x${')'.repeat(1_980)}`;
  const before = performance.now();
  const [link, rest] = linked(body);
  assert.ok(performance.now() - before < 200);
  assert.equal(link.textContent, body.slice(0, -1_980));
  assert.equal(rest.length, 1_980);
  delete globalThis.document;
});

test('a few emoji are told from texts', () => {
  for (const text of ['👍', '👍🏽', '❤️', '👩‍🚀 🎉', '🇩🇪']) assert.ok(isEmojiOnly(text), text);
  for (const text of ['', ' ', 'ok 👍', '123', '#', '👍👍👍👍👍👍👍', 'a']) assert.ok(!isEmojiOnly(text), text);
});

test('every language has every string, in every form that its numbers need', () => {
  const en = new Locale('en').strings;
  for (const tag of ['en', 'es', 'de', 'ar', 'zh']) {
    const locale = new Locale(tag);
    assert.equal(locale.language, tag);
    assert.deepEqual(Object.keys(locale.strings).sort(), Object.keys(en).sort());
    for (const key of ['left', 'over', 'arrived', 'unread', 'found']) {
      for (const n of [0, 1, 2, 3, 11, 100, 1_000_000]) assert.doesNotMatch(locale.count(key, n), /[{}]/);
    }
    for (const key of ['mark', 'because']) assert.deepEqual(Object.keys(locale.strings[key]).sort(), Object.keys(en[key]).sort());
  }
  assert.equal(new Locale('de-AT').language, 'de');
  assert.equal(new Locale('zh-Hant-TW').language, 'zh');
  assert.equal(new Locale('ar').direction, 'rtl');
  for (const tag of ['fr', '', 'x', '<script>']) assert.equal(new Locale(tag).language, 'en');
});

test('every string is said somewhere', async () => {
  const folder = new URL('../../web/js/widget/', import.meta.url);
  const scripts = (await readdir(folder)).filter((name) => name.endsWith('.js'));
  // The list of all keys is a type's, and says nothing.
  const said = (await Promise.all(scripts.map((name) => readFile(new URL(name, folder), 'utf8')))).join('').replace(/@typedef \{'chat'[^}]+\}/, '');
  const unsaid = Object.keys(new Locale('en').strings).filter((key) => !new RegExp(`'${key}'|strings\\.${key}\\b`).test(said));
  assert.deepEqual(unsaid, []);
});

test('a day is named in the reader\'s words', () => {
  const locale = new Locale('en');
  const now = new Date(2026, 2, 10, 12);
  const at = (...date) => new Date(...date).toISOString();
  assert.equal(locale.day(at(2026, 2, 10, 0, 5), now), 'Today');
  assert.equal(locale.day(at(2026, 2, 9, 23, 55), now), 'Yesterday');
  assert.equal(locale.day(at(2026, 0, 5), now), 'Monday, January 5');
  assert.equal(locale.day(at(2025, 0, 5), now), 'January 5, 2025');
  assert.equal(locale.badge(99), '99');
  assert.equal(locale.badge(100), '99+');
});
