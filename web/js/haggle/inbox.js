/** @import { Connection } from './connection.js' */
/** @import { Conversation } from './conversation.js' */
/** @import { Listed, Message, ServerEvent } from './types.js' */
import { Backoff } from './backoff.js';
import { Emitter } from './emitter.js';
import { HaggleError } from './error.js';

/** Conversations in a page; the server's largest. */
const PAGE = 100;
/** Conversations held at most; older ones are not loaded. */
const HELD_MAX = 5_000;
/** How many of the newest are asked for again when something new is there. */
const FRESH = 20;
/** Milliseconds in which several pieces of news become one question. */
const FRESH_MS = 150;
/** Milliseconds within which what failed is asked for again, at first and at last. */
const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/**
 * The user's conversations, newest first and live. `HaggleClient.inbox` is it. It loads nothing before `load`, but knows
 * from the first `live` how much is unread.
 *
 * @extends {Emitter<{change: null}>}
 */
export class Inbox extends Emitter {
  /** @type {Map<number, Listed>} */
  #listed = new Map();
  /** @type {Map<number, number>} What the server counted as unread, by conversation. */
  #counts = new Map();
  /** @type {string | null} */
  #next = null;
  #wanted = false;
  /** Whether the first page has arrived. */
  loaded = false;
  /** @type {HaggleError | undefined} Why the list could not be loaded or renewed. It is tried again, and `retry` does so at once. */
  trouble;
  /** @type {Promise<void> | null} */
  #loading = null;
  #backoff = new Backoff(RETRY_BASE_MS, RETRY_MAX_MS);
  /** @type {any} */
  #retryTimer;
  /** @type {any} */
  #freshTimer;
  /** Counts connections; what an older one still has under way is void. */
  #turn = 0;
  #connection;
  #held;

  /**
   * @param {Connection} connection
   * @param {() => Iterable<Conversation>} held The conversations that this client has joined.
   */
  constructor(connection, held) {
    super();
    this.#connection = connection;
    this.#held = held;
  }

  /** Newest first, with what this client knows better than the server's list. */
  get conversations() {
    const joined = this.#joined();
    const all = Array.from(this.#listed.values(), (one) => this.#now(one, joined.get(one.id)));
    return all.sort((a, b) => moment(b) - moment(a) || b.id - a.id);
  }

  /** How many messages are unread in all conversations, also in those that are not loaded. */
  get unread() {
    const joined = this.#joined();
    let total = 0;
    for (const [id, count] of this.#counts) if (!joined.has(id)) total += count;
    for (const { unread } of joined.values()) total += unread;
    return total;
  }

  /** Whether there are older conversations to load. */
  get hasMore() {
    return this.#next !== null && this.#listed.size < HELD_MAX;
  }

  /** Loads the first page, and keeps it fresh from then on. Offline it is loaded when the connection is back, and what fails is tried again. */
  async load() {
    if (this.#wanted) return;
    this.#wanted = true;
    await this.retry();
  }

  /** Tries at once again what failed. */
  async retry() {
    if (!this.#wanted || this.#connection.state !== 'live') return;
    clearTimeout(this.#retryTimer);
    await this.#attempt(() => this.#reload());
  }

  /** Loads the next page of older conversations. */
  more() {
    this.#loading ??= this.#page().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  /**
   * The loaded conversations in whose title, subject or names of others all words of the query stand.
   *
   * @param {string} query
   */
  search(query) {
    const words = fold(query).split(/\s+/).filter(Boolean);
    const me = this.#connection.user?.user_id;
    return this.conversations.filter((one) => {
      const names = one.participants.filter(({ user_id }) => user_id !== me).map(({ name }) => name);
      const text = fold([one.title, one.subject?.title, one.subject?.id, one.key, ...names].join(' '));
      return words.every((word) => text.includes(word));
    });
  }

  /**
   * The loaded conversation of this id or key.
   *
   * @param {number | string} ref
   * @returns {Listed | undefined}
   */
  find(ref) {
    return this.conversations.find(({ id, key }) => id === ref || key === ref);
  }

  /**
   * @param {boolean} live
   * @internal
   */
  connected(live) {
    this.#turn += 1;
    clearTimeout(this.#freshTimer);
    clearTimeout(this.#retryTimer);
    this.#freshTimer = undefined;
    if (!live) return;
    this.#counts.clear();
    this.#backoff.reset();
    void this.retry();
    this.emit('change', null);
  }

  /**
   * @param {ServerEvent} event
   * @internal
   */
  heard(event) {
    if (event.type === 'presence') this.#seen(event);
    else if (event.type === 'unread') this.#counted(event.conversation, event.count);
    else if (event.type === 'left' && event.user_id === this.#connection.user?.user_id) this.#gone(event.conversation);
    else return;
    this.emit('change', null);
  }

  /**
   * A conversation that this client has joined has changed, or was opened.
   *
   * @param {number | null} id
   * @internal
   */
  touched(id) {
    if (id !== null && this.loaded && !this.#listed.has(id)) this.#freshSoon();
    this.emit('change', null);
  }

  /**
   * This client has left a conversation: from now on the server counts.
   *
   * @param {number} id
   * @param {number} unread
   * @param {Message} [newest]
   * @internal
   */
  parted(id, unread, newest) {
    this.#counts.set(id, unread);
    const one = this.#listed.get(id);
    if (one) one.unread = unread;
    if (one && newest && newest.seq > (one.last_message?.seq ?? 0)) one.last_message = newest;
    this.emit('change', null);
  }

  /** @param {{user_id: string, online: boolean, last_seen: string | null}} presence */
  #seen({ user_id, online, last_seen }) {
    for (const one of this.#listed.values()) {
      const participant = one.participants.find((held) => held.user_id === user_id);
      if (participant) Object.assign(participant, { online, last_seen });
    }
  }

  /**
   * @param {number} id
   * @param {number} count
   */
  #counted(id, count) {
    this.#counts.set(id, count);
    const one = this.#listed.get(id);
    if (one) one.unread = count;
    // One's own messages from another device leave the count as it is, and move the conversation to the top all the same.
    if (this.loaded) this.#freshSoon();
  }

  /** @param {number} id */
  #gone(id) {
    this.#listed.delete(id);
    this.#counts.delete(id);
  }

  #freshSoon() {
    this.#freshTimer ??= setTimeout(() => {
      this.#freshTimer = undefined;
      void this.#attempt(() => this.#fresh());
    }, FRESH_MS);
  }

  /**
   * Tries, and after a failure the whole list again, later and later: what is missing may be anywhere in it.
   *
   * @param {() => Promise<void>} act
   */
  async #attempt(act) {
    const turn = this.#turn;
    try {
      await act();
      if (turn !== this.#turn) return;
      this.#backoff.reset();
      this.trouble = undefined;
    } catch (cause) {
      // Another connection begins from the start.
      if (turn !== this.#turn || this.#connection.state !== 'live') return;
      this.trouble = HaggleError.from(cause);
      clearTimeout(this.#retryTimer);
      this.#retryTimer = setTimeout(() => void this.retry(), this.#backoff.next(this.trouble.retryAfter));
    }
    this.emit('change', null);
  }

  async #fresh() {
    const turn = this.#turn;
    const { conversations } = await this.#ask({ limit: FRESH });
    if (turn === this.#turn) this.#take(conversations);
  }

  async #reload() {
    const turn = this.#turn;
    const { conversations, next } = await this.#ask({ limit: PAGE });
    if (turn !== this.#turn) return;
    this.#listed.clear();
    this.#next = next;
    this.loaded = true;
    this.#take(conversations);
  }

  async #page() {
    const turn = this.#turn;
    if (!this.hasMore) return;
    const { conversations, next } = await this.#ask({ limit: PAGE, cursor: this.#next });
    if (turn !== this.#turn) return;
    this.#next = next;
    this.#take(conversations);
  }

  /**
   * @param {{limit: number, cursor?: string | null}} page
   * @returns {Promise<{conversations: Listed[], next: string | null}>}
   */
  #ask(page) {
    return this.#connection.request('conversations', page);
  }

  /** @param {Listed[]} conversations */
  #take(conversations) {
    for (const one of conversations) {
      this.#listed.set(one.id, one);
      if (one.unread > 0 || this.#counts.has(one.id)) this.#counts.set(one.id, one.unread);
    }
    this.emit('change', null);
  }

  #joined() {
    /** @type {Map<number, Conversation>} */
    const joined = new Map();
    for (const one of this.#held()) if (one.id !== null) joined.set(one.id, one);
    return joined;
  }

  /**
   * @param {Listed} one
   * @param {Conversation} [joined]
   * @returns {Listed}
   */
  #now(one, joined) {
    if (!joined) return one;
    const newest = joined.newest ?? null;
    const isNewer = (newest?.seq ?? 0) > (one.last_message?.seq ?? 0);
    return { ...one, unread: joined.unread, last_message: isNewer ? newest : one.last_message };
  }
}

/** @param {Listed} one */
function moment({ last_message, created_at }) {
  return Date.parse(last_message?.created_at ?? created_at);
}

/**
 * Words as they are compared: without case, accents and width.
 *
 * @param {string} text
 */
function fold(text) {
  return text.normalize('NFKD').replace(/[\p{M}\p{Default_Ignorable_Code_Point}]/gu, '').toLowerCase();
}
