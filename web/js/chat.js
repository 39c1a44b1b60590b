/**
 * The chat of an order, for any page: a classic script that needs `/socket.io/socket.io.js` before it.
 *
 *     const chat = new ChatClient(orderId, userId);
 *     chat.sendMessage('Hello');
 *     chat.leaveChat();
 *
 * It tells what it hears by `on(name, handler)`: `message`, `typing`, `joined`, `left`, `read`, `state`, `error`. Where the page has elements
 * with `data-chat` (as `/chat.html` has them), or `options.container` names an element, it draws there (`/js/chat/view.js`).
 * Options: `token` (a text, or a function that gives one), `url` of the server, `namespace`, `container` (an element or its selector).
 *
 * `ChatClient.Base` has what is not the order's own: the connection and the outbox. The item's page builds on it.
 */
(() => {
  'use strict';

  /** @typedef {import('./chat/view.js').Message} Message */
  /** @typedef {import('./chat/view.js').Pending} Pending */
  /** @typedef {import('./chat/view.js').State} State */
  /** @typedef {import('./chat/view.js').View} View */
  /** Milliseconds that an answer may take before the request counts as lost. */
  const ANSWER_MS = 10_000;
  /** Milliseconds between two words that one is typing; the server forgets it after 5 s. */
  const TYPING_MS = 3_000;
  /** Milliseconds until a request that came too early is made again, where the server does not say. */
  const AGAIN_MS = 1_000;
  const script = /** @type {HTMLScriptElement | null | undefined} */ (globalThis.document?.currentScript);
  /** The server that this script came from. */
  const HOME = script?.src ? new URL(script.src).origin : globalThis.location?.origin ?? '';

  /** @typedef {{error: string, code: string, retryAfter?: number}} Refusal */
  /** @typedef {string | (() => string | Promise<string>)} Token */
  /** @typedef {{token?: Token, url?: string, namespace?: string, container?: Element | string | null}} Options */

  const freshId = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

  /** A conversation on one namespace: connected by one token after the other, joined anew whenever it is, with an outbox. */
  class Base {
    /** @type {any} The Socket.IO socket. */
    socket;
    /** @type {View | undefined} */
    view;
    userId;
    url;
    /** @type {Map<number, Message>} */
    #messages = new Map();
    /** @type {Map<string, Pending>} */
    #pending = new Map();
    /** @type {Map<string, Set<(payload: any) => void>>} */
    #handlers = new Map();
    /** @type {(() => string | undefined | Promise<string | undefined>)[]} Where a token may come from; `undefined` leaves it to the cookie. */
    #sources;
    #source = 0;
    /** @type {string | undefined} */
    #token;
    #joined = false;
    #left = false;
    #sending = false;
    #wasLive = false;
    #typedAt = 0;
    /** @type {Map<string, string>} What stands in the view, by its parts' names. */
    #written = new Map();
    /** @type {State} */
    state = 'connecting';

    /** @param {string} userId @param {Options} options */
    constructor(userId, options) {
      this.userId = userId;
      this.url = options.url ?? HOME;
      void this.#dress(options.container);
      this.#sources = sources(userId, this.url, options.token);
    }

    /** Draws where the page, or its part that is given, has a place for it. @param {Element | string | null} [given] */
    async #dress(given) {
      const page = globalThis.document;
      const container = typeof given === 'string' ? page.querySelector(given) : given;
      if (!container && !page?.querySelector('[data-chat]')) return;
      const { View } = await import(new URL('/js/chat/view.js', HOME).href);
      if (container) View.build(container);
      this.view = new View(container ?? page, this.userId, {
        send: (/** @type {string} */ text) => this.sendMessage(text),
        type: (/** @type {boolean} */ on) => this.#type(on),
        again: (/** @type {string} */ clientId) => this.#again(clientId),
        older: () => this.older(),
        attend: () => this.attend(),
      });
      for (const [name, text] of this.#written) this.view?.write(name, text);
      this.view?.state(this.state);
      this.dressed();
      this.draw();
      this.attend();
    }

    /** What the view says, also where it comes later. @param {string} name @param {string} text */
    write(name, text) {
      this.#written.set(name, text);
      this.view?.write(name, text);
    }

    /** Calls back on `message`, `typing`, `joined`, `left`, `read`, `state` and `error`. @param {string} name @param {(payload: any) => void} handler */
    on(name, handler) {
      const handlers = this.#handlers.get(name) ?? new Set();
      this.#handlers.set(name, handlers.add(handler));
      return this;
    }

    /** @param {string} name @param {unknown} payload */
    tell(name, payload) {
      for (const handler of this.#handlers.get(name) ?? []) handler(payload);
    }

    /** All messages there are, oldest first. */
    get messages() {
      return [...this.#messages.values()].sort((one, other) => one.id - other.id);
    }

    // What each vocabulary says in words of its own.
    /** @returns {Promise<void>} */
    async join() {}
    /** @param {Pending} _pending @returns {Promise<Message>} */
    async post(_pending) {
      throw refused({ error: 'nothing can be sent here', code: 'invalid' });
    }
    /** @param {boolean} _on */
    typing(_on) {}
    leave() {}
    older() {}
    attend() {}
    dressed() {}

    /** @param {string} namespace */
    connect(namespace) {
      const io = /** @type {any} */ (globalThis).io;
      if (!io) return this.refuse('The Socket.IO client is missing: /socket.io/socket.io.js.');
      /** @param {(auth: object) => void} give */
      const auth = (give) => void this.#nextToken().then((token) => give(token ? { token } : {}));
      this.socket = io(this.url + namespace, { auth });
      this.socket.on('connect', () => void this.#enter());
      this.socket.on('disconnect', (/** @type {string} */ reason) => {
        this.#joined = false;
        if (this.#left || this.state === 'refused') return;
        this.#show('offline');
        // Thrown out: the token may have ended, and another be there.
        if (reason === 'io server disconnect') setTimeout(() => this.#left || this.socket.connect(), AGAIN_MS);
      });
      this.socket.on('connect_error', (/** @type {Error & {data?: Refusal}} */ error) => this.#turnedAway(error));
      this.socket.on('error', (/** @type {{message?: string, error?: string}} */ { message, error }) => this.tell('error', message ?? error));
    }

    async #nextToken() {
      try {
        this.#token = await this.#sources[this.#source]?.();
      } catch {
        this.#token = undefined;
      }
      return this.#token;
    }

    /** @param {Error & {data?: Refusal}} error */
    #turnedAway(error) {
      const code = error.data?.code;
      if (!code) return this.#show(this.#wasLive ? 'offline' : 'connecting');
      if (code === 'unauthorized' || code === 'forbidden') return this.#tryNext(error.message);
      setTimeout(() => this.#left || this.socket.connect(), (error.data?.retryAfter ?? 1) * 1_000);
    }

    /** The token was none, or somebody else's: another source may have the right one. @param {string} reason */
    #tryNext(reason) {
      if (this.#source + 1 >= this.#sources.length) {
        this.#source = 0;
        return this.refuse(reason);
      }
      this.#source += 1;
      this.socket.disconnect();
      this.socket.connect();
    }

    async #enter() {
      if (this.#left) return;
      try {
        await this.join();
      } catch (error) {
        const { code, message, retryAfter } = /** @type {Error & Partial<Refusal>} */ (error);
        if (!this.socket.connected) return;
        if (code === 'forbidden' || code === 'unauthorized') return this.#tryNext(message);
        if (code === 'not_found' || code === 'invalid') return this.refuse(message);
        setTimeout(() => this.socket.connected && void this.#enter(), (retryAfter ?? 1) * 1_000);
        return;
      }
      if (!this.socket.connected || this.#left) return;
      this.#joined = this.#wasLive = true;
      this.#show('live');
      this.attend();
      void this.#flush();
    }

    /** @param {State} state */
    #show(state) {
      this.state = state;
      this.view?.state(state);
      this.write('notice', state === 'offline' ? 'No connection. What you write is kept, and sent when it is back.' : '');
      if (state !== 'live') for (const part of ['typing', 'presence']) this.write(part, '');
      this.tell('state', state);
    }

    /** It cannot be: says why. @param {string} reason */
    refuse(reason) {
      this.#show('refused');
      this.socket?.disconnect();
      const notice = `This conversation cannot be shown: ${reason}.`.replace(/\.\.$/, '.');
      this.write('notice', notice);
      this.write('empty', '');
      this.tell('error', reason);
    }

    /** Asks, and gives the acknowledgement, or fails with its refusal. @param {string} name @param {unknown} payload */
    async ask(name, payload) {
      const answer = await this.socket.timeout(ANSWER_MS).emitWithAck(name, payload);
      if (answer?.code && answer.error) throw refused(answer);
      return answer;
    }

    /** A call of the server's REST API. @param {string} path @param {RequestInit} [init] */
    fetch(path, init = {}) {
      /** @type {Record<string, string>} */
      const headers = this.#token ? { authorization: `Bearer ${this.#token}` } : {};
      return fetch(this.url + path, { ...init, headers });
    }

    /** @param {Message[]} messages @param {{anew?: boolean}} [how] */
    add(messages, { anew = false } = {}) {
      if (anew) this.#messages.clear();
      for (const message of messages) this.#messages.set(message.id, message);
      this.draw();
    }

    /** A message that somebody said just now. @param {Message} message */
    hear(message) {
      const news = !this.#messages.has(message.id);
      if (message.senderId === this.userId) {
        // The room tells it before the acknowledgement does.
        const own = [...this.#pending.values()].find(({ flying, body }) => flying && body === message.body);
        if (own) this.#pending.delete(own.clientId);
      }
      this.add([message]);
      if (!news) return;
      if (message.senderId !== this.userId) this.view?.announce(`${this.view.called(message.senderId, message.senderName)}: ${message.body}`);
      this.tell('message', message);
      this.attend();
    }

    draw() {
      this.view?.draw(this.messages, this.#pending.values());
    }

    /** Says something: at once, or when the connection is back. @param {string} text */
    sendMessage(text) {
      const pending = { clientId: freshId(), body: text, at: new Date().toISOString(), flying: false };
      this.#pending.set(pending.clientId, pending);
      this.#type(false);
      this.draw();
      void this.#flush();
    }

    /** Sends what waits, one at a time: with two under way, the first could be refused for a moment and be stored after the second. */
    async #flush() {
      if (this.#sending) return;
      this.#sending = true;
      try {
        while (this.#joined) {
          const next = [...this.#pending.values()].find(({ trouble }) => trouble === undefined);
          if (!next) break;
          await this.#fly(next);
        }
      } finally {
        this.#sending = false;
      }
    }

    /** @param {Pending} pending */
    async #fly(pending) {
      pending.flying = true;
      try {
        const message = await this.post(pending);
        this.#pending.delete(pending.clientId);
        const known = this.#messages.has(message.id);
        this.add([this.#messages.get(message.id) ?? message]);
        if (!known) this.tell('message', message);
      } catch (error) {
        const { code, message, retryAfter } = /** @type {Error & Partial<Refusal>} */ (error);
        const passes = code === undefined || code === 'unavailable' || code === 'rate_limited';
        if (!passes) pending.trouble = message;
        this.draw();
        if (passes && this.#joined) await new Promise((resolve) => setTimeout(resolve, retryAfter === undefined ? AGAIN_MS : retryAfter * 1_000));
      } finally {
        pending.flying = false;
      }
    }

    /** @param {string} clientId */
    #again(clientId) {
      const pending = this.#pending.get(clientId);
      if (!pending) return;
      delete pending.trouble;
      this.draw();
      void this.#flush();
    }

    /** @param {boolean} on */
    #type(on) {
      const now = Date.now();
      if (!this.#joined || (on ? now - this.#typedAt < TYPING_MS : this.#typedAt === 0)) return;
      this.#typedAt = on ? now : 0;
      this.typing(on);
    }

    /** Leaves the conversation and closes the connection. */
    leaveChat() {
      if (this.#left) return;
      if (this.#joined) this.leave();
      this.#left = true;
      this.socket?.disconnect();
    }
  }

  /** @param {Refusal} refusal */
  function refused({ error, code, retryAfter }) {
    return Object.assign(new Error(error), { code, retryAfter });
  }

  /**
   * Where a token may come from, in this order: as given; else the cookie, which the server reads by itself; what the page's `#token=`
   * brought; in development the server.
   *
   * @param {string} userId
   * @param {string} url
   * @param {Token} [given]
   */
  function sources(userId, url, given) {
    if (given) return [async () => (typeof given === 'function' ? given() : given)];
    /** @type {(() => string | undefined | Promise<string | undefined>)[]} */
    const all = [() => undefined];
    if (brought) all.push(() => brought);
    all.push(async () => {
      const answer = await fetch(`${url}/dev/token?${new URLSearchParams({ userId })}`);
      return answer.ok ? (await answer.json()).token : undefined;
    });
    return all;
  }

  /**
   * The token that this page's address brought as `#token=`. It leaves the address at once, where it could be seen, copied or kept in
   * a history, and stays with this tab for when the page is loaded again.
   */
  function taken() {
    const address = globalThis.location;
    if (!address) return null;
    const kept = `haggle.token ${address.pathname}${address.search}`;
    const fields = new URLSearchParams(address.hash.slice(1));
    const token = fields.get('token');
    try {
      if (!token) return sessionStorage.getItem(kept);
      sessionStorage.setItem(kept, token);
    } catch {
      // A browser that keeps nothing asks again.
    }
    fields.delete('token');
    const rest = String(fields);
    history.replaceState(history.state, '', `${address.pathname}${address.search}${rest ? `#${rest}` : ''}`);
    return token;
  }
  const brought = taken();

  /** Messages a page. */
  const PAGE = 50;

  /** @param {{id: number, senderId: string, senderName: string, message: string, isRead: boolean, createdAt: string}} message @returns {Message} */
  const ofOrder = ({ id, senderId, senderName, message, isRead, createdAt }) => ({ id, senderId, senderName, body: message, isRead, at: createdAt });

  /** The chat of an order. */
  class ChatClient extends Base {
    static Base = Base;
    #orderId;
    #readTo = 0;
    #hasOlder = false;
    /** @type {Map<string, string>} Who types, by id. */
    #typists = new Map();

    /**
     * @param {string | number} orderId
     * @param {string | number} userId
     * @param {Options} [options]
     */
    constructor(orderId, userId, options = {}) {
      super(String(userId), options);
      this.#orderId = String(orderId);
      this.connect(options.namespace ?? '/order');
      this.#listen();
    }

    #listen() {
      const { socket } = this;
      if (!socket) return;
      socket.on('previous-messages', (/** @type {any[]} */ page) => this.#take(page.map(ofOrder)));
      socket.on('new-message', (/** @type {any} */ message) => {
        this.#types({ userId: message.senderId, name: '', isTyping: false });
        this.hear(ofOrder(message));
      });
      socket.on('user-typing', (/** @type {any} */ typist) => this.#types(typist));
      socket.on('user-joined', (/** @type {any} */ person) => this.#comes('joined', person));
      socket.on('user-left', (/** @type {any} */ person) => this.#comes('left', person));
      socket.on('messages-read', (/** @type {any} */ read) => {
        const own = this.messages.filter(({ senderId, at }) => senderId === this.userId && at <= read.readAt);
        this.add(own.map((message) => ({ ...message, isRead: true })));
        this.tell('read', read);
      });
    }

    /** The newest page; what was known before it stays where nothing is missing in between. @param {Message[]} page */
    #take(page) {
      const known = this.messages;
      const first = page[0];
      const overlaps = first === undefined || known.some(({ id }) => id >= first.id);
      this.add(page, { anew: !overlaps });
      if (!overlaps) this.#offer(page);
      this.write('empty', 'No messages yet. Say hello.');
    }

    /** A full page may not be the first. @param {Message[]} page */
    #offer(page) {
      this.#hasOlder = page.length >= PAGE;
      this.dressed();
    }

    /** @override */
    dressed() {
      const older = this.view?.find('older');
      if (older) older.hidden = !this.#hasOlder;
    }

    /** @param {{userId: string, name: string, isTyping: boolean}} typist */
    #types({ userId, name, isTyping }) {
      if (isTyping) this.#typists.set(userId, name);
      else this.#typists.delete(userId);
      const names = Array.from(this.#typists, ([id, typist]) => this.view?.called(id, typist) ?? typist);
      this.write('typing', names.length === 0 ? '' : names.length === 1 ? `${names[0]} is typing` : 'Several are typing');
      if (name) this.tell('typing', { userId, name, isTyping });
    }

    /** @param {'joined' | 'left'} what @param {{userId: string, name: string}} person */
    #comes(what, person) {
      this.#types({ userId: person.userId, name: '', isTyping: false });
      const name = this.view?.called(person.userId, person.name) ?? person.name;
      this.write('presence', what === 'joined' ? `${name} is here` : `${name} has left`);
      this.tell(what, person);
    }

    /** @override */
    async join() {
      this.#typists.clear();
      await this.ask('join-order-chat', { orderId: this.#orderId, userId: this.userId });
    }

    /** @override @param {Pending} pending */
    async post({ body, clientId }) {
      return ofOrder(await this.ask('send-message', { orderId: this.#orderId, message: body, clientId }));
    }

    /** @override @param {boolean} on */
    typing(on) {
      this.socket.emit('typing', { orderId: this.#orderId, isTyping: on });
    }

    /** @override */
    leave() {
      this.socket.emit('leave-order-chat', { orderId: this.#orderId });
    }

    /** @override Loads the page before what is shown. */
    async older() {
      const first = this.messages[0];
      const before = first ? `?before=${first.id}` : '';
      const answer = await this.fetch(`/api/v0/chat/messages/${encodeURIComponent(this.#orderId)}${before}`).catch(() => null);
      if (!answer?.ok) return;
      const page = (await answer.json()).data.map(ofOrder);
      this.add(page);
      this.#offer(page);
    }

    /** @override Whoever looks at the newest message has read it. */
    attend() {
      const newest = this.messages.findLast(({ senderId }) => senderId !== this.userId);
      if (this.state !== 'live' || !newest || newest.id <= this.#readTo || !this.view?.isLooking) return;
      this.#readTo = newest.id;
      void this.markRead();
    }

    /** Marks all that others wrote as read. */
    async markRead() {
      const path = `/api/v0/chat/read/${encodeURIComponent(this.#orderId)}`;
      await this.fetch(path, { method: 'POST' }).catch(() => null);
    }
  }

  Object.assign(globalThis, { ChatClient });
})();
