/**
 * What a person sees of a conversation: the elements of a page that have a `data-chat`, as far as it has them. Everything that a person
 * wrote goes in as `textContent`.
 */

import { shownName } from '../widget/text.js';

/** Characters that a message may have. */
const BODY_MAX = 4_000;
/** Milliseconds within which messages of one sender stand together. */
const TOGETHER_MS = 5 * 60 * 1_000;
/** Pixels from the end that still count as being there. */
const END_PX = 48;
/** Announcements kept for screen readers. */
const ANNOUNCED_MAX = 20;
const STATES = { connecting: 'Connecting', live: 'Live', offline: 'Reconnecting', refused: 'Not connected' };

/** @typedef {keyof typeof STATES} State */
/** @typedef {{id: number, senderId: string, senderName: string, body: string, at: string, isRead?: boolean}} Message */
/** @typedef {{clientId: string, body: string, at: string, flying: boolean, trouble?: string}} Pending */
/** @typedef {{send(text: string): void, type(on: boolean): void, again(clientId: string): void, older(): void, attend(): void}} Person What the person does. */

const TIME = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });

/** @param {string} text How long a text is as the server measures it: scalar values, trimmed. */
const lengthOf = (text) => [...text.trim()].length;
/** @param {string} iso */
const dayOf = (iso) => (new Date(iso).toDateString() === new Date().toDateString() ? 'Today' : DAY.format(new Date(iso)));

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
function make(tag, className, text = '') {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

export class View {
  #root;
  #me;
  /** @type {Map<string, HTMLElement>} */
  #held = new Map();
  #atEnd = true;
  /** @type {Map<string, string>} Those who have spoken, by id: nobody's name may pass for one of theirs. */
  #speakers = new Map();
  /** @type {Person} */
  #person;

  /**
   * @param {ParentNode} root
   * @param {string} me
   * @param {Person} person
   */
  constructor(root, me, person) {
    this.#root = root;
    this.#me = me;
    this.#person = person;
    this.#listen();
  }

  /** @param {string} name @returns {HTMLElement | null} */
  find(name) {
    return this.#root.querySelector(`[data-chat="${name}"]`);
  }

  get #input() {
    return /** @type {HTMLTextAreaElement | null} */ (this.find('input'));
  }

  /** The messages that the server wrote into the page. @param {ParentNode} page @returns {Message[]} */
  static written(page) {
    return [...page.querySelectorAll('li.message[data-id]')].map((row) => ({
      id: Number(row.getAttribute('data-id')),
      senderId: row.getAttribute('data-sender') ?? '',
      senderName: row.getAttribute('data-author') ?? '',
      body: row.querySelector('.body')?.textContent ?? '',
      at: row.querySelector('time')?.dateTime ?? '',
    }));
  }

  /** Builds in an element of the page what a conversation needs, where it has nothing of it. @param {Element} container */
  static build(container) {
    if (container.querySelector('[data-chat]')) return;
    /** @param {string} tag @param {string} name @param {string} className */
    const part = (tag, name, className) => {
      const element = make(tag, className);
      element.dataset.chat = name;
      return element;
    };
    const [scroll, list] = [part('div', 'scroll', 'scroll'), part('ol', 'messages', 'messages')];
    const [form, input] = [part('form', 'form', 'composer'), part('textarea', 'input', 'chat-input')];
    const send = /** @type {HTMLButtonElement} */ (part('button', 'send', 'chat-send'));
    send.type = 'submit';
    send.textContent = 'Send';
    input.setAttribute('aria-label', 'Message');
    form.append(input, send);
    scroll.append(list);
    const said = part('div', 'announcer', 'sr');
    said.setAttribute('role', 'log');
    container.append(part('p', 'state', 'state'), scroll, part('p', 'typing', 'typing'), part('p', 'notice', 'notice'), form, said);
  }

  #listen() {
    const input = this.#input;
    this.find('form')?.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    input?.addEventListener('keydown', (event) => {
      // While an input method composes, Enter chooses a word.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    input?.addEventListener('input', () => {
      this.#person.type(input.value.trim() !== '');
      this.count();
    });
    input?.addEventListener('blur', () => this.#person.type(false));
    this.find('older')?.addEventListener('click', () => this.#person.older());
    const scroll = this.find('scroll');
    scroll?.addEventListener('scroll', () => {
      this.#atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight <= END_PX;
      this.#person.attend();
    }, { passive: true });
    for (const name of ['focus', 'visibilitychange', 'click']) window.addEventListener(name, () => this.#person.attend(), true);
    // A phone's keyboard takes room from the messages: the newest stays in sight.
    if (scroll) new ResizeObserver(() => this.#keepEnd()).observe(scroll);
    this.count();
  }

  #send() {
    const input = this.#input;
    if (!input) return;
    const length = lengthOf(input.value);
    if (length === 0 || length > BODY_MAX) return;
    const text = input.value.trim();
    input.value = '';
    this.#atEnd = true;
    this.#person.send(text);
    this.count();
    input.focus();
  }

  count() {
    const length = lengthOf(this.#input?.value ?? '');
    const count = this.find('count');
    if (count) {
      count.textContent = `${length} / ${BODY_MAX}`;
      count.dataset.level = length > BODY_MAX ? 'over' : 'fine';
    }
    const send = /** @type {HTMLButtonElement | null} */ (this.find('send'));
    if (send) send.disabled = length === 0 || length > BODY_MAX;
  }

  /** Whether the newest message is in sight of somebody who looks. */
  get isLooking() {
    return document.visibilityState === 'visible' && document.hasFocus() && this.#atEnd;
  }

  /** @param {State} state */
  state(state) {
    this.write('state', STATES[state]);
    this.find('state')?.closest('[data-state]')?.setAttribute('data-state', state);
  }

  /** @param {string} name @param {string} text */
  write(name, text) {
    const element = this.find(name);
    if (!element) return;
    if (element.textContent !== text) element.textContent = text;
    if (name === 'notice') element.hidden = text === '';
  }

  /** @param {string} text */
  announce(text) {
    const announcer = this.find('announcer');
    announcer?.append(make('p', '', text));
    while (announcer && announcer.childElementCount > ANNOUNCED_MAX) announcer.firstElementChild?.remove();
  }

  /** Somebody whose name nobody else's may pass for. @param {string} userId @param {string} name */
  knows(userId, name) {
    this.#speakers.set(userId, name);
  }

  /** A name that passes for nobody else's. @param {string} userId @param {string} name */
  called(userId, name) {
    const { text, tag } = shownName(userId, name, Array.from(this.#speakers, ([user_id, known]) => ({ user_id, name: known })));
    return tag ? `${text} (${tag})` : text;
  }

  /** Brings the list to what there is, touching only what differs. @param {Message[]} messages @param {Iterable<Pending>} pending */
  draw(messages, pending) {
    const list = this.find('messages');
    if (!list) return;
    const scroll = this.find('scroll');
    const fromEnd = scroll ? scroll.scrollHeight - scroll.scrollTop : 0;
    const first = this.#held.keys().next().value;
    const rows = this.#rows(messages, pending);
    // What the server wrote there is drawn anew, as everything else is.
    const kept = new Set(rows.values());
    for (const element of [...list.children]) if (!kept.has(/** @type {HTMLElement} */ (element))) element.remove();
    let at = list.firstElementChild;
    for (const element of rows.values()) {
      if (element === at) at = element.nextElementSibling;
      else list.insertBefore(element, at);
    }
    this.#held = rows;
    const empty = this.find('empty');
    if (empty) empty.hidden = rows.size > 0;
    const grewAbove = first !== undefined && rows.keys().next().value !== first;
    if (this.#atEnd) this.#keepEnd();
    else if (scroll && grewAbove) scroll.scrollTop = scroll.scrollHeight - fromEnd;
  }

  #keepEnd() {
    const scroll = this.find('scroll');
    if (scroll && this.#atEnd) scroll.scrollTop = scroll.scrollHeight;
  }

  /** @param {Message[]} messages @param {Iterable<Pending>} pending */
  #rows(messages, pending) {
    /** @type {Map<string, HTMLElement>} */
    const rows = new Map();
    for (const { senderId, senderName } of messages) this.#speakers.set(senderId, senderName);
    /** @type {Message | undefined} */
    let before;
    const lastOwn = messages.findLast(({ senderId }) => senderId === this.#me);
    for (const message of messages) {
      const day = dayOf(message.at);
      const newDay = before === undefined || day !== dayOf(before.at);
      if (newDay) rows.set(`day ${day}`, this.#held.get(`day ${day}`) ?? make('li', 'day', day));
      const follows = before !== undefined && !newDay && before.senderId === message.senderId
        && Date.parse(message.at) - Date.parse(before.at) < TOGETHER_MS;
      const mark = message !== lastOwn || message.isRead === undefined ? '' : message.isRead ? 'Read' : 'Sent';
      rows.set(`id ${message.id}`, this.#row(`id ${message.id}`, message, { follows, mark }));
      before = message;
    }
    for (const { clientId, body, at, trouble } of pending) {
      const message = { id: 0, senderId: this.#me, senderName: '', body, at };
      const row = this.#row(`own ${clientId}`, message, { follows: before?.senderId === this.#me, mark: trouble ? '' : 'Sending' });
      this.#fail(row, clientId, trouble);
      rows.set(`own ${clientId}`, row);
      before = message;
    }
    return rows;
  }

  /**
   * @param {string} key
   * @param {Message} message
   * @param {{follows: boolean, mark: string}} how
   */
  #row(key, { id, senderId, senderName, body, at }, { follows, mark }) {
    const row = this.#held.get(key) ?? this.#blank(senderId === this.#me ? 'You' : this.called(senderId, senderName), body, at);
    row.classList.toggle('mine', senderId === this.#me);
    row.classList.toggle('follows', follows);
    row.classList.toggle('waiting', mark === 'Sending');
    if (id) row.dataset.id = String(id);
    const shown = row.querySelector('.mark');
    if (shown && shown.textContent !== mark) shown.textContent = mark;
    return row;
  }

  /** @param {string} author @param {string} body @param {string} at */
  #blank(author, body, at) {
    const row = make('li', 'message');
    const [bubble, text, meta] = [make('p', 'bubble'), make('span', 'body', body), make('span', 'meta')];
    const time = /** @type {HTMLTimeElement} */ (make('time', '', TIME.format(new Date(at))));
    text.dir = 'auto';
    time.dateTime = at;
    meta.append(time, ' ', make('span', 'mark'));
    bubble.append(text, meta);
    row.append(make('p', 'author', author), bubble);
    return row;
  }

  /** @param {HTMLElement} row @param {string} clientId @param {string} [trouble] */
  #fail(row, clientId, trouble) {
    row.classList.toggle('failed', trouble !== undefined);
    row.querySelector('.failure')?.remove();
    if (trouble === undefined) return;
    const failure = make('p', 'failure', `Not sent: ${trouble} `);
    const again = /** @type {HTMLButtonElement} */ (make('button', 'again', 'Try again'));
    again.type = 'button';
    again.addEventListener('click', () => this.#person.again(clientId));
    failure.append(again);
    row.append(failure);
  }
}
