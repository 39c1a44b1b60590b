/**
 * Who talks to which server in whose name: elements with the same `server` and `token-url` share one client, and so one connection.
 *
 * @import { Conversation } from '../haggle.js'
 */
import { HaggleClient, forgetUnsent } from '../haggle.js';

/** Milliseconds that a client without elements stays connected: a page that changes its view puts one back at once. */
const LINGER_MS = 2_000;

/**
 * @typedef {object} Shared
 * @property {HaggleClient} client
 * @property {Set<() => void>} users What each element does when this client is no more.
 * @property {any} timer
 */

/** Tells the shop's other tabs. */
const SIGN_OUT = 'haggle:sign-out';

/** @type {Map<string, Shared>} */
const shared = new Map();
/** @type {WeakMap<HaggleClient, Map<number | string, number>>} How many elements show a conversation. */
const shown = new WeakMap();

/**
 * @param {string | null} server The address of Haggle; null is the host that the script came from.
 * @param {string} tokenUrl Answers `{token}` to the page's user.
 * @param {() => void} renew Called when somebody has signed out: another client is needed.
 * @returns {{client: HaggleClient, release: () => void}}
 */
export function clientOf(server, tokenUrl, renew) {
  const name = `${server ?? ''} ${tokenUrl}`;
  const entry = shared.get(name) ?? begin(name, server, tokenUrl);
  entry.users.add(renew);
  clearTimeout(entry.timer);
  return {
    client: entry.client,
    release: () => {
      entry.users.delete(renew);
      if (entry.users.size === 0) entry.timer = setTimeout(() => end(name, entry), LINGER_MS);
    },
  };
}

/**
 * For a shop whose user signs out: ends every connection that elements have made, here and in the shop's other tabs, and forgets what this
 * user has left unsent in this browser. The elements then ask their `token-url` anew. Call it when the shop's own session has ended.
 *
 * @param {{server?: string}} [options] `server` is for a page that has had no element: the address whose unsent messages are forgotten,
 *   instead of the host that the script came from.
 */
export function signOut({ server } = {}) {
  const departed = depart();
  if (server !== undefined) forgetUnsent({ url: socketUrl(server) });
  else if (departed === 0) forgetUnsent();
  others?.postMessage('');
}

const others = globalThis.BroadcastChannel && globalThis.document ? new BroadcastChannel(SIGN_OUT) : null;
if (others) others.onmessage = () => void depart();

/** @returns {number} How many clients there were: each knows whose messages to forget. */
function depart() {
  const all = [...shared];
  for (const [name, entry] of all) {
    clearTimeout(entry.timer);
    shared.delete(name);
    entry.client.close({ forget: true });
    for (const renew of [...entry.users]) renew();
  }
  return all.length;
}

/**
 * A conversation for as long as an element shows it. One that the page itself has asked its client for stays joined.
 *
 * @param {HaggleClient} client
 * @param {number | string} ref
 * @param {boolean} isShared Whether the client is an element's, and no page's.
 * @returns {{conversation: Conversation, release: () => void}}
 */
export function conversationOf(client, ref, isShared) {
  const counts = shown.get(client) ?? new Map();
  shown.set(client, counts);
  counts.set(ref, (counts.get(ref) ?? 0) + 1);
  const conversation = client.conversation(ref);
  return {
    conversation,
    release: () => {
      counts.set(ref, (counts.get(ref) ?? 1) - 1);
      if (isShared) setTimeout(leaveOnceSent, LINGER_MS);
    },
  };

  /** What waits to be sent goes out first, also where nobody looks any more. */
  function leaveOnceSent() {
    if (counts.get(ref) !== 0) return;
    if (!conversation.pending.some(({ error }) => !error)) return client.leave(ref);
    const off = conversation.on('change', () => {
      off();
      setTimeout(leaveOnceSent, LINGER_MS);
    });
  }
}

/**
 * @param {string} name
 * @param {string | null} server
 * @param {string} tokenUrl
 * @returns {Shared}
 */
function begin(name, server, tokenUrl) {
  const url = server === null ? undefined : socketUrl(server);
  const client = new HaggleClient({ token: () => fetchToken(tokenUrl), ...(url && { url }) });
  const entry = { client, users: new Set(), timer: undefined };
  shared.set(name, entry);
  client.connect();
  return entry;
}

/**
 * @param {string} name
 * @param {Shared} entry
 */
function end(name, entry) {
  entry.client.close();
  if (shared.get(name) === entry) shared.delete(name);
}

/** @param {string} server */
function socketUrl(server) {
  const url = new URL('/ws', new URL(server, location.href));
  url.protocol = url.protocol.replace('http', 'ws');
  return url;
}

/**
 * Asks the shop, as the page's user. 401 and 403 say that nobody is signed in.
 *
 * @param {string} tokenUrl
 * @returns {Promise<string | null>}
 */
async function fetchToken(tokenUrl) {
  const answer = await fetch(tokenUrl, { credentials: 'include', headers: { accept: 'application/json' } });
  if (answer.status === 401 || answer.status === 403) return null;
  if (!answer.ok) throw new Error(`No token: ${answer.status}.`);
  const { token } = await answer.json();
  return typeof token === 'string' ? token : null;
}
