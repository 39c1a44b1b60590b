/** @import { Connection } from './connection.js' */
/** @import { ConversationEvent, Marked, Message, Participant, PresenceEvent } from './types.js' */
/** @import { Pending } from './outbox.js' */
/** @import { Store } from './store.js' */
import { Backoff } from './backoff.js';
import { Emitter } from './emitter.js';
import { HaggleError } from './error.js';
import { Outbox } from './outbox.js';
import { PAGE, Reader } from './reader.js';
import { Keep } from './store.js';
import { Timeline } from './timeline.js';

/** The server's largest page, for filling a gap. */
const PAGE_MAX = 200;
/** Milliseconds that an overtaken message may take to arrive by itself before it is asked for. */
const GAP_MS = 500;
/** Milliseconds in which several `received` become one. */
const RECEIVED_MS = 150;
/** Milliseconds between two `typing` while someone writes; the server forgets the last after 5 s. */
const TYPING_AGAIN_MS = 3_000;
/** Milliseconds after the last key at which writing has stopped. */
const TYPING_STOPS_MS = 4_000;
/** Milliseconds after which someone else's typing ends, should the server's word for it be lost. */
const TYPING_FORGOTTEN_MS = 7_000;
/** Milliseconds within which what failed for the moment, a join or a gap's filling, is tried again: at first, and at last. */
const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 15_000;

/**
 * What became of one's own message: on its way, stored, heard by a device of everyone else, read by everyone else.
 *
 * @typedef {'sending' | 'failed' | 'sent' | 'received' | 'read'} Mark
 *
 * @typedef {object} ConversationEvents
 * @property {null} change Something to show has changed: messages, marks, participants, typing or unread.
 * @property {{message: Message}} message A message of someone else arrived that was not there when loading ended.
 * @property {HaggleError} error The conversation cannot be joined.
 */

/**
 * One conversation as this user sees it. `HaggleClient.conversation` makes it; it joins by itself whenever the
 * connection is live, and goes on where it stopped.
 *
 * @extends {Emitter<ConversationEvents>}
 */
export class Conversation extends Emitter {
  /** The integer id or the shop's key, as it was asked for. */
  ref;
  /** @type {number | null} The integer id, once the server has said it. */
  id = null;
  /** Whether live messages arrive. */
  joined = false;
  /** @type {HaggleError | undefined} Why it cannot be joined, as `error` has told. */
  trouble;
  /** @type {Map<string, Participant>} */
  #participants = new Map();
  /** @type {Map<string, {name: string, timer: any}>} */
  #typing = new Map();
  #timeline = new Timeline();
  /** @type {Set<Reader>} */
  #readers = new Set();
  #own;
  #joining = new Backoff(RETRY_BASE_MS, RETRY_MAX_MS);
  #filling = new Backoff(RETRY_BASE_MS, RETRY_MAX_MS);
  #connection;
  #outbox;
  #unreadOf;
  #stored;
  #store;
  #server;
  /** Counts joins; what an older one still has under way is void. */
  #turn = 0;
  /** Unread messages up to `#countedTo`; those after it are here and are counted here. */
  #unreadBase = 0;
  #countedTo = 0;
  /** The conversation's last `seq` when it was last joined: what the server counted on connecting ends there. */
  #enteredAt = 0;
  #readWanted = 0;
  #readTold = 0;
  #receivedTold = 0;
  /** @type {any} */
  #receivedTimer;
  /** @type {any} */
  #gapTimer;
  /** @type {any} */
  #retryTimer;
  /** @type {any} */
  #stopTimer;
  #typingToldAt = 0;

  /**
   * @param {Connection} connection
   * @param {number | string} ref
   * @param {object} options
   * @param {(id: number) => number | undefined} options.unreadOf What the server said on connecting.
   * @param {(message: Message) => void} options.stored Called when a message of one's own is stored.
   * @param {Store | null} options.store Where unsent messages are kept.
   * @param {string} options.server
   */
  constructor(connection, ref, { unreadOf, stored, store, server }) {
    super();
    this.#stored = stored;
    this.#store = store;
    this.#server = server;
    this.ref = ref;
    this.#connection = connection;
    this.#unreadOf = unreadOf;
    this.#own = this.reader();
    this.#outbox = new Outbox({
      deliver: (item) => this.#deliver(item),
      mayGo: () => this.joined,
      changed: () => this.emit('change', null),
    });
  }

  /**
   * In the order of `seq`, each once, without a gap but for what was overtaken on its way: the newest, or where `older` has led. At most
   * `HELD_MAX`.
   */
  get messages() {
    return this.#own.messages;
  }

  /** The newest message there is. */
  get newest() {
    return this.#timeline.messages.at(-1);
  }

  /** What was written here and is not stored yet, in order. */
  get pending() {
    return this.#outbox.pending;
  }

  /** @returns {Participant[]} */
  get participants() {
    return [...this.#participants.values()];
  }

  /** Everyone but this user. */
  get others() {
    return this.participants.filter(({ user_id }) => user_id !== this.#me);
  }

  /** Those who are writing. Names can be alike: ids cannot. */
  get writers() {
    return Array.from(this.#typing, ([user_id, { name }]) => ({ user_id, name }));
  }

  /** The names of those who are writing. */
  get typists() {
    return Array.from(this.#typing.values(), ({ name }) => name);
  }

  /** The `seq` up to which this user has read: the server's word or what was read here, whichever is further. */
  get readSeq() {
    return Math.max(this.#readWanted, this.#participants.get(this.#me ?? '')?.read_seq ?? 0);
  }

  /** Whether there is history before the first message. */
  get hasOlder() {
    return this.#own.hasOlder;
  }

  /** Whether there are messages after the last one of `messages`: somebody has gone far up. `newer` and `latest` lead back. */
  get hasNewer() {
    return this.#own.hasNewer;
  }

  /** Whether the first page has arrived. */
  get loaded() {
    return this.#timeline.cursor !== null;
  }

  /** How many messages of others this user has not read. */
  get unread() {
    let count = this.#unreadBase;
    const { messages } = this.#timeline;
    for (let at = messages.length - 1; at >= 0; at -= 1) {
      const message = messages[at];
      if (!message || message.seq <= this.#countedTo) break;
      if (message.sender.id !== this.#me) count += 1;
    }
    return count;
  }

  get #me() {
    return this.#connection.user?.user_id;
  }

  /**
   * Sends a text, now or when the connection is back: in order and once. It stands in `pending` until it is stored.
   *
   * @param {string} body 1 to 4,000 characters, measured trimmed.
   * @returns {Pending}
   * @throws {HaggleError} `invalid` or `too_large`, before anything is sent.
   */
  send(body) {
    const item = this.#outbox.add(body);
    if (this.hasNewer) this.latest();
    this.typing(false);
    return item;
  }

  /**
   * Sends a refused message again.
   *
   * @param {string} clientId
   */
  retry(clientId) {
    this.#outbox.retry(clientId);
  }

  /**
   * Takes a refused message out of `pending`.
   *
   * @param {string} clientId
   */
  discard(clientId) {
    this.#outbox.discard(clientId);
  }

  /**
   * Tells the others that this user writes (call it at each key; it tells no more than it must) or has stopped.
   *
   * @param {boolean} on
   */
  typing(on) {
    clearTimeout(this.#stopTimer);
    if (!this.joined) return;
    const now = Date.now();
    const told = now - this.#typingToldAt < TYPING_AGAIN_MS;
    if (on) this.#stopTimer = setTimeout(() => this.typing(false), TYPING_STOPS_MS);
    if (on ? told : this.#typingToldAt === 0) return;
    this.#typingToldAt = on ? now : 0;
    this.#connection.tell('typing', { conversation: this.id, on });
  }

  /** Marks everything that is here as read. Offline it is kept, and told when the connection is back. */
  read() {
    const seq = this.#timeline.cursor ?? 0;
    if (seq <= this.#readWanted) return;
    this.#readWanted = seq;
    this.#readUpTo(seq);
    this.emit('change', null);
    void this.#tellRead();
  }

  /**
   * Loads the page of history before the first of `messages`. What is too many then is let go at the other end, also when new messages
   * come, until `newer` or `latest`.
   *
   * @returns {Promise<void>}
   */
  older() {
    return this.#own.older();
  }

  /**
   * Loads the page after the last of `messages`, where that is not the newest.
   *
   * @returns {Promise<void>}
   */
  newer() {
    return this.#own.newer();
  }

  /** Back to the newest messages, at once. */
  latest() {
    this.#own.latest();
  }

  /**
   * A reader of one's own, for a page that shows a conversation in two places: each has its `messages` and its place in them.
   *
   * @returns {Reader}
   */
  reader() {
    const reader = new Reader(this.#timeline, {
      history: async (place) => (this.joined ? this.#connection.request('history', { conversation: this.id, ...place }) : null),
      changed: () => this.emit('change', null),
      closed: (one) => void this.#readers.delete(one),
    });
    this.#readers.add(reader);
    return reader;
  }

  /**
   * What the mark beside one's own message should say.
   *
   * @param {Message} message
   * @returns {Mark}
   */
  markOf({ seq }) {
    const others = this.others;
    if (others.length === 0) return 'sent';
    if (others.every(({ read_seq = 0 }) => read_seq >= seq)) return 'read';
    if (others.every(({ received_seq = 0, read_seq = 0 }) => Math.max(received_seq, read_seq) >= seq)) {
      return 'received';
    }
    return 'sent';
  }

  /**
   * Joins: the newest page first, or else from where it stopped. The client calls it when the connection is live.
   *
   * @internal
   */
  async resume() {
    this.#turn += 1;
    const turn = this.#turn;
    try {
      if (!this.loaded) {
        const page = await this.#connection.request('history', { conversation: this.ref, limit: PAGE });
        if (turn !== this.#turn) return;
        this.#timeline.begin(page.messages, page.has_more);
        for (const reader of this.#readers) reader.begin();
      }
      const after = this.#timeline.cursor;
      // By its time the server knows whether the last message is still that one, or its database was restored.
      const last = this.#timeline.messages.findLast(({ seq }) => seq === after);
      const reply = await this.#connection.request('join', { conversation: this.ref, after, ...(last && { after_at: last.created_at }) });
      if (turn === this.#turn) this.#entered(reply);
    } catch (error) {
      if (turn === this.#turn) this.#barred(HaggleError.from(error));
    }
  }

  /**
   * Stops until `resume`. The client calls it when the connection is gone.
   *
   * @internal
   */
  suspend() {
    this.#turn += 1;
    this.joined = false;
    this.trouble = undefined;
    this.#typingToldAt = 0;
    for (const timer of [this.#retryTimer, this.#gapTimer, this.#receivedTimer, this.#stopTimer]) clearTimeout(timer);
    this.#gapTimer = this.#receivedTimer = undefined;
    for (const userId of [...this.#typing.keys()]) this.#typed(userId, '', false);
    this.emit('change', null);
  }

  /**
   * Leaves the room: nothing more is heard.
   *
   * @internal
   */
  leave() {
    if (this.joined) this.#connection.tell('leave', { conversation: this.id });
    this.suspend();
  }

  /**
   * @param {ConversationEvent} event
   * @internal
   */
  apply(event) {
    if (event.type === 'message') return this.#heard([event.message]);
    if (event.type === 'typing') this.#typed(event.user_id, event.name, event.on);
    if (event.type === 'received') this.#moved(event.user_id, 'received_seq', event.seq);
    if (event.type === 'read') this.#moved(event.user_id, 'read_seq', event.seq);
    if (event.type === 'joined') this.#met(event.user_id, event.name);
    if (event.type === 'left') this.#typed(event.user_id, event.name, false);
    this.emit('change', null);
  }

  /**
   * @param {PresenceEvent} event
   * @internal
   */
  seen({ user_id, online, last_seen }) {
    const participant = this.#participants.get(user_id);
    if (!participant) return;
    participant.online = online;
    participant.last_seen = last_seen;
    if (!online) this.#typed(user_id, '', false);
    this.emit('change', null);
  }

  /**
   * @param {number} count What the server counts as unread.
   * @internal
   */
  counted(count) {
    // What was read here may not have been told yet; then the count of what is here is the better one.
    if (this.#readWanted > 0) return;
    this.#unreadBase = count;
    this.#countedTo = this.#enteredAt;
    this.emit('change', null);
  }

  /**
   * Every message after the one read is here, or will come: from now on the count needs no server.
   *
   * @param {number} seq
   */
  #readUpTo(seq) {
    this.#unreadBase = 0;
    this.#countedTo = seq;
  }

  /** @param {{conversation: number, last_seq: number, participants: Participant[], marks?: Marked[], reset?: boolean}} reply */
  #entered(reply) {
    if (reply.reset || reply.last_seq < (this.#timeline.cursor ?? 0)) return this.#startOver();
    const first = this.id === null;
    this.trouble = undefined;
    this.#joining.reset();
    this.#filling.reset();
    this.id = reply.conversation;
    this.joined = true;
    if (first && this.#me) this.#outbox.keepIn(new Keep(this.#store, [this.#server, this.#me, reply.conversation]));
    const marks = new Map(
      (reply.marks ?? []).map(({ user_id, received, read }) => [user_id, { received_seq: received, read_seq: read }]),
    );
    const marked = reply.participants.map((one) => this.#withCursors({ ...one, ...marks.get(one.user_id) }));
    this.#participants = new Map(marked.map((one) => [one.user_id, one]));
    this.#enteredAt = reply.last_seq;
    const unread = this.#unreadOf(reply.conversation) ?? (first ? 0 : undefined);
    if (unread !== undefined) this.counted(unread);
    if (this.#me) this.#moved(this.#me, 'read_seq', this.#participants.get(this.#me)?.read_seq ?? 0);
    this.emit('change', null);
    this.#tellReceivedSoon();
    void this.#tellRead();
    void this.#outbox.flush();
  }

  /** The server knows less than we do, or something else, so it is another database: what is shown here never happened there. */
  #startOver() {
    this.#timeline.clear();
    for (const reader of this.#readers) reader.begin();
    this.#readWanted = this.#readTold = this.#receivedTold = 0;
    this.id = null;
    this.#participants.clear();
    this.emit('change', null);
    void this.resume();
  }

  /** @param {HaggleError} error */
  #barred(error) {
    if (this.#connection.state !== 'live') return;
    if (error.passing) {
      this.#retryTimer = setTimeout(() => void this.resume(), this.#joining.next(error.retryAfter));
    } else {
      this.trouble = error;
      this.emit('error', error);
    }
  }

  /**
   * A participant with the furthest cursors known: what an event said may be newer than a reply.
   *
   * @param {Participant} participant
   * @returns {Participant}
   */
  #withCursors(participant) {
    const known = this.#participants.get(participant.user_id);
    return {
      ...participant,
      last_seen: participant.last_seen ?? known?.last_seen,
      received_seq: Math.max(participant.received_seq ?? 0, known?.received_seq ?? 0),
      read_seq: Math.max(participant.read_seq ?? 0, known?.read_seq ?? 0),
    };
  }

  /** @param {readonly Message[]} messages */
  #heard(messages) {
    const { added, gone } = this.#timeline.merge(messages);
    for (const message of gone) this.#stopCounting(message);
    for (const reader of this.#readers) reader.heard(added);
    for (const message of added) {
      const mine = message.sender.id === this.#me;
      if (mine && message.client_id) this.#outbox.settle(message.client_id);
      this.#typed(message.sender.id, '', false);
      if (mine) continue;
      this.emit('message', { message });
    }
    if (added.length === 0) return;
    this.emit('change', null);
    this.#tellReceivedSoon();
    if (this.#timeline.hasGap) this.#fillGapSoon();
  }

  /**
   * What is no longer held cannot be counted here any more: its place is in the count.
   *
   * @param {Message} message
   */
  #stopCounting({ seq, sender }) {
    if (seq <= this.#countedTo) return;
    if (sender.id !== this.#me) this.#unreadBase += 1;
    this.#countedTo = seq;
  }

  /** @param {Pending} item */
  async #deliver({ body, client_id }) {
    const { message } = await this.#connection.request('send', { conversation: this.id, body, client_id });
    this.#outbox.settle(client_id);
    this.#stored(message);
    return message;
  }

  /**
   * @param {string} userId
   * @param {string} name
   * @param {boolean} on
   */
  #typed(userId, name, on) {
    clearTimeout(this.#typing.get(userId)?.timer);
    this.#typing.delete(userId);
    if (!on || userId === this.#me) return;
    const timer = setTimeout(() => {
      this.#typing.delete(userId);
      this.emit('change', null);
    }, TYPING_FORGOTTEN_MS);
    this.#typing.set(userId, { name, timer });
  }

  /**
   * @param {string} userId
   * @param {'received_seq' | 'read_seq'} cursor
   * @param {number} seq
   */
  #moved(userId, cursor, seq) {
    const participant = this.#participants.get(userId);
    if (participant) participant[cursor] = Math.max(participant[cursor] ?? 0, seq);
    if (userId !== this.#me || cursor !== 'read_seq') return;
    // Read on another device of this user. What lies before the first message here cannot be counted here.
    if (seq > this.#readWanted && seq >= (this.#timeline.messages[0]?.seq ?? 0)) this.#readUpTo(seq);
  }

  /**
   * @param {string} userId
   * @param {string} name
   */
  #met(userId, name) {
    if (this.#participants.has(userId)) return;
    this.#participants.set(userId, { user_id: userId, name, role: '', online: true });
  }

  async #tellRead() {
    const seq = this.#readWanted;
    if (!this.joined || seq <= this.#readTold) return;
    this.#readTold = seq;
    try {
      await this.#connection.request('read', { conversation: this.id, seq });
    } catch {
      this.#readTold = Math.min(this.#readTold, seq - 1);
    }
  }

  #tellReceivedSoon() {
    this.#receivedTimer ??= setTimeout(() => {
      this.#receivedTimer = undefined;
      const seq = this.#timeline.cursor ?? 0;
      if (!this.joined || seq <= this.#receivedTold) return;
      this.#receivedTold = seq;
      this.#connection.tell('received', { conversation: this.id, seq });
    }, RECEIVED_MS);
  }

  #fillGapSoon() {
    this.#gapTimer ??= setTimeout(() => void this.#fillGap(), GAP_MS);
  }

  async #fillGap() {
    const turn = this.#turn;
    /** @type {HaggleError | undefined} */
    let error;
    try {
      while (this.#timeline.hasGap && turn === this.#turn) {
        const after = this.#timeline.cursor;
        const page = await this.#connection.request('history', { conversation: this.id, after, limit: PAGE_MAX });
        this.#heard(page.messages);
        if (this.#timeline.cursor === after) break;
        this.#filling.reset();
      }
    } catch (cause) {
      error = HaggleError.from(cause);
    }
    // The next join begins at the cursor.
    if (turn !== this.#turn) return;
    this.#gapTimer = this.#timeline.hasGap ? setTimeout(() => void this.#fillGap(), this.#filling.next(error?.retryAfter)) : undefined;
  }
}
