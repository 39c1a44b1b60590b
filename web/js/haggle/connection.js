/** @import { ByeEvent, Failure, ServerEvent, State, User } from './types.js' */
import { Backoff, TIMER_MAX_MS } from './backoff.js';
import { Emitter } from './emitter.js';
import { HaggleError } from './error.js';

/** Milliseconds for the token, the handshake and `auth` together. */
const CONNECT_DEADLINE_MS = 10_000;
/** Milliseconds for a reply. The server answers within 10 s, so silence means that the connection is dead. */
const REPLY_DEADLINE_MS = 15_000;
/** A connection that lived this long was a good one: the next wait starts from the shortest again. */
const STABLE_MS = 5_000;
/** Tokens in a row that the server may refuse before this client gives up. */
const REFUSED_TOKENS_MAX = 3;
/** Requests without a reply at one time. */
const WAITING_MAX = 1_000;
/** What this user has written must not go out in another one's name. */
const ANOTHER = 'The token names another user: that needs a client of its own.';
/** Milliseconds in which nothing is heard after which the server is asked whether it is there: its pings are not for scripts to see. */
const SILENCE_MS = 25_000;
/** Milliseconds that it then has for an answer, or for anything else. */
const PROBE_MS = 10_000;
/** The same when the network or the page has just come or gone: a connection that was cut off is likely, and somebody looks. */
const PROBE_SOON_MS = 5_000;
/** Milliseconds for which what was heard proves that the connection holds. */
const HEARD_JUST_NOW_MS = 1_000;

/**
 * @typedef {object} ConnectionOptions
 * @property {string} url
 * @property {() => string | null | Promise<string | null>} token Called for a first and for each further token;
 *   null means that nobody is signed in, a rejection that the token cannot be had just now.
 * @property {number} retryBaseMs
 * @property {number} retryMaxMs
 *
 * @typedef {{resolve: (reply: any) => void, reject: (error: HaggleError) => void, timer: any}} Waiting
 */

/**
 * One WebSocket at a time, opened again until `close`: states, `auth`, requests with their replies, and everything
 * else as `event`. It knows nothing of conversations.
 *
 * @extends {Emitter<{state: {state: State, error?: HaggleError}, event: ServerEvent}>}
 */
export class Connection extends Emitter {
  /** @type {State} */
  #state = 'offline';
  /** @type {User | null} */
  #user = null;
  /** @type {WebSocket | null} */
  #socket = null;
  /** Counts attempts; what an older one still has under way is void. */
  #turn = 0;
  /** @type {string | null} */
  #token = null;
  #refusedTokens = 0;
  #backoff;
  #liveSince = 0;
  #wanted = false;
  #nextId = 1;
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();
  /** @type {any} The wait before the next attempt, or the deadline of the one under way. */
  #timer;
  /** @type {any} */
  #renewal;
  /** When the server wants to be tried again at the earliest, in milliseconds since 1970. */
  #notBefore = 0;
  /** When the server was last heard, in milliseconds since 1970. */
  #heardAt = 0;
  /** @type {any} The next look at how long it has been silent. */
  #pulse;
  /** @type {any} What is left of the time in which it must be heard. */
  #probe;
  #options;

  /** @param {ConnectionOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#backoff = new Backoff(options.retryBaseMs, options.retryMaxMs);
  }

  get state() {
    return this.#state;
  }

  /** Who the token names; null before the first `live`. */
  get user() {
    return this.#user;
  }

  /** The token in use; null before the first and while a fresh one is needed. */
  get token() {
    return this.#token;
  }

  /** Connects, or tries again at once where a wait is under way or the server refused. */
  open() {
    this.#wanted = true;
    if (this.#state === 'live' || this.#state === 'connecting') return;
    this.#refusedTokens = 0;
    void this.#connect();
  }

  /** Ends the connection for good, until `open`. */
  close() {
    this.#wanted = false;
    this.#release('offline');
  }

  /**
   * For a page that is back in sight or on the network: there is no reason to wait any longer, but where the server has named a time; and
   * what was live may have been cut off.
   */
  wake() {
    if (this.#wanted && this.#state === 'offline' && Date.now() >= this.#notBefore) void this.#connect();
    this.doubt();
  }

  /** For a page whose network has gone: what was live may have been cut off without a word. */
  doubt() {
    if (this.#state === 'live' && Date.now() - this.#heardAt >= HEARD_JUST_NOW_MS) this.#prove(PROBE_SOON_MS);
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} [fields]
   * @returns {Promise<any>} The reply.
   * @throws {HaggleError} The server's, or `unavailable` where there is no connection or it was lost meanwhile.
   */
  request(type, fields = {}) {
    if (this.#state !== 'live') return Promise.reject(new HaggleError('unavailable', 'There is no connection.'));
    return this.#ask(type, fields);
  }

  /**
   * Sends what needs no reply and is not worth keeping, such as typing.
   *
   * @param {string} type
   * @param {Record<string, unknown>} fields
   */
  tell(type, fields) {
    if (this.#state === 'live') this.#socket?.send(JSON.stringify({ type, ...fields }));
  }

  async #connect() {
    this.#turn += 1;
    const turn = this.#turn;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(), CONNECT_DEADLINE_MS);
    this.#become('connecting');
    try {
      const token = this.#token ?? (await this.#options.token());
      if (turn !== this.#turn) return;
      if (!token) return this.#refuse(new HaggleError('unauthorized', 'Nobody is signed in.'));
      this.#token = token;
      this.#attach(new WebSocket(this.#options.url), token);
    } catch {
      if (turn === this.#turn) this.#lost();
    }
  }

  /**
   * @param {WebSocket} socket
   * @param {string} token
   */
  #attach(socket, token) {
    this.#socket = socket;
    socket.onopen = () => void this.#authenticate(token);
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = () => this.#lost();
  }

  /** @param {string} token */
  async #authenticate(token) {
    const turn = this.#turn;
    try {
      const reply = await this.#ask('auth', { token });
      clearTimeout(this.#timer);
      if (this.#user && this.#user.user_id !== reply.user_id) return this.#refuse(new HaggleError('forbidden', ANOTHER));
      this.#user = { user_id: reply.user_id, name: reply.name };
      this.#liveSince = Date.now();
      this.#renewBefore(token);
      this.#listen(SILENCE_MS);
      this.#become('live');
    } catch (error) {
      if (turn === this.#turn) this.#denied(HaggleError.from(error));
    }
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} fields
   * @returns {Promise<any>}
   */
  #ask(type, fields) {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size >= WAITING_MAX) return reject(new HaggleError('rate_limited', 'Too many requests wait.'));
      const id = this.#nextId++;
      const timer = setTimeout(() => this.#lost(), REPLY_DEADLINE_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket?.send(JSON.stringify({ id, type, ...fields }));
    });
  }

  /**
   * Looks again when the server may have been silent for too long.
   *
   * @param {number} waitMs
   */
  #listen(waitMs) {
    clearTimeout(this.#pulse);
    this.#pulse = setTimeout(() => {
      const silentMs = Date.now() - this.#heardAt;
      if (silentMs >= SILENCE_MS) this.#prove(PROBE_MS);
      this.#listen(silentMs >= SILENCE_MS ? SILENCE_MS : SILENCE_MS - silentMs);
    }, waitMs);
  }

  /**
   * Asks for a word, and gives the connection up where nothing at all is heard within that time. The native vocabulary has no `ping`, and a
   * server refuses it at once, without work: that is a word, too.
   *
   * @param {number} withinMs
   */
  #prove(withinMs) {
    if (this.#probe !== undefined) return;
    this.#probe = setTimeout(() => this.#lost(), withinMs);
    this.tell('ping', {});
  }

  /** @param {unknown} data */
  #hear(data) {
    this.#heardAt = Date.now();
    clearTimeout(this.#probe);
    this.#probe = undefined;
    const frame = parse(data);
    if (!frame) return;
    if (typeof frame.ok === 'boolean') this.#replied(frame);
    else if (frame.type === 'bye') this.#dismissed(/** @type {ByeEvent} */ (frame));
    else if (typeof frame.type === 'string') this.emit('event', /** @type {ServerEvent} */ (frame));
  }

  /** @param {any} frame */
  #replied(frame) {
    const error = frame.ok ? null : failure(frame.error);
    const waiting = this.#waiting.get(frame.id);
    if (error?.code === 'unauthorized' && this.#state === 'live') return this.#denied(error);
    if (!waiting) return;
    this.#waiting.delete(frame.id);
    clearTimeout(waiting.timer);
    if (error) waiting.reject(error);
    else waiting.resolve(frame);
  }

  /** @param {ByeEvent} bye */
  #dismissed(bye) {
    this.emit('event', bye);
    const error = new HaggleError(bye.code, bye.reason, bye.retry_after);
    if (bye.code === 'unauthorized') this.#denied(error);
    else if (bye.reconnect) this.#lost(error);
    else this.#refuse(error);
  }

  /**
   * Nobody got in: with another token, later, or not at all.
   *
   * @param {HaggleError} error
   */
  #denied(error) {
    this.#forgive();
    if (error.code === 'unauthorized') {
      this.#token = null;
      this.#refusedTokens += 1;
      if (this.#refusedTokens >= REFUSED_TOKENS_MAX) return this.#refuse(error);
      // The usual reason is a token that has grown old, so the first fresh one need not wait.
      return this.#lost(error, this.#refusedTokens === 1 ? 0 : undefined);
    }
    if (error.passing || error.code === 'internal') this.#lost(error);
    else this.#refuse(error);
  }

  /**
   * @param {HaggleError} [error]
   * @param {number} [waitMs]
   */
  #lost(error, waitMs) {
    this.#forgive();
    // Whoever is shown the door before a word was said may have come with a bad token.
    if (this.#state === 'connecting' && this.#waiting.size > 0) this.#token = null;
    this.#release('offline', error);
    this.#notBefore = Date.now() + (error?.retryAfter ?? 0) * 1_000;
    this.#timer = setTimeout(() => void this.#connect(), waitMs ?? this.#backoff.next(error?.retryAfter));
  }

  /** A connection that held says that neither the token nor the server was at fault before. */
  #forgive() {
    if (this.#state !== 'live' || Date.now() - this.#liveSince < STABLE_MS) return;
    this.#backoff.reset();
    this.#refusedTokens = 0;
  }

  /** @param {HaggleError} error */
  #refuse(error) {
    this.#token = null;
    this.#release('refused', error);
  }

  /**
   * Lets the socket go. The state changes before the requests fail, so that whoever made them sees it.
   *
   * @param {State} state
   * @param {HaggleError} [error]
   */
  #release(state, error) {
    this.#turn += 1;
    clearTimeout(this.#timer);
    clearTimeout(this.#renewal);
    clearTimeout(this.#pulse);
    clearTimeout(this.#probe);
    this.#probe = undefined;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#become(state, error);
    for (const { reject, timer } of waiting) {
      clearTimeout(timer);
      reject(new HaggleError('unavailable', 'The connection was lost.'));
    }
  }

  /**
   * @param {State} state
   * @param {HaggleError} [error]
   */
  #become(state, error) {
    if (state === this.#state && !error) return;
    this.#state = state;
    this.emit('state', { state, error });
  }

  /**
   * Plans the next token for shortly before this one ends. Where that fails the server closes the connection, and
   * the next one begins with a fresh token.
   *
   * @param {string} token
   */
  #renewBefore(token) {
    clearTimeout(this.#renewal);
    const leftMs = expiryMs(token) - Date.now();
    if (!(leftMs > 2_000)) return;
    const waitMs = Math.min(Math.max(leftMs / 2, leftMs - 60_000), TIMER_MAX_MS);
    this.#renewal = setTimeout(() => void this.#renew(), waitMs);
  }

  async #renew() {
    const turn = this.#turn;
    try {
      const token = await this.#options.token();
      if (turn !== this.#turn || !token) return;
      await this.#ask('auth', { token });
      this.#token = token;
      this.#renewBefore(token);
    } catch {
      if (turn === this.#turn) this.#token = null;
    }
  }
}

/**
 * @param {unknown} data
 * @returns {any} Null for what is not a JSON object: a client survives what it does not know.
 */
function parse(data) {
  try {
    const frame = JSON.parse(String(data));
    return typeof frame === 'object' ? frame : null;
  } catch {
    return null;
  }
}

/** @param {Failure | undefined} error */
function failure(error) {
  return new HaggleError(error?.code ?? 'internal', error?.message, error?.retry_after);
}

/**
 * @param {string} token
 * @returns {number} When a JWT ends, in milliseconds since 1970; NaN where it does not say.
 */
function expiryMs(token) {
  try {
    const payload = token.split('.')[1] ?? '';
    return JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))).exp * 1_000;
  } catch {
    return NaN;
  }
}
