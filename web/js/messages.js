/**
 * The list of messages: one element for each, kept as long as the message is there. A message that is sent keeps its
 * element when it is stored, so nothing flickers.
 *
 * @import { Conversation } from './haggle.js'
 * @import { Mark } from './haggle/conversation.js'
 * @import { HaggleError } from './haggle/error.js'
 */
import { day, time } from './format.js';

/** Milliseconds within which messages of one sender stand together. */
const TOGETHER_MS = 5 * 60 * 1_000;

/** @type {Record<Mark, {icon: string, says: string}>} */
const MARKS = {
  sending: { icon: 'clock', says: 'waiting to be sent' },
  failed: { icon: 'alert', says: 'not sent' },
  sent: { icon: 'tick', says: 'sent' },
  received: { icon: 'ticks', says: 'received' },
  read: { icon: 'ticks', says: 'read' },
};

/**
 * @typedef {object} Row
 * @property {string} key
 * @property {number} [seq]
 * @property {string} senderId
 * @property {string} author
 * @property {string} body
 * @property {string} at
 * @property {Mark} [mark] On one's own messages.
 * @property {string} [clientId]
 * @property {HaggleError} [error]
 * @property {boolean} follows Whether it stands together with the one before.
 */

export class MessageList {
  #list;
  #template;
  #conversation;
  #me;
  /** @type {Map<string, {element: HTMLElement, drawn: string}>} */
  #held = new Map();
  #started = false;
  /** @type {number | undefined} The `seq` of the first message shown. */
  firstSeq;

  /**
   * @param {HTMLOListElement} list
   * @param {HTMLTemplateElement} template
   * @param {Conversation} conversation
   * @param {string} me
   */
  constructor(list, template, conversation, me) {
    this.#list = list;
    this.#template = template;
    this.#conversation = conversation;
    this.#me = me;
  }

  get isEmpty() {
    return this.#held.size === 0;
  }

  /** Brings the list to what the conversation holds, touching only what differs. */
  draw() {
    /** @type {Map<string, {element: HTMLElement, drawn: string}>} */
    const next = new Map();
    let lastDay = '';
    for (const row of this.#rows()) {
      const today = day(row.at);
      if (today !== lastDay) next.set(`day ${today}`, this.#day(today));
      lastDay = today;
      next.set(row.key, this.#row(row));
    }
    for (const [key, { element }] of this.#held) if (!next.has(key)) element.remove();
    let before = this.#list.firstElementChild;
    for (const { element } of next.values()) {
      if (element === before) before = element.nextElementSibling;
      else this.#list.insertBefore(element, before);
    }
    this.#held = next;
    this.#started ||= this.#conversation.loaded;
    this.firstSeq = this.#conversation.messages[0]?.seq;
  }

  /** @returns {Row[]} */
  #rows() {
    /** @type {Row[]} */
    const rows = this.#conversation.messages.map((message) => ({
      key: message.client_id ? `${message.sender.id} ${message.client_id}` : `seq ${message.seq}`,
      seq: message.seq,
      senderId: message.sender.id,
      author: message.sender.name,
      body: message.body,
      at: message.created_at,
      mark: message.sender.id === this.#me ? this.#conversation.markOf(message) : undefined,
      follows: false,
    }));
    for (const { client_id, body, created_at, error } of this.#conversation.pending) {
      const mark = error ? 'failed' : 'sending';
      rows.push({
        key: `${this.#me} ${client_id}`, senderId: this.#me, author: '', body, at: created_at, mark, error,
        clientId: client_id, follows: false,
      });
    }
    rows.forEach((row, at) => {
      const before = rows[at - 1];
      row.follows = before !== undefined && before.senderId === row.senderId
        && Date.parse(row.at) - Date.parse(before.at) < TOGETHER_MS && day(row.at) === day(before.at);
    });
    return rows;
  }

  /** @param {string} name */
  #day(name) {
    const held = this.#held.get(`day ${name}`);
    if (held) return held;
    const element = document.createElement('li');
    element.className = 'day';
    element.textContent = name;
    return { element, drawn: name };
  }

  /** @param {Row} row */
  #row(row) {
    const held = this.#held.get(row.key);
    const drawn = JSON.stringify(row);
    if (held?.drawn === drawn) return held;
    const element = held?.element ?? this.#blank();
    this.#fill(element, row);
    return { element, drawn };
  }

  #blank() {
    const fragment = /** @type {DocumentFragment} */ (this.#template.content.cloneNode(true));
    const element = /** @type {HTMLElement} */ (fragment.firstElementChild);
    // What was there when the page opened need not move.
    element.classList.toggle('fresh', this.#started);
    return element;
  }

  /**
   * @param {HTMLElement} element
   * @param {Row} row
   */
  #fill(element, row) {
    const mine = row.senderId === this.#me;
    element.classList.toggle('mine', mine);
    element.classList.toggle('follows', row.follows);
    element.classList.toggle('waiting', row.mark === 'sending');
    element.classList.toggle('failed', row.mark === 'failed');
    if (row.seq !== undefined) element.dataset.seq = String(row.seq);
    write(element, '.author', `${mine ? 'You' : row.author}: `);
    write(element, '.body', row.body);
    write(element, 'time', time(row.at));
    element.querySelector('time')?.setAttribute('datetime', row.at);
    this.#fillMark(element, row.mark);
    this.#fillFailure(element, row);
  }

  /**
   * @param {HTMLElement} element
   * @param {Mark} [mark]
   */
  #fillMark(element, mark) {
    const shown = /** @type {HTMLElement} */ (element.querySelector('.mark'));
    shown.hidden = mark === undefined;
    if (mark === undefined) return;
    shown.dataset.mark = mark;
    shown.querySelector('use')?.setAttribute('href', `#icon-${MARKS[mark].icon}`);
    write(shown, '.sr', `, ${MARKS[mark].says}`);
  }

  /**
   * @param {HTMLElement} element
   * @param {Row} row
   */
  #fillFailure(element, { error, clientId = '' }) {
    const failure = /** @type {HTMLElement} */ (element.querySelector('.failure'));
    failure.hidden = error === undefined;
    if (error === undefined) return;
    write(failure, '.reason', `Not sent: ${error.message}`);
    const [again, discard] = failure.querySelectorAll('button');
    if (again) again.onclick = () => this.#conversation.retry(clientId);
    if (discard) discard.onclick = () => this.#conversation.discard(clientId);
  }
}

/**
 * @param {Element} within
 * @param {string} selector
 * @param {string} text
 */
function write(within, selector, text) {
  const element = within.querySelector(selector);
  if (element && element.textContent !== text) element.textContent = text;
}
