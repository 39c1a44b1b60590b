/**
 * One message as elements.
 *
 * @import { Mark } from '../haggle/conversation.js'
 * @import { IconName } from './dom.js'
 * @import { Locale } from './locale.js'
 * @import { Row } from './messages.js'
 */
import { h, icon, setAttribute, write } from './dom.js';
import { inSentence, isEmojiOnly, linked } from './text.js';

/** @type {Record<Mark, IconName>} */
const MARKS = { sending: 'clock', failed: 'alert', sent: 'tick', received: 'ticks', read: 'ticks' };

/**
 * An empty row. Its buttons are found by `data-act`, and their message by the row's `data-client-id`.
 *
 * @param {Locale} locale
 */
export function rowElement(locale) {
  const bubble = h('div', { class: 'bubble' },
    h('span', { class: 'sr author' }),
    h('span', { class: 'body', dir: 'auto' }),
    h('span', { class: 'meta' }, h('time')));
  return h('li', { class: 'message', lang: locale.language }, bubble);
}

/**
 * @param {HTMLElement} row
 * @param {Row} shown
 * @param {Locale} locale
 */
export function fillRow(row, shown, locale) {
  const { mine, follows, mark, error } = shown;
  const isJumbo = isEmojiOnly(shown.body);
  row.className = ['message', mine && 'mine', follows && 'follows', mark === 'failed' && 'failed', mark === 'sending' && 'waiting',
    isJumbo && 'jumbo', row.classList.contains('fresh') && 'fresh'].filter(Boolean).join(' ');
  setAttribute(row, 'data-seq', shown.seq);
  setAttribute(row, 'data-client-id', shown.clientId);
  name(row, shown, locale);
  const body = /** @type {HTMLElement} */ (row.querySelector('.body'));
  if (body.textContent !== shown.body) body.replaceChildren(...linked(shown.body));
  const time = /** @type {HTMLTimeElement} */ (row.querySelector('time'));
  time.dateTime = shown.at;
  write(time, locale.time(shown.at));
  setMark(/** @type {HTMLElement} */ (row.querySelector('.meta')), mark, locale);
  setFailure(row, error?.code, locale);
}

/**
 * The name above the first of a group; a screen reader hears it before each.
 *
 * @param {HTMLElement} row
 * @param {Row} shown
 * @param {Locale} locale
 */
function name(row, shown, locale) {
  const spoken = shown.mine ? locale.say('you') : inSentence({ text: shown.author, tag: shown.tag });
  write(/** @type {HTMLElement} */ (row.querySelector('.author')), `${spoken}: `);
  const above = row.querySelector('.name');
  if (!shown.isNamed) return above?.remove();
  const tag = shown.tag ? [h('bdi', { class: 'tag' }, shown.tag)] : [];
  const made = h('p', { class: 'name', 'aria-hidden': 'true' }, h('bdi', {}, shown.author), ...tag);
  if (above) above.replaceWith(made);
  else row.prepend(made);
}

/**
 * @param {HTMLElement} meta
 * @param {Mark | undefined} mark
 * @param {Locale} locale
 */
function setMark(meta, mark, locale) {
  const held = /** @type {HTMLElement | null} */ (meta.querySelector('.mark'));
  if (held?.dataset.mark === mark) return;
  held?.remove();
  if (!mark) return;
  meta.append(h('span', { class: 'mark', 'data-mark': mark, role: 'img', 'aria-label': locale.strings.mark[mark] }, icon(MARKS[mark])));
}

/**
 * @param {HTMLElement} row
 * @param {string | undefined} code
 * @param {Locale} locale
 */
function setFailure(row, code, locale) {
  const held = row.querySelector('.failure');
  if (!code) return held?.remove();
  if (held) return;
  const why = `${locale.say('notSent')} ${locale.strings.because[code] ?? locale.strings.because.internal}`;
  row.append(h('p', { class: 'failure' }, h('span', {}, why), ' ',
    h('button', { type: 'button', 'data-act': 'retry' }, locale.say('retry')), ' ',
    h('button', { type: 'button', 'data-act': 'discard' }, locale.say('discard'))));
}
