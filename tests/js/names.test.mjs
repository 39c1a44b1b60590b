// Names and links as the widget shows them. What needs a page is in tests/browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Locale } from '../../web/js/widget/locale.js';
import { clean, isEmojiOnly, linked, shownName } from '../../web/js/widget/text.js';

test('what cannot be seen is left out of a name, and what people write with stays', () => {
  const rows = [
    ['  Bob \n Smith ', 'Bob Smith'],
    ['B\u200bo\u2060b\ufeff', 'Bob'],
    ['\u202eevil\u202c', 'evil'],
    ['\u{e0041}\u{e0042}Tag', 'Tag'],
    ['Z\u0300\u0301\u0302\u0303\u0304\u0305ed', 'Z\u0300\u0301\u0302ed'],
    ['Zoe\u0301', 'Zoe\u0301'],
    ['می\u200cخواهم', 'می\u200cخواهم'],
    ['👩\u200d🚀 Ada', '👩\u200d🚀 Ada'],
    ['👍🏽', '👍🏽'],
    ['a\u200db', 'ab'],
    ['\ue000\ue001\ue002', ''],
    ['half \ud83d', 'half'],
    ['王小明', '王小明'],
  ];
  for (const [name, expected] of rows) assert.equal(clean(name), expected, JSON.stringify(name));
});

test('a name that could pass for another\'s shows its id', () => {
  const among = [{ user_id: 'bob', name: 'Bob' }, { user_id: 'carol', name: 'Carol' }];
  const tag = (id, name) => shownName(id, name, among).tag;
  assert.equal(tag('carol', 'Carol'), '');
  assert.equal(tag('zoe', 'Zoë Müller'), '');
  assert.equal(tag('eve', 'BOB'), 'eve');
  assert.equal(tag('eve', 'B.o.b'), 'eve');
  assert.equal(tag('eve', 'Ｂｏｂ'), 'eve');
  assert.equal(tag('eve', 'Воb'), 'eve', 'two scripts in one word');
  assert.equal(tag('ivan', 'Иван Smith'), '', 'two scripts in two words are usual');
  assert.equal(tag('eve', 'Robert\u200b'), 'eve', 'also where nobody of that name is here');
  assert.equal(tag('eve', 'carol'), 'eve', 'also another one\'s id');
  for (const [name, twin] of [['داود', 'د\u200cاود'], ['Shop❤', 'Shop❤\ufe0f']]) {
    assert.equal(shownName('eve', twin, [{ user_id: 'bob', name }]).tag, 'eve', 'also by what may stay in a name');
  }
  assert.deepEqual(shownName('e\u202eve', '\u200b'), { text: 'eve', tag: '' });
  assert.equal([...shownName('x', 'n'.repeat(500)).text].length, 80);
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
