// A shop's pages with the widget in them, under the same strict policy as the server's own pages, and people to sign in there.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { PATIENCE_MS } from './page.mjs';

/** As strict as the server's own: a shop that has such a policy can have the widget too. */
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
  + "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ESCAPES = { '&': '&amp;', '<': '&lt;', '"': '&quot;' };

export const escape = (text) => String(text).replace(/[&<"]/g, (found) => ESCAPES[found]);

/** Where the development server hands out a token for this person. */
export function tokenUrl(id, name) {
  return `/dev/token?${new URLSearchParams({ userId: id, ...(name && { name }) })}`;
}

/** An element's opening tag with attributes, and its end. */
export function tag(name, attributes = {}) {
  const pairs = Object.entries(attributes).map(([key, value]) => (value === true ? ` ${key}` : ` ${key}="${escape(value)}"`));
  return `<${name}${pairs.join('')}></${name}>`;
}

export function chatTag(user, attributes = {}) {
  return tag('haggle-chat', { conversation: 'order:42', 'token-url': tokenUrl(user), ...attributes });
}

/**
 * Opens a page with this body below the server's own address, so that its policy can be as strict as the server's.
 */
export async function openShop(page, server, body, { css = '', lang = 'en', dir = 'ltr', path = '/shop-test', script = true } = {}) {
  page.setDefaultTimeout(PATIENCE_MS);
  const style = `html,body{block-size:100%;margin:0}main{display:grid;block-size:100%;grid-auto-columns:minmax(0,1fr);grid-auto-flow:column}
    main{grid-auto-rows:minmax(0,1fr)}haggle-chat,haggle-inbox{block-size:100%}
    h1{position:absolute;inline-size:1px;block-size:1px;margin:0;overflow:hidden;clip-path:inset(50%)}${css}`;
  // A page that closes meanwhile takes no answer.
  const answer = (route, response) => route.fulfill(response).catch(() => {});
  await page.route(`${server.url}${path}.css`, (route) => answer(route, { contentType: 'text/css', body: style }));
  await page.route(`${server.url}${path}`, (route) => answer(route, {
    contentType: 'text/html; charset=utf-8',
    headers: { 'content-security-policy': POLICY, 'referrer-policy': 'no-referrer' },
    body: `<!doctype html><html lang="${lang}" dir="${dir}"><head><meta charset="utf-8"><title>A shop</title>
      <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
      <link rel="icon" href="data:,"><link rel="stylesheet" href="${path}.css">
      ${script ? '<script type="module" src="/js/haggle-widget.js"></script>' : ''}</head><body><main><h1>A shop</h1>${body}</main></body></html>`,
  }));
  await page.goto(`${server.url}${path}`);
}

/** A shop on another origin: nothing of it comes from the chat server but the script. */
export async function foreignShop(server, body) {
  const shop = createServer((request, response) => {
    response.setHeader('content-type', request.url === '/' ? 'text/html; charset=utf-8' : 'application/json');
    if (request.url === '/') return response.end(`<!doctype html><html lang="en"><head><title>Elsewhere</title><link rel="icon" href="data:,">
      <script type="module" src="${server.url}/js/haggle-widget.js"></script></head><body><main>${body}</main></body></html>`);
    fetch(server.url + request.url).then((answer) => answer.text()).then((text) => response.end(text), () => response.destroy());
  });
  shop.listen(0, '127.0.0.1');
  await once(shop, 'listening');
  return { url: `http://127.0.0.1:${shop.address().port}`, close: () => shop.close() };
}

/** The shop's backend, and users by REST. */
export class Backend {
  #server;
  #key;
  #tokens = new Map();

  constructor(server, key) {
    this.#server = server;
    this.#key = key;
  }

  async put(path, body) {
    const answer = await this.#call('PUT', path, body, this.#key);
    if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  async remove(path) {
    return this.#call('DELETE', path, undefined, this.#key);
  }

  user(id, name) {
    return this.put(`/v1/users/${encodeURIComponent(id)}`, { name });
  }

  conversation(key, people, more = {}) {
    return this.put(`/v1/conversations/${encodeURIComponent(key)}`, { participants: people.map((user_id) => ({ user_id })), ...more });
  }

  async say(user, body, key = 'order:42') {
    const answer = await this.#call('POST', `/v1/conversations/${encodeURIComponent(key)}/messages`, { body }, await this.token(user));
    if (!answer.ok) throw new Error(`Saying: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** What the server holds, oldest first. */
  async stored(user, key = 'order:42') {
    const answer = await this.#call('GET', `/v1/conversations/${encodeURIComponent(key)}/messages?limit=200`, undefined, await this.token(user));
    return (await answer.json()).messages;
  }

  async token(user) {
    if (!this.#tokens.has(user)) {
      const answer = await fetch(`${this.#server.url}/dev/token?${new URLSearchParams({ userId: user })}`);
      this.#tokens.set(user, (await answer.json()).token);
    }
    return this.#tokens.get(user);
  }

  #call(method, path, body, bearer) {
    return fetch(this.#server.url + path, {
      method,
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }
}

/** A `<haggle-chat>` as a person uses it. */
export class Chat {
  constructor(page, selector = 'haggle-chat') {
    this.page = page;
    this.root = page.locator(selector);
    this.text = this.root.locator('textarea');
    this.scroll = this.root.locator('.scroll');
    this.jump = this.root.locator('.jump');
    this.typing = this.root.locator('.typing');
    this.notice = this.root.locator('.notice');
    this.title = this.root.locator('.title');
    this.presence = this.root.locator('.presence');
    this.about = this.root.locator('.about');
    this.divider = this.root.locator('.divider');
    this.announced = this.root.locator('[role="log"]');
  }

  async say(text) {
    await this.text.fill(text);
    await this.text.press('Enter');
  }

  state() {
    return this.root.locator('.chat').getAttribute('data-state');
  }

  bodies() {
    return this.root.locator('.message .body').allTextContents();
  }

  message(text) {
    return this.root.locator('.message').filter({ has: this.page.getByText(text, { exact: true }) });
  }

  mark(text) {
    return this.message(text).locator('.mark').getAttribute('data-mark');
  }
}
