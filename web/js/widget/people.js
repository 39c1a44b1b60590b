/**
 * Who a conversation is with, in the words and the circle that stand for them.
 *
 * @import { Participant } from '../haggle/types.js'
 * @import { Locale } from './locale.js'
 * @import { ShownName } from './text.js'
 */
import { h } from './dom.js';
import { clean, initial, inSentence, shownName } from './text.js';

/** Colours that an avatar may have: see `styles/base.js`. */
const HUES = 6;

/**
 * The others of a conversation, with names that none of them can borrow.
 *
 * @param {readonly Participant[]} participants
 * @param {string | undefined} me
 */
export function peers(participants, me) {
  const others = participants.filter(({ user_id }) => user_id !== me);
  return others.map((one) => ({ ...one, shown: shownName(one.user_id, one.name, participants) }));
}

/**
 * A conversation's name: the peer's, or of several the first and how many more.
 *
 * @param {ReturnType<typeof peers>} others
 * @param {string | null | undefined} title What the shop called it.
 * @param {Locale} locale
 * @returns {ShownName}
 */
export function heading(others, title, locale) {
  const [first] = others;
  const named = clean(title ?? '');
  if (others.length > 1 && named) return { text: named, tag: '' };
  if (others.length > 1 && first) {
    return { text: locale.say('group', { name: inSentence(first.shown), n: locale.number(others.length - 1) }), tag: '' };
  }
  return first?.shown ?? { text: named || locale.say('chat'), tag: '' };
}

/**
 * For an element with `dir="auto"`: its direction is the name's, so that a long one is cut at its end.
 *
 * @param {ShownName} name
 * @returns {(Node | string)[]}
 */
export function nameNodes({ text, tag }) {
  return tag ? [text, ' ', h('bdi', { class: 'tag' }, tag)] : [text];
}

/**
 * A circle with an initial, in a colour that stays the person's.
 *
 * @param {string} id
 * @param {string} name
 */
export function avatar(id, name) {
  let hash = 0;
  for (const letter of id) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 65_521;
  return h('span', { class: 'avatar', 'data-hue': hash % HUES, 'aria-hidden': 'true' }, initial(clean(name)));
}
