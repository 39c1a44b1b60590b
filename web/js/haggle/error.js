/** What may succeed when it is tried again with the same `client_id`. */
const PASSING = new Set(['unavailable', 'rate_limited']);

/** A refusal by the server, or `unavailable` where its answer is not known. */
export class HaggleError extends Error {
  /**
   * @param {string} code One of the stable codes: see `Failure`.
   * @param {string} [message]
   * @param {number} [retryAfter] Seconds to wait before trying again.
   */
  constructor(code, message, retryAfter) {
    super(message || code);
    this.name = 'HaggleError';
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may be made again later. */
  get passing() {
    return PASSING.has(this.code);
  }

  /** @param {unknown} error */
  static from(error) {
    return error instanceof HaggleError ? error : new HaggleError('internal', String(error));
  }
}
