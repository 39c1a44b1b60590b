/**
 * The browser client of Haggle's native vocabulary: one plain WebSocket, `/ws`.
 *
 *     import { HaggleClient } from '/js/haggle.js';
 *
 *     const chat = new HaggleClient({ token: () => fetchTokenFromYourBackend() });
 *     const order = chat.conversation('order:42');
 *     order.on('change', () => show(order.messages, order.pending, order.typists));
 *     chat.connect();
 *     order.send('Is it still available?');
 *
 * What it takes care of: reconnecting with full jitter, fresh tokens, resuming after the last `seq` without a gap or
 * a double, and sending once, in order, what was written while the connection was away, also when the page was closed
 * meanwhile. All calls are in docs/widget.md.
 *
 * @import { Store } from './haggle/store.js'
 * @import { ByeEvent, Listed, Opening, PresenceEvent, ServerEvent, State, UnreadEvent } from './haggle/types.js'
 * @module
 */
import { Connection } from './haggle/connection.js';
import { Conversation } from './haggle/conversation.js';
import { Emitter } from './haggle/emitter.js';
import { HaggleError } from './haggle/error.js';
import { Inbox } from './haggle/inbox.js';
import { BODY_MAX, bodyLength } from './haggle/outbox.js';
import { rest } from './haggle/rest.js';
import { ownStore, wipe } from './haggle/store.js';

/** When a page is back on the network. */
const MOMENTS = ['online', 'pageshow'];

export { BODY_MAX, Conversation, HaggleError, Inbox, bodyLength };

/**
 * @typedef {object} HaggleOptions
 * @property {() => string | null | Promise<string | null>} token Answers with a JWT of this user. Called once, and
 *   again when the server wants a fresh one; null means that nobody is signed in.
 * @property {string | URL} [url] Defaults to `/ws` of the host that this module was loaded from.
 * @property {Store | null} [store] Where unsent messages are kept beyond the page's life. Defaults to `localStorage`;
 *   null keeps them in memory alone.
 * @property {number} [retryBaseMs] The bound of the first wait before reconnecting. Defaults to 500 ms.
 * @property {number} [retryMaxMs] The longest wait before reconnecting. Defaults to 15 s.
 *
 * @typedef {object} HaggleEvents
 * @property {{state: State, error?: HaggleError}} state
 * @property {PresenceEvent} presence
 * @property {UnreadEvent} unread News in a conversation that this client has not joined.
 * @property {ByeEvent} bye Why the server ends the connection.
 */

/** @extends {Emitter<HaggleEvents>} */
export class HaggleClient extends Emitter {
  #connection;
  /** @type {Map<number | string, Conversation>} */
  #conversations = new Map();
  /** @type {Map<number, number>} What the server counted as unread since the connection is live. */
  #unread = new Map();
  #inbox;
  #store;
  #url;
  #wake = () => this.#connection.wake();
  #doubt = () => this.#connection.doubt();
  #seen = () => void (document.visibilityState === 'visible' && this.#wake());

  /** @param {HaggleOptions} options */
  constructor({ token, url, store = ownStore(), retryBaseMs = 500, retryMaxMs = 15_000 }) {
    super();
    this.#url = new URL(url ?? ownUrl());
    this.#store = store;
    this.#connection = new Connection({ token, url: String(this.#url), retryBaseMs, retryMaxMs });
    this.#inbox = new Inbox(this.#connection, () => this.#conversations.values());
    this.#connection.on('state', ({ state, error }) => this.#became(state, error));
    this.#connection.on('event', (event) => this.#heard(event));
  }

  /**
   * `connecting`; `live`; `offline` while it waits to try again, or is closed; `refused` when the server wants this
   * user no more: only `connect` leaves that.
   */
  get state() {
    return this.#connection.state;
  }

  /** Who the token names; null before the first `live`. */
  get user() {
    return this.#connection.user;
  }

  /** The user's conversations and the count of all that is unread. */
  get inbox() {
    return this.#inbox;
  }

  /** Connects and stays connected. During a wait it tries at once. */
  connect() {
    for (const moment of MOMENTS) globalThis.addEventListener?.(moment, this.#wake);
    globalThis.addEventListener?.('offline', this.#doubt);
    globalThis.document?.addEventListener('visibilitychange', this.#seen);
    this.#connection.open();
  }

  /**
   * Ends the connection until `connect`. Conversations keep what they hold.
   *
   * @param {{forget?: boolean}} [options] `forget` is for signing out: nothing unsent of this user stays in the browser, and where this
   *   client never learnt who that is, nothing of anyone.
   */
  close({ forget = false } = {}) {
    if (forget) wipe(this.#store, this.user ? [this.#url.host, this.user.user_id] : [this.#url.host]);
    for (const moment of MOMENTS) globalThis.removeEventListener?.(moment, this.#wake);
    globalThis.removeEventListener?.('offline', this.#doubt);
    globalThis.document?.removeEventListener('visibilitychange', this.#seen);
    this.#connection.close();
  }

  /**
   * A conversation by its id or the shop's key, joined whenever the connection is live. The same one each time.
   *
   * @param {number | string} ref
   * @returns {Conversation}
   */
  conversation(ref) {
    const held = this.#conversations.get(ref);
    if (held) return held;
    const conversation = new Conversation(this.#connection, ref, {
      unreadOf: (id) => this.#unread.get(id),
      stored: (message) => this.#each(message.conversation, (held) => held.apply({ type: 'message', conversation: message.conversation, message })),
      store: this.#store,
      server: this.#url.host,
    });
    conversation.on('change', () => this.#inbox.touched(conversation.id));
    this.#conversations.set(ref, conversation);
    if (this.state === 'live') void conversation.resume();
    return conversation;
  }

  /**
   * Opens a conversation with others, or finds the one that two people have on that subject.
   *
   * @param {Opening} opening
   * @returns {Promise<Listed>}
   * @throws {HaggleError}
   */
  async open(opening) {
    const listed = await rest(this.#connection, this.#rest('/v1/conversations'), { method: 'POST', body: opening });
    this.#inbox.touched(listed.id);
    return listed;
  }

  /**
   * What the server tells of a conversation: its title, subject, and all its participants.
   *
   * @param {number | string} ref
   * @returns {Promise<Listed>}
   * @throws {HaggleError}
   */
  details(ref) {
    return rest(this.#connection, this.#rest(`/v1/conversations/${encodeURIComponent(ref)}`));
  }

  /**
   * Leaves a conversation and forgets it.
   *
   * @param {number | string} ref
   */
  leave(ref) {
    const conversation = this.#conversations.get(ref);
    if (!conversation) return;
    this.#conversations.delete(ref);
    let isHeldOtherwise = false;
    if (conversation.id !== null) this.#each(conversation.id, () => (isHeldOtherwise = true));
    if (isHeldOtherwise) return conversation.suspend();
    conversation.leave();
    if (conversation.id !== null) this.#inbox.parted(conversation.id, conversation.unread, conversation.newest);
  }

  /**
   * @param {State} state
   * @param {HaggleError} [error]
   */
  #became(state, error) {
    this.#unread.clear();
    this.emit('state', { state, error });
    this.#inbox.connected(state === 'live');
    for (const conversation of this.#conversations.values()) {
      if (state === 'live') void conversation.resume();
      else conversation.suspend();
    }
  }

  /** @param {ServerEvent} event */
  #heard(event) {
    this.#inbox.heard(event);
    if (event.type === 'presence') {
      for (const conversation of this.#conversations.values()) conversation.seen(event);
      this.emit('presence', event);
    } else if (event.type === 'unread') {
      this.#unread.set(event.conversation, event.count);
      this.#each(event.conversation, (held) => held.counted(event.count));
      this.emit('unread', event);
    } else if (event.type === 'bye') {
      this.emit('bye', event);
    } else {
      this.#each(event.conversation, (held) => held.apply(event));
    }
  }

  /** @param {string} path */
  #rest(path) {
    const url = new URL(path, this.#url);
    url.protocol = url.protocol.replace('ws', 'http');
    return url.href;
  }

  /**
   * A conversation may be held by its id and by its key.
   *
   * @param {number} id
   * @param {(conversation: Conversation) => void} act
   */
  #each(id, act) {
    for (const conversation of this.#conversations.values()) if (conversation.id === id) act(conversation);
  }
}

/**
 * Forgets what was left unsent in this browser, by everyone who wrote to that server: for a page that signs somebody out and has no client.
 *
 * @param {{url?: string | URL, store?: Store | null}} [options] As a client's.
 */
export function forgetUnsent({ url = ownUrl(), store = ownStore() } = {}) {
  wipe(store, [new URL(url).host]);
}

/** The server that this module came from: a shop's page may stand elsewhere. */
function ownUrl() {
  const url = new URL('/ws', import.meta.url);
  url.protocol = url.protocol.replace('http', 'ws');
  return url;
}
