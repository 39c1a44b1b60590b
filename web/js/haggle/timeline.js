/** @import { Message } from './types.js' */

/** Messages of one conversation that are held in memory at most: the newest here, and as many for each reader. */
export const HELD_MAX = 1_000;

/**
 * The newest messages of one conversation in the order of `seq`, each once, however and in whatever order they arrive. Whoever reads further
 * up has a `Reader`.
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
   * @returns {{added: Message[], gone: Message[]}} Those that were not here yet, and the oldest, which are not any more: there is no
   *   room for them.
   */
  merge(messages) {
    const added = messages.filter((message) => insert(this.#messages, message));
    this.#advance();
    const gone = this.#messages.splice(0, Math.max(0, this.#messages.length - HELD_MAX));
    this.hasOlder ||= gone.length > 0;
    return { added, gone };
  }

  #advance() {
    if (this.#cursor === null) return;
    const cursor = this.#cursor;
    let next = this.#messages.findLastIndex((held) => held.seq <= cursor) + 1;
    while (this.#messages[next]?.seq === this.#cursor + 1) {
      this.#cursor += 1;
      next += 1;
    }
  }
}

/**
 * Puts a message where its `seq` belongs.
 *
 * @param {Message[]} messages
 * @param {Message} message
 * @returns {boolean} Whether it was not there yet.
 */
export function insert(messages, message) {
  const at = messages.findLastIndex((held) => held.seq <= message.seq);
  if (messages[at]?.seq === message.seq) return false;
  messages.splice(at + 1, 0, message);
  return true;
}

/**
 * Where the first message of this `seq` or a later one stands.
 *
 * @param {readonly Message[]} messages
 * @param {number} seq
 */
export function position(messages, seq) {
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((messages[middle]?.seq ?? 0) >= seq) high = middle;
    else low = middle + 1;
  }
  return low;
}
