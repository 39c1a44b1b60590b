/**
 * Keeps what was written and not yet sent across closing the page: one entry a message, named by server, user, conversation
 * and `client_id`. So two tabs do not overwrite each other, and nobody sends in another one's name. Should two tabs send
 * the same message, the server stores it once.
 *
 * @import { Pending } from './outbox.js'
 */

const PREFIX = 'haggle:pending:';
/** Milliseconds after which an unsent message is forgotten: its moment has passed. */
const KEPT_MS = 7 * 24 * 60 * 60 * 1_000;

/** @typedef {Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>} Store */

export class Keep {
  #store;
  #prefix;

  /**
   * @param {Store | null} store
   * @param {readonly (string | number)[]} names Of server, user and conversation.
   */
  constructor(store, names) {
    this.#store = store;
    this.#prefix = `${PREFIX}${names.map((name) => encodeURIComponent(name)).join(':')}:`;
  }

  /**
   * What an earlier page has left, in the order in which it was written.
   *
   * @returns {Pending[]}
   */
  load() {
    /** @type {Pending[]} */
    const found = [];
    attempt(() => {
      for (const key of keys(this.#store, this.#prefix)) {
        const item = parse(this.#store?.getItem(key), key.slice(this.#prefix.length));
        if (item) found.push(item);
        else this.#store?.removeItem(key);
      }
    });
    return found.sort((a, b) => a.at - b.at);
  }

  /** @param {Pending} item */
  save({ client_id, body, created_at, at }) {
    // A full or forbidden storage costs only what closing the page loses.
    attempt(() => this.#store?.setItem(this.#prefix + client_id, JSON.stringify({ body, created_at, at })));
  }

  /** @param {string} clientId */
  drop(clientId) {
    attempt(() => this.#store?.removeItem(this.#prefix + clientId));
  }
}

/**
 * Forgets everything that was left unsent, by everyone or by one user.
 *
 * @param {Store | null} store
 * @param {readonly string[]} names Of server, or of server and user.
 */
export function wipe(store, names) {
  const prefix = `${PREFIX}${names.map((name) => encodeURIComponent(name)).join(':')}:`;
  attempt(() => {
    for (const key of keys(store, prefix)) store?.removeItem(key);
  });
}

/**
 * The page's own storage, or null where the browser forbids it.
 *
 * @returns {Store | null}
 */
export function ownStore() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

/**
 * @param {Store | null} store
 * @param {string} prefix
 */
function keys(store, prefix) {
  const all = Array.from({ length: store?.length ?? 0 }, (_, at) => store?.key(at) ?? '');
  return all.filter((key) => key.startsWith(prefix));
}

/**
 * @param {string | null | undefined} text
 * @param {string} clientId
 * @returns {Pending | null} Null for what is too old, or is not ours.
 */
function parse(text, clientId) {
  try {
    const { body, created_at, at } = JSON.parse(text ?? '');
    if (typeof body !== 'string' || typeof created_at !== 'string' || !(at > Date.now() - KEPT_MS)) return null;
    return { client_id: clientId, body, created_at, at };
  } catch {
    return null;
  }
}

/** @param {() => void} act */
function attempt(act) {
  try {
    act();
  } catch {
    // The browser forbids it, or there is no room.
  }
}
