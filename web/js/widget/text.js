/**
 * What people wrote, made safe to show: names that cannot pass for other names, and links that lead where they say.
 */

/** Characters of a name that are shown. */
const NAME_MAX = 80;
/** Marks above one letter; more would run over the lines around it. */
const MARKS_MAX = 3;
const FIRST_STRONG_ISOLATE = '\u2068';
const POP_ISOLATE = '\u2069';

/** What has no shape of its own or turns the direction: controls, bidi marks, zero-width characters, blanks that pass for letters. */
const INVISIBLE = /[\p{Cc}\p{Cs}\p{Co}\p{Default_Ignorable_Code_Point}\u2028\u2029\u2800\ufff9-\ufffb]/gu;
/** Where two of them have their place: in composed emoji, and in the Arabic script between letters. */
const JOINED_EMOJI = /(?<=\p{Extended_Pictographic}[\ufe0f\p{Emoji_Modifier}]*)(?:\ufe0f|\u200d(?=\p{Extended_Pictographic}))/gu;
const JOINED_ARABIC = /(?<=\p{Script=Arabic})\u200c(?=\p{Script=Arabic})/gu;
/** Names whose shape is remembered: each message's sender is compared with everyone in the conversation. */
const SHAPES_MAX = 2_000;
/** @type {Map<string, string>} */
const shapes = new Map();
const LETTERS = new Intl.Segmenter();
/** The blanks that people type; any other in a name is there to deceive. */
const PLAIN_BLANKS = /[ \t\n\r\u00a0\u3000]+/g;
const MANY_MARKS = new RegExp(`(\\p{M}{${MARKS_MAX}})\\p{M}+`, 'gu');
const LATIN = /\p{Script=Latin}/u;
const LOOKS_LATIN = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]/u;

const LINK = /\bhttps?:\/\/[^\s<>"'`\p{Cc}\p{Default_Ignorable_Code_Point}]+/giu;
const AFTER_LINK = /[.,;:!?…。，；：！？'"”’»*_~]/u;
const PAIRS = /** @type {const} */ ({ ')': '(', ']': '[', '}': '{' });
const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}[\ufe0f\p{Emoji_Modifier}]*(?:\u200d\p{Extended_Pictographic}[\ufe0f\p{Emoji_Modifier}]*)*|\p{Regional_Indicator}{2}|\s){1,5}$/u;

/**
 * @typedef {object} ShownName
 * @property {string} text What to show, in an element of its own direction (`bdi`).
 * @property {string} tag The user's id where the name alone could pass for another's; else empty.
 */

/**
 * A text on one line, without what cannot be seen.
 *
 * @param {string} text
 */
export function clean(text) {
  // Private characters stand in for those that may stay; the text itself has none left by then.
  const kept = text
    .replace(/[\ue000-\ue002]/g, '')
    .replace(JOINED_EMOJI, (found) => (found === '\u200d' ? '\ue001' : '\ue002'))
    .replace(JOINED_ARABIC, '\ue000');
  return kept
    .replace(/\s+/gu, ' ')
    .replace(INVISIBLE, (found) => (found >= '\ue000' && found <= '\ue002' ? found : ''))
    .replaceAll('\ue000', '\u200c')
    .replaceAll('\ue001', '\u200d')
    .replaceAll('\ue002', '\ufe0f')
    .replace(MANY_MARKS, '$1')
    .replace(/ +/g, ' ')
    .trim();
}

/**
 * @param {string} userId
 * @param {string} name
 * @param {Iterable<{user_id: string, name: string}>} [among] Those whom it must not pass for.
 * @returns {ShownName}
 */
export function shownName(userId, name, among = []) {
  const id = cut(clean(userId)) || '?';
  const text = cut(clean(name));
  if (text === '') return { text: id, tag: '' };
  const mine = shapeOf(text);
  let passes = clean(name) !== name.replace(PLAIN_BLANKS, ' ').trim() || isMixed(text);
  for (const other of among) {
    if (other.user_id === userId) continue;
    if (mine === shapeOf(other.name) || mine === shapeOf(other.user_id)) passes = true;
  }
  return { text, tag: passes && text !== id ? id : '' };
}

/**
 * A name inside a sentence: its direction ends where it ends.
 *
 * @param {ShownName} name
 */
export function inSentence({ text, tag }) {
  return `${FIRST_STRONG_ISOLATE}${tag ? `${text} (${tag})` : text}${POP_ISOLATE}`;
}

/**
 * What to show of a message: its text, with its links as links. Anything but `http` and `https` stays text, and so does an address that
 * hides its host behind a user name.
 *
 * @param {string} body
 * @returns {(Node | string)[]}
 */
export function linked(body) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let done = 0;
  for (const { 0: found, index } of body.matchAll(LINK)) {
    const written = trimmed(found);
    const url = safeUrl(written);
    if (!url) continue;
    if (index > done) parts.push(body.slice(done, index));
    parts.push(anchor(url, written));
    done = index + written.length;
  }
  if (done < body.length) parts.push(body.slice(done));
  return parts;
}

/**
 * Whether a message is a few emoji and nothing else.
 *
 * @param {string} body
 */
export function isEmojiOnly(body) {
  return body.length <= 40 && body.trim() !== '' && ONLY_EMOJI.test(body.trim());
}

/**
 * What stands in the circle before a name.
 *
 * @param {string} text
 */
export function initial(text) {
  const [first] = LETTERS.segment(text);
  return first?.segment.toUpperCase() ?? '?';
}

/**
 * @param {URL} url
 * @param {string} written
 */
function anchor(url, written) {
  const link = document.createElement('a');
  link.href = url.href;
  link.rel = 'noopener noreferrer nofollow ugc';
  link.target = '_blank';
  link.referrerPolicy = 'no-referrer';
  // A host in letters that look like others is named in plain ones.
  if (url.hostname.includes('xn--')) link.title = url.hostname;
  link.textContent = written;
  return link;
}

/** @param {string} text */
function safeUrl(text) {
  const url = URL.parse ? URL.parse(text) : tryUrl(text);
  if (!url || !['http:', 'https:'].includes(url.protocol)) return null;
  return url.username || url.password || !url.hostname ? null : url;
}

/** @param {string} text */
function tryUrl(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/**
 * A link without the sentence's own signs behind it; a bracket stays where it was opened inside.
 *
 * @param {string} text
 */
function trimmed(text) {
  const count = (/** @type {string} */ sign) => text.split(sign).length - 1;
  const loose = new Map(Object.entries(PAIRS).map(([close, open]) => [close, count(close) - count(open)]));
  let end = text.length;
  // Sign by sign: a text of 4,000 of them must not keep the page busy.
  for (; end > 0; end -= 1) {
    const last = text.charAt(end - 1);
    const over = loose.get(last) ?? 0;
    if (over > 0) loose.set(last, over - 1);
    else if (!AFTER_LINK.test(last)) break;
  }
  return text.slice(0, end);
}

/** @param {string} text */
function cut(text) {
  const letters = [...text];
  return letters.length > NAME_MAX ? `${letters.slice(0, NAME_MAX - 1).join('')}…` : text;
}

/**
 * What two names that look alike have in common.
 *
 * @param {string} name
 */
function shapeOf(name) {
  const known = shapes.get(name);
  if (known !== undefined) return known;
  if (shapes.size >= SHAPES_MAX) shapes.clear();
  const shape = clean(name).normalize('NFKC').toLowerCase().replace(/[\s\p{P}\p{Default_Ignorable_Code_Point}]/gu, '');
  shapes.set(name, shape);
  return shape;
}

/**
 * Letters of two scripts in one word, such as a Cyrillic letter among Latin ones.
 *
 * @param {string} text
 */
function isMixed(text) {
  return text.split(/[^\p{L}\p{M}]+/u).some((word) => LATIN.test(word) && LOOKS_LATIN.test(word));
}
