/** @import { Message } from './types.js' */
/** @import { Keep } from './store.js' */
import { HaggleError } from './error.js';

/** Unicode scalar values in a message, trimmed: the server's limit. */
export const BODY_MAX = 4_000;
/** Messages that wait for the server at once; `send` refuses more. */
const PENDING_MAX = 500;
/** Milliseconds before a send is tried again where the server names no time. */
const RETRY_MS = 1_000;

/**
 * A message on its way: its `client_id` stays the same however often it is sent, so the server stores it once.
 *
 * @typedef {object} Pending
 * @property {string} client_id
 * @property {string} body
 * @property {string} created_at When it was written here; the server's time counts once it is stored.
 * @property {number} at Its place in the order of writing: milliseconds since 1970, and never twice the same on a page.
 * @property {HaggleError} [error] Why the server refused it. Without one it is still under way.
 */

/**
 * Sends what was written, in order and one at a time: with two under way, the first could fail for a moment and
 * be stored after the second.
 */
export class Outbox {
  /** @type {Pending[]} */
  #pending = [];
  #busy = false;
  /** @type {Keep | null} */
  #keep = null;
  #lastAt = 0;
  #deliver;
  #changed;
  #mayGo;

  /**
   * @param {object} options
   * @param {(item: Pending) => Promise<Message>} options.deliver
   * @param {() => boolean} options.mayGo Whether the way to the server is open.
   * @param {() => void} options.changed
   */
  constructor({ deliver, mayGo, changed }) {
    this.#deliver = deliver;
    this.#mayGo = mayGo;
    this.#changed = changed;
  }

  /** @returns {readonly Pending[]} */
  get pending() {
    return this.#pending;
  }

  /**
   * From now on what waits is also kept beyond this page; what an earlier page has left goes first.
   *
   * @param {Keep} keep
   */
  keepIn(keep) {
    const here = this.#pending;
    for (const { client_id } of here) this.#keep?.drop(client_id);
    this.#keep = keep;
    const left = keep.load().filter(({ client_id }) => !here.some((held) => held.client_id === client_id));
    for (const item of here) keep.save(item);
    this.#pending = [...left.slice(0, PENDING_MAX), ...here];
  }

  /**
   * @param {string} text
   * @returns {Pending}
   * @throws {HaggleError} `invalid` for an empty text, `too_large` past `BODY_MAX`, `rate_limited` when too many wait.
   */
  add(text) {
    const body = wellFormed(text);
    const length = bodyLength(body);
    if (length === 0) throw new HaggleError('invalid', 'The message is empty.');
    if (length > BODY_MAX) throw new HaggleError('too_large', `A message has at most ${BODY_MAX} characters.`);
    if (this.#pending.length >= PENDING_MAX) throw new HaggleError('rate_limited', 'Too many messages wait.');
    const at = (this.#lastAt = Math.max(this.#lastAt + 1, Date.now()));
    const item = { client_id: newClientId(), body, created_at: new Date().toISOString(), at };
    this.#pending.push(item);
    this.#keep?.save(item);
    this.#changed();
    void this.flush();
    return item;
  }

  /**
   * Tries a refused message again.
   *
   * @param {string} clientId
   */
  retry(clientId) {
    const item = this.#pending.find((held) => held.client_id === clientId);
    if (!item?.error) return;
    delete item.error;
    this.#changed();
    void this.flush();
  }

  /**
   * Forgets a refused message; one that is under way cannot be called back.
   *
   * @param {string} clientId
   */
  discard(clientId) {
    const item = this.#pending.find((held) => held.client_id === clientId);
    if (item?.error) this.settle(clientId);
  }

  /**
   * Takes out what is known to be stored.
   *
   * @param {string} clientId
   */
  settle(clientId) {
    const rest = this.#pending.filter((held) => held.client_id !== clientId);
    if (rest.length === this.#pending.length) return;
    this.#pending = rest;
    this.#keep?.drop(clientId);
    this.#changed();
  }

  /** Sends what waits, until nothing does or the way closes. */
  async flush() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#mayGo()) {
        const item = this.#pending.find((held) => !held.error);
        if (!item) break;
        await this.#attempt(item);
      }
    } finally {
      this.#busy = false;
    }
  }

  /** @param {Pending} item */
  async #attempt(item) {
    try {
      await this.#deliver(item);
      this.settle(item.client_id);
    } catch (cause) {
      const error = HaggleError.from(cause);
      if (!error.passing) {
        item.error = error;
        this.#changed();
      } else if (this.#mayGo()) {
        const waitMs = error.retryAfter === undefined ? RETRY_MS : error.retryAfter * 1_000;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }
}

/**
 * The length that counts against `BODY_MAX`.
 *
 * @param {string} text
 */
export function bodyLength(text) {
  let length = 0;
  for (const _ of text.trim()) length += 1;
  return length;
}

/**
 * Half a surrogate pair is not text, and no server stores it.
 *
 * @param {string} text
 */
function wellFormed(text) {
  return text.replace(/\p{Surrogate}/gu, '\u{fffd}');
}

/** 128 random bits. `crypto.randomUUID` would do, but exists on secure pages only. */
function newClientId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
