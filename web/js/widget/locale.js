/** The words and number forms of one language. The strings are in `locales/`, a file each. */
import ar from './locales/ar.js';
import de from './locales/de.js';
import en from './locales/en.js';
import es from './locales/es.js';
import zh from './locales/zh.js';

/**
 * @typedef {{other: string} & Partial<Record<Intl.LDMLPluralRule, string>>} Plural
 *
 * @typedef {Record<PlainKey, string> & Record<PluralKey, Plural> & {
 *   mark: Record<'sending' | 'failed' | 'sent' | 'received' | 'read', string>, because: Record<string, string>,
 * }} Strings
 *
 * @typedef {'chat' | 'chatWith' | 'about' | 'openChat' | 'closeChat' | 'back' | 'you' | 'group' | 'messages' | 'write' | 'writeTo' | 'send'
 *   | 'emoji' | 'typing' | 'severalTyping' | 'online' | 'offline' | 'lastSeen' | 'notSent' | 'retry' | 'discard' | 'today'
 *   | 'yesterday' | 'newMessages' | 'jump' | 'empty' | 'loading' | 'connecting' | 'away' | 'refused' | 'absent' | 'tryNow'
 *   | 'inbox' | 'search' | 'nothing' | 'notLoaded' | 'noMatch' | 'choose' | 'older'} PlainKey
 * @typedef {'left' | 'over' | 'arrived' | 'unread' | 'found'} PluralKey
 */

/** @type {Record<string, Strings>} */
const LANGUAGES = { ar, de, en, es, zh };
const RIGHT_TO_LEFT = new Set(['ar']);
/** The largest count that a badge shows as it is. */
const BADGE_MAX = 99;

export class Locale {
  /** A language that there are strings for. */
  language;
  /** @type {'ltr' | 'rtl'} */
  direction;
  /** @type {Strings} */
  strings;
  #plurals;
  #number;
  #time;
  #day;
  #dayOfYear;
  #short;

  /** @param {string} wanted A language tag, such as `de-AT`. */
  constructor(wanted) {
    const tag = supported(wanted);
    this.language = tag.split('-')[0] ?? 'en';
    this.direction = RIGHT_TO_LEFT.has(this.language) ? 'rtl' : 'ltr';
    this.strings = LANGUAGES[this.language] ?? en;
    this.#plurals = new Intl.PluralRules(tag);
    this.#number = new Intl.NumberFormat(tag);
    this.#time = new Intl.DateTimeFormat(tag, { hour: 'numeric', minute: '2-digit' });
    this.#day = new Intl.DateTimeFormat(tag, { weekday: 'long', day: 'numeric', month: 'long' });
    this.#dayOfYear = new Intl.DateTimeFormat(tag, { day: 'numeric', month: 'long', year: 'numeric' });
    this.#short = new Intl.DateTimeFormat(tag, { day: 'numeric', month: 'short' });
  }

  /**
   * @param {PlainKey} key
   * @param {Record<string, string>} [values]
   */
  say(key, values = {}) {
    return fill(this.strings[key], values);
  }

  /**
   * @param {PluralKey} key
   * @param {number} n
   */
  count(key, n) {
    const forms = this.strings[key];
    return fill(forms[this.#plurals.select(n)] ?? forms.other, { n: this.number(n) });
  }

  /** @param {number} n */
  number(n) {
    return this.#number.format(n);
  }

  /** @param {number} n */
  badge(n) {
    return n > BADGE_MAX ? `${this.number(BADGE_MAX)}+` : this.number(n);
  }

  /** @param {string} iso */
  time(iso) {
    return this.#time.format(new Date(iso));
  }

  /**
   * The day in the reader's own time zone.
   *
   * @param {string} iso
   * @param {Date} [now]
   */
  day(iso, now = new Date()) {
    const date = new Date(iso);
    const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
    if (date.toDateString() === now.toDateString()) return this.strings.today;
    if (date.toDateString() === yesterday.toDateString()) return this.strings.yesterday;
    return (date.getFullYear() === now.getFullYear() ? this.#day : this.#dayOfYear).format(date);
  }

  /**
   * A moment in few letters: the time where it was today, else the day.
   *
   * @param {string} iso
   * @param {Date} [now]
   */
  moment(iso, now = new Date()) {
    const date = new Date(iso);
    return (date.toDateString() === now.toDateString() ? this.#time : this.#short).format(date);
  }
}

/**
 * The wanted language where there are strings for it, else English.
 *
 * @param {string} wanted
 */
function supported(wanted) {
  try {
    const [tag = ''] = Intl.getCanonicalLocales(wanted);
    return (tag.split('-')[0] ?? '') in LANGUAGES ? tag : 'en';
  } catch {
    return 'en';
  }
}

/**
 * @param {string} text
 * @param {Record<string, string>} values
 */
function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}
