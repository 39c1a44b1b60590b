/** @import { Message } from './types.js' */

/** Messages held in memory; older ones are let go first and come back from history. */
const LOADED_MAX = 5_000;
/** How many are let go at once, so that it does not happen at every message. */
const LET_GO = 1_000;

/**
 * The messages of one conversation in the order of `seq`, each once, however and in whatever order they arrive.
 *
 * A send's reply can overtake the event of an earlier message. So the newest message is not what to resume from:
 * `cursor` is, the last `seq` up to which nothing is missing.
 */
export class Timeline {
  /** @type {Message[]} */
  #messages = [];
  /** @type {number | null} */
  #cursor = null;
  /** Whether the server has messages before the first one here. */
  hasOlder = false;

  /** @returns {readonly Message[]} */
  get messages() {
    return this.#messages;
  }

  /** The `seq` to resume after; null before the first page. */
  get cursor() {
    return this.#cursor;
  }

  /** Whether a message is missing between two that are here. */
  get hasGap() {
    return this.#cursor !== null && (this.#messages.at(-1)?.seq ?? 0) > this.#cursor;
  }

  /**
   * Starts with the newest page of history.
   *
   * @param {Message[]} page
   * @param {boolean} hasOlder
   */
  begin(page, hasOlder) {
    this.#messages = [...page].sort((a, b) => a.seq - b.seq);
    this.#cursor = this.#messages.at(-1)?.seq ?? 0;
    this.hasOlder = hasOlder;
  }

  /** Forgets everything, for a server that has another past. */
  clear() {
    this.#messages = [];
    this.#cursor = null;
    this.hasOlder = false;
  }

  /**
   * @param {readonly Message[]} messages
   * @returns {Message[]} Those that were not here yet.
   */
  merge(messages) {
    const added = messages.filter((message) => this.#insert(message));
    this.#advance();
    return added;
  }

  /**
   * Adds a page of history from before the first message.
   *
   * @param {readonly Message[]} page
   * @param {boolean} hasOlder
   */
  prepend(page, hasOlder) {
    const first = this.#messages[0]?.seq ?? Infinity;
    // What was asked for may no longer meet what is here: older messages were let go meanwhile.
    if (page.length > 0 && !page.some(({ seq }) => seq === first - 1)) return;
    this.#messages = [...page.filter((message) => message.seq < first), ...this.#messages];
    this.hasOlder = hasOlder;
  }

  /** @param {Message} message */
  #insert(message) {
    const at = this.#messages.findLastIndex((held) => held.seq <= message.seq);
    if (at >= 0 && this.#messages[at]?.seq === message.seq) return false;
    this.#messages.splice(at + 1, 0, message);
    return true;
  }

  #advance() {
    if (this.#cursor === null) return;
    const cursor = this.#cursor;
    let next = this.#messages.findLastIndex((held) => held.seq <= cursor) + 1;
    while (this.#messages[next]?.seq === this.#cursor + 1) {
      this.#cursor += 1;
      next += 1;
    }
    if (this.#messages.length > LOADED_MAX) {
      this.#messages.splice(0, LET_GO);
      this.hasOlder = true;
    }
  }
}
