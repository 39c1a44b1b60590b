/**
 * The messages in sight and some around them: the page never holds more than `ROWS_MAX` of them, however long the conversation is. What is
 * being read stays where it is when messages are added or let go above it.
 *
 * @import { Conversation } from '../haggle.js'
 * @import { Mark } from '../haggle/conversation.js'
 * @import { HaggleError } from '../haggle/error.js'
 * @import { Reader } from '../haggle/reader.js'
 * @import { Locale } from './locale.js'
 * @import { ShownName } from './text.js'
 */
import { Backoff } from '../haggle/backoff.js';
import { position } from '../haggle/timeline.js';
import { fillRow, rowElement } from './row.js';
import { h } from './dom.js';
import { shownName } from './text.js';

/** Messages in the page at most. */
export const ROWS_MAX = 140;
/** Messages added at a time, and shown to begin with. */
const STEP = 40;
/** Pixels from an end of what is in the page at which more is put there. */
const NEAR_PX = 600;
/** How often that is done in a row: a tall window needs more than one step. */
const FILL_STEPS_MAX = 4;
/** Pages of history that are loaded at once to find where the unread messages begin. */
const UNREAD_PAGES_MAX = 6;
/** Pixels from the newest message that still count as being there. */
const END_PX = 48;
/** Pixels above the unread divider in the first view. */
const DIVIDER_PX = 12;
/** Milliseconds within which a page that could not be loaded is asked for again, at first and at last. */
const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 10_000;
/** Milliseconds within which messages of one sender stand together. */
const TOGETHER_MS = 5 * 60 * 1_000;

/**
 * @typedef {object} Row
 * @property {string} key
 * @property {string} senderId
 * @property {string} body
 * @property {string} at
 * @property {number} [seq]
 * @property {boolean} mine
 * @property {string} author The name as a person reads it.
 * @property {string} tag
 * @property {boolean} isNamed Whether the name stands above it.
 * @property {boolean} follows Whether it stands together with the one before.
 * @property {Mark} [mark] On one's own messages.
 * @property {string} [clientId]
 * @property {HaggleError} [error]
 */

export class Messages {
  /** Whether the newest message is in sight. */
  atEnd = true;
  /** @type {number | null} The `seq` after which the unread divider stands. */
  dividedAfter = null;
  #conversation;
  /** @type {Reader} This view's own place in the conversation. */
  #reader;
  #backoff = new Backoff(RETRY_BASE_MS, RETRY_MAX_MS);
  /** @type {any} Set while a page that could not be loaded is not to be asked for. */
  #again;
  #locale;
  #me = '';
  #scroll;
  #list;
  /** @type {number | null} The `seq` of the first message in the page. */
  #top = null;
  /** The `seq` of the last message in the page; infinite where that is the newest. */
  #bottom = Infinity;
  /** Whether the first view has been found. */
  isPlaced = false;
  /** @type {Map<string, {element: HTMLElement, drawn: string}>} */
  #held = new Map();
  /** @type {Map<string, ShownName>} Of this drawing. */
  #names = new Map();
  #olderAsked = 0;

  /**
   * @param {HTMLElement} scroll
   * @param {HTMLOListElement} list
   * @param {Conversation} conversation
   * @param {Locale} locale
   */
  constructor(scroll, list, conversation, locale) {
    this.#scroll = scroll;
    this.#list = list;
    this.#conversation = conversation;
    this.#reader = conversation.reader();
    this.#locale = locale;
  }

  get isEmpty() {
    return this.#held.size === 0;
  }

  /**
   * Brings the page to what the conversation holds, touching only what differs.
   *
   * @param {string} me
   */
  draw(me) {
    this.#me = me;
    this.#still(() => {
      this.#reconcile();
      // In the same breath: what has just come from history goes above before the scroll bar meets its end.
      if (this.isPlaced) this.#grow();
    });
    if (!this.isPlaced && this.#conversation.loaded && this.#conversation.joined && !this.#askUnread()) this.#place();
    this.#fill();
  }

  /** Looks where the reader is now, and puts more into the page where they come near an end of it. */
  scrolled() {
    this.#look();
    this.#fill();
  }

  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    if (clientHeight > 0) this.atEnd = this.#bottom === Infinity && scrollHeight - scrollTop - clientHeight <= END_PX;
  }

  /** Until what is in the page reaches far enough in both directions. */
  #fill() {
    for (let step = 0; step < FILL_STEPS_MAX && this.isPlaced; step += 1) {
      let grew = false;
      this.#still(() => (grew = this.#grow()));
      if (!grew) break;
      this.#look();
    }
  }

  /** Nobody looks at it any more. */
  close() {
    clearTimeout(this.#again);
    this.#reader.close();
  }

  /** To the newest message. */
  jump() {
    this.#reader.latest();
    this.#top = null;
    this.#bottom = Infinity;
    this.atEnd = true;
    this.#reconcile();
    this.keepEnd();
  }

  /** Stays with the newest message where it was in sight. */
  keepEnd() {
    if (this.atEnd) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  /**
   * Loads what is unread before the first view, where it is more than a page and not too much.
   *
   * @returns {boolean} Whether more is on its way.
   */
  #askUnread() {
    const { messages, hasOlder } = this.#reader;
    const isMissing = this.dividedAfter !== null && hasOlder && (messages[0]?.seq ?? 0) > this.dividedAfter + 1;
    if (!isMissing || this.#olderAsked >= UNREAD_PAGES_MAX) return false;
    this.#olderAsked += 1;
    this.#reader.older().catch(() => {
      this.#olderAsked = UNREAD_PAGES_MAX;
      this.draw(this.#me);
    });
    return true;
  }

  /** The first view: what is unread, from its beginning, or the newest. */
  #place() {
    const at = this.#dividerAt();
    if (at >= 0) this.#show(Math.max(0, at - STEP / 4), this.#reader.messages.length, 'start');
    this.isPlaced = true;
    const divider = /** @type {HTMLElement | null} */ (this.#list.querySelector('.divider'));
    const abovePx = divider ? divider.getBoundingClientRect().top - this.#scroll.getBoundingClientRect().top : 0;
    const unreadPx = this.#scroll.scrollHeight - this.#scroll.scrollTop - abovePx;
    if (!divider || unreadPx < this.#scroll.clientHeight) return this.keepEnd();
    this.#scroll.scrollTop += abovePx - DIVIDER_PX;
    this.scrolled();
  }

  /**
   * Puts more into the page at the end that is near, or asks for history.
   *
   * @returns {boolean} Whether the page has changed.
   */
  #grow() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    if (clientHeight === 0) return false;
    const [start, end] = this.#range();
    const { messages, hasOlder, hasNewer } = this.#reader;
    if (scrollTop < NEAR_PX && start > 0) {
      this.#show(Math.max(0, start - STEP), end, 'start');
      return true;
    }
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX && end < messages.length) {
      this.#show(start, Math.min(messages.length, end + STEP), 'end');
      return true;
    }
    if (scrollTop < NEAR_PX && hasOlder) this.#load('older');
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX && hasNewer) this.#load('newer');
    return false;
  }

  /**
   * Asks for the page at one end; where that fails, later again.
   *
   * @param {'older' | 'newer'} direction
   */
  #load(direction) {
    if (this.#again !== undefined) return;
    this.#reader[direction]().then(() => this.#backoff.reset(), (error) => {
      this.#again ??= setTimeout(() => {
        this.#again = undefined;
        this.#fill();
      }, this.#backoff.next(error.retryAfter));
    });
  }

  /**
   * @param {number} start
   * @param {number} end
   * @param {'start' | 'end'} growing The end at which messages are added; at the other one some may be let go.
   */
  #show(start, end, growing) {
    const { messages } = this.#reader;
    const from = growing === 'end' ? Math.max(start, end - ROWS_MAX) : start;
    const to = growing === 'start' ? Math.min(end, start + ROWS_MAX) : end;
    this.#top = messages[from]?.seq ?? null;
    this.#bottom = this.#endsAt(to);
    this.#reconcile();
  }

  /**
   * What `#bottom` is where the page ends before this message.
   *
   * @param {number} end
   */
  #endsAt(end) {
    const { messages, hasNewer } = this.#reader;
    return end >= messages.length && !hasNewer ? Infinity : (messages[end - 1]?.seq ?? Infinity);
  }

  /** What of the conversation's messages is in the page, from and up to but without. */
  #range() {
    const { messages } = this.#reader;
    const end = this.#bottom === Infinity ? messages.length : position(messages, this.#bottom + 1);
    const start = this.#top === null ? Math.max(0, end - STEP) : Math.min(position(messages, this.#top), end);
    return /** @type {const} */ ([start, end]);
  }

  #reconcile() {
    this.#names.clear();
    const { messages } = this.#reader;
    let [start, end] = this.#range();
    if (end - start > ROWS_MAX) {
      if (this.atEnd) start = end - ROWS_MAX;
      else end = start + ROWS_MAX;
    }
    this.#top = messages[start]?.seq ?? null;
    this.#bottom = this.#endsAt(end);
    const [first, last] = [messages[start], messages[end - 1]];
    // Whoever is with the newest message goes on with it.
    if (first && last) this.#reader.shows(first.seq, this.atEnd && this.#bottom === Infinity ? Infinity : last.seq);
    const next = this.#elements(start, end);
    const focused = /** @type {ShadowRoot} */ (this.#list.getRootNode()).activeElement;
    for (const [key, { element }] of this.#held) {
      if (next.has(key)) continue;
      // Whoever has Tab on what is let go stays among the messages.
      if (focused && element.contains(focused)) this.#scroll.focus({ preventScroll: true });
      element.remove();
    }
    let before = this.#list.firstElementChild;
    for (const { element } of next.values()) {
      if (element === before) before = element.nextElementSibling;
      else this.#list.insertBefore(element, before);
    }
    this.#held = next;
  }

  /**
   * @param {number} start
   * @param {number} end
   */
  #elements(start, end) {
    /** @type {Map<string, {element: HTMLElement, drawn: string}>} */
    const next = new Map();
    const divider = this.#dividerAt();
    const isGroup = this.#conversation.participants.length > 2;
    let before = this.#stored(start - 1);
    let lastDay = before ? this.#locale.day(before.at) : '';
    for (let at = start; at < end; at += 1) {
      const row = this.#stored(at);
      if (!row) continue;
      lastDay = this.#add(next, row, before, lastDay, { isGroup, isDivided: at === divider });
      before = row;
    }
    if (this.#bottom !== Infinity) return next;
    for (const pending of this.#conversation.pending.slice(-ROWS_MAX)) {
      const row = this.#unsent(pending);
      lastDay = this.#add(next, row, before, lastDay, { isGroup, isDivided: false });
      before = row;
    }
    return next;
  }

  /**
   * @param {Map<string, {element: HTMLElement, drawn: string}>} next
   * @param {Row} row
   * @param {Row | undefined} before
   * @param {string} lastDay
   * @param {{isGroup: boolean, isDivided: boolean}} place
   */
  #add(next, row, before, lastDay, { isGroup, isDivided }) {
    const day = this.#locale.day(row.at);
    if (day !== lastDay) next.set(`day ${day}`, this.#separator('day', day));
    if (isDivided) next.set('divider', this.#separator('divider', this.#locale.say('newMessages')));
    row.follows = before !== undefined && !isDivided && day === lastDay && before.senderId === row.senderId
      && Date.parse(row.at) - Date.parse(before.at) < TOGETHER_MS;
    row.isNamed = !row.mine && !row.follows && (isGroup || row.tag !== '');
    const held = this.#held.get(row.key);
    const drawn = JSON.stringify(row);
    if (held?.drawn === drawn) {
      next.set(row.key, held);
    } else {
      const element = held?.element ?? rowElement(this.#locale);
      fillRow(element, row, this.#locale);
      // What was there when the page opened need not move.
      if (!held) element.classList.toggle('fresh', this.isPlaced && this.atEnd);
      next.set(row.key, { element, drawn });
    }
    return day;
  }

  /**
   * @param {'day' | 'divider'} kind
   * @param {string} text
   */
  #separator(kind, text) {
    const key = kind === 'day' ? `day ${text}` : kind;
    return this.#held.get(key) ?? { element: h('li', { class: kind }, h('span', {}, text)), drawn: text };
  }

  /** The index of the first unread message; -1 where there is none, or it is not loaded. */
  #dividerAt() {
    const after = this.dividedAfter;
    const { messages, hasOlder } = this.#reader;
    if (after === null) return -1;
    if (hasOlder && (messages[0]?.seq ?? 0) > after + 1) return -1;
    for (let at = position(messages, after + 1); at < messages.length; at += 1) {
      if (messages[at]?.sender.id !== this.#me) return at;
    }
    return -1;
  }

  /**
   * @param {number} at
   * @returns {Row | undefined}
   */
  #stored(at) {
    const message = this.#reader.messages[at];
    if (!message) return undefined;
    const mine = message.sender.id === this.#me;
    const name = this.#name(message.sender);
    return {
      key: message.client_id ? `${message.sender.id} ${message.client_id}` : `seq ${message.seq}`,
      seq: message.seq,
      senderId: message.sender.id,
      body: message.body,
      at: message.created_at,
      mine,
      author: name.text,
      tag: name.tag,
      isNamed: false,
      follows: false,
      ...(mine && { mark: this.#conversation.markOf(message) }),
    };
  }

  /** @param {{id: string, name: string}} sender */
  #name({ id, name }) {
    const known = this.#names.get(id);
    if (known) return known;
    const shown = shownName(id, name, this.#conversation.participants);
    this.#names.set(id, shown);
    return shown;
  }

  /**
   * @param {Conversation['pending'][number]} pending
   * @returns {Row}
   */
  #unsent({ client_id, body, created_at, error }) {
    return {
      key: `${this.#me} ${client_id}`, senderId: this.#me, body, at: created_at, mine: true, author: '', tag: '', isNamed: false,
      follows: false, mark: error ? 'failed' : 'sending', clientId: client_id, ...(error && { error }),
    };
  }

  /**
   * Keeps what is in sight where it is while something changes above or below it.
   *
   * @param {() => void} change
   */
  #still(change) {
    const edge = this.#scroll.getBoundingClientRect().top;
    const anchor = this.#anchor(edge);
    const before = anchor?.getBoundingClientRect().top ?? 0;
    change();
    if (this.atEnd) return this.keepEnd();
    if (anchor?.isConnected) this.#scroll.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  /**
   * The first row in sight.
   *
   * @param {number} edge
   */
  #anchor(edge) {
    const rows = this.#list.children;
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((rows[middle]?.getBoundingClientRect().bottom ?? 0) > edge) high = middle;
      else low = middle + 1;
    }
    // A day's line goes before whatever is the first of that day, so it holds nothing in place.
    while (rows[low] && !rows[low]?.classList.contains('message')) low += 1;
    return rows[low];
  }
}
