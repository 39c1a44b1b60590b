/** The longest time that `setTimeout` can wait; beyond it fires at once. */
export const TIMER_MAX_MS = 2 ** 31 - 1;

/** Waits between attempts, with full jitter: anywhere between at once and a bound that doubles with each failure. */
export class Backoff {
  #failures = 0;
  #baseMs;
  #maxMs;

  /**
   * @param {number} baseMs The first bound.
   * @param {number} maxMs The largest one.
   */
  constructor(baseMs, maxMs) {
    this.#baseMs = baseMs;
    this.#maxMs = maxMs;
  }

  /**
   * How long to wait now, after one more failure.
   *
   * @param {number} [retryAfter] Seconds that the server asked for, on top of which the jitter comes.
   */
  next(retryAfter = 0) {
    const bound = Math.min(this.#maxMs, this.#baseMs * 2 ** this.#failures);
    this.#failures += 1;
    return Math.min(retryAfter * 1_000 + Math.random() * bound, TIMER_MAX_MS);
  }

  /** It went well: the next wait is short again. */
  reset() {
    this.#failures = 0;
  }
}
