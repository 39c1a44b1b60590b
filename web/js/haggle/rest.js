/** @import { Connection } from './connection.js' */
import { HaggleError } from './error.js';

/**
 * One call to `/v1`, with the token that the connection has in use.
 *
 * @param {Connection} connection
 * @param {string} url
 * @param {{method?: string, body?: unknown}} [call]
 * @returns {Promise<any>}
 * @throws {HaggleError} The server's, or `unavailable` where it cannot be reached.
 */
export async function rest(connection, url, { method = 'GET', body } = {}) {
  if (!connection.token) throw new HaggleError('unavailable', 'There is no connection.');
  const headers = { authorization: `Bearer ${connection.token}`, 'content-type': 'application/json' };
  const answer = await fetch(url, { method, headers, body: body === undefined ? null : JSON.stringify(body) }).catch(() => {
    throw new HaggleError('unavailable', 'The server cannot be reached.');
  });
  const read = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new HaggleError(read.code ?? 'internal', read.detail ?? read.title, read.retry_after);
  return read;
}
