/** @import { Timeline } from './timeline.js' */
/** @import { Message } from './types.js' */
import { HELD_MAX, insert, position } from './timeline.js';

/** Messages in a page of history. What is let go at once is no more, so what is in sight is never reached while it is less than `HELD_MAX` less two of these. */
export const PAGE = 50;

/**
 * Asks the server for a page before or after a `seq`; null where there is no way to it now.
 *
 * @typedef {(place: {before?: number, after?: number, limit: number}) => Promise<{messages: Message[], has_more: boolean} | null>} History
 */

/**
 * What one reader has of a conversation: at most `HELD_MAX` messages without a gap, wherever in the conversation. What grows beyond is
 * let go at the end that is further from what the reader has in sight, and comes back from the server, or from the newest ones that are
 * held anyway, when they go there.
 */
export class Reader {
  /** @type {Message[]} */
  #messages = [];
  #timeline;
  #history;
  #changed;
  #closed;
  /** Whether there are messages before the first one here. */
  hasOlder = false;
  /** Whether there are messages after the last one here: new ones are not added then. */
  hasNewer = false;
  /** @type {readonly [number, number] | null} The `seq`s in sight. */
  #sight = null;
  /** Where nobody says what is in sight: whether the reader went up last. */
  #isUp = false;
  /** Counts beginnings; a page that was asked for before is void. */
  #turn = 0;
  /** @type {Promise<void> | null} */
  #loadingOlder = null;
  /** @type {Promise<void> | null} */
  #loadingNewer = null;

  /**
   * @param {Timeline} timeline
   * @param {object} ways
   * @param {History} ways.history
   * @param {() => void} ways.changed
   * @param {(reader: Reader) => void} ways.closed
   */
  constructor(timeline, { history, changed, closed }) {
    this.#timeline = timeline;
    this.#history = history;
    this.#changed = changed;
    this.#closed = closed;
    this.begin();
  }

  /**
   * In the order of `seq`, each once.
   *
   * @returns {readonly Message[]}
   */
  get messages() {
    return this.#messages;
  }

  /**
   * Says what is in sight: it stays, whatever else must go.
   *
   * @param {number} first The `seq` of the first message.
   * @param {number} last The last one's; infinite for whoever stays with the newest.
   */
  shows(first, last) {
    this.#sight = [first, last];
  }

  /** To the newest messages. They are here at once. */
  latest() {
    if (this.hasNewer) this.begin();
    this.#sight = null;
    this.#isUp = false;
    this.#changed();
  }

  /**
   * Loads the page before the first message here.
   *
   * @returns {Promise<void>}
   */
  older() {
    this.#isUp = true;
    this.#loadingOlder ??= this.#loadOlder().finally(() => {
      this.#loadingOlder = null;
    });
    return this.#loadingOlder;
  }

  /**
   * Loads the page after the last message here, where that is not the newest.
   *
   * @returns {Promise<void>}
   */
  newer() {
    this.#isUp = false;
    this.#loadingNewer ??= this.#loadNewer().finally(() => {
      this.#loadingNewer = null;
    });
    return this.#loadingNewer;
  }

  /** Nobody reads here any more. */
  close() {
    this.#closed(this);
  }

  /**
   * Starts over with the newest messages.
   *
   * @internal
   */
  begin() {
    this.#turn += 1;
    this.#messages = [...this.#timeline.messages];
    this.hasOlder = this.#timeline.hasOlder;
    this.hasNewer = false;
    this.#sight = null;
  }

  /**
   * @param {readonly Message[]} added What has just come.
   * @internal
   */
  heard(added) {
    for (const message of added) {
      // What lies beyond either end comes with its page.
      if (this.hasOlder && message.seq < (this.#messages[0]?.seq ?? 0)) continue;
      if (this.hasNewer && message.seq > (this.#messages.at(-1)?.seq ?? 0)) continue;
      insert(this.#messages, message);
      this.#bound();
    }
  }

  async #loadOlder() {
    const turn = this.#turn;
    const before = this.#messages[0]?.seq;
    if (!this.hasOlder || before === undefined) return;
    const page = await this.#history({ before, limit: PAGE });
    const first = this.#messages[0]?.seq ?? 0;
    if (!page || turn !== this.#turn) return;
    // What was asked for may no longer meet what is here: more was let go meanwhile.
    if (page.messages.length > 0 && !page.messages.some(({ seq }) => seq === first - 1)) return;
    this.#messages.unshift(...page.messages.filter(({ seq }) => seq < first));
    this.hasOlder = page.has_more;
    this.#bound();
    this.#changed();
  }

  async #loadNewer() {
    const turn = this.#turn;
    const after = this.#messages.at(-1)?.seq;
    if (!this.hasNewer || after === undefined) return;
    const page = this.#held(after) ?? await this.#history({ after, limit: PAGE });
    const last = this.#messages.at(-1)?.seq ?? 0;
    if (!page || turn !== this.#turn) return;
    if (page.messages.length > 0 && !page.messages.some(({ seq }) => seq === last + 1)) return;
    const knew = this.#messages.length;
    this.#messages.push(...page.messages.filter(({ seq }) => seq > last));
    // What was said while the page was on its way is among the newest.
    this.hasNewer = page.has_more || (this.#timeline.messages.at(-1)?.seq ?? 0) > (this.#messages.at(-1)?.seq ?? 0);
    // A page without news would only be asked for again.
    if (this.#messages.length === knew && this.hasNewer) return;
    this.#bound();
    this.#changed();
  }

  /**
   * A page of the newest messages, where they go on from here.
   *
   * @param {number} after
   */
  #held(after) {
    const { messages } = this.#timeline;
    const start = position(messages, after + 1);
    if (messages[start]?.seq !== after + 1) return null;
    const end = start + PAGE;
    return { messages: messages.slice(start, end), has_more: end < messages.length };
  }

  #bound() {
    const over = this.#messages.length - HELD_MAX;
    if (over <= 0) return;
    const [first, last] = this.#sight ?? (this.#isUp ? [0, 0] : [Infinity, Infinity]);
    const above = position(this.#messages, first);
    const below = this.#messages.length - position(this.#messages, last + 1);
    if (above >= below) {
      this.#messages.splice(0, over);
      this.hasOlder = true;
    } else {
      this.#messages.splice(-over);
      this.hasNewer = true;
    }
  }
}
