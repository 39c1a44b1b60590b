/**
 * One person's view of one conversation: it shows what a `Conversation` holds and passes on what its person does.
 * Everything that a person wrote goes in as `textContent`.
 *
 * @import { Conversation, HaggleClient, HaggleError } from './haggle.js'
 */
import { BODY_MAX, bodyLength } from './haggle.js';
import { badge, count, time } from './format.js';
import { MessageList } from './messages.js';

/** Characters left at which the count begins to warn. */
const NEAR = 200;
/** Pixels from the end that still count as being there. */
const END_PX = 48;
/** Pixels from the start at which older messages are loaded. */
const START_PX = 120;
/** Announcements kept for screen readers. */
const ANNOUNCED_MAX = 20;

const STATES = { connecting: 'Connecting', live: 'Live', offline: 'Reconnecting', refused: 'Refused' };

/** @typedef {{id: string, name: string, role: string}} Person */

export class Pane {
  element;
  #client;
  #conversation;
  #me;
  #peer;
  #list;
  #wasLive = false;
  #drawn = false;
  #drawing = false;
  /** Whether the newest message was in sight before the last change. */
  #atEnd = true;
  /** @type {HaggleError | undefined} */
  #trouble;

  /**
   * @param {HTMLTemplateElement} template
   * @param {HTMLTemplateElement} messageTemplate
   * @param {HaggleClient} client
   * @param {Conversation} conversation
   * @param {{me: Person, peer: Person}} people
   */
  constructor(template, messageTemplate, client, conversation, { me, peer }) {
    const fragment = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (fragment.firstElementChild);
    this.#client = client;
    this.#conversation = conversation;
    this.#me = me;
    this.#peer = peer;
    this.#list = new MessageList(this.#find('.messages', HTMLOListElement), messageTemplate, conversation, me.id);
    this.#label();
    this.#listen();
    this.#draw();
  }

  /** @template {Element} E @param {string} selector @param {new () => E} type @returns {E} */
  #find(selector, type) {
    const found = this.element.querySelector(selector);
    if (!(found instanceof type)) throw new Error(`The pane has no ${selector}.`);
    return found;
  }

  /** @param {string} selector @param {string} text */
  #write(selector, text) {
    const element = this.#find(selector, HTMLElement);
    if (element.textContent !== text) element.textContent = text;
  }

  get #scroll() {
    return this.#find('.scroll', HTMLElement);
  }

  get #text() {
    return this.#find('textarea', HTMLTextAreaElement);
  }

  #label() {
    const { name, role } = this.#me;
    this.element.dataset.user = this.#me.id;
    this.element.setAttribute('aria-label', `${name}, ${role}`);
    this.#write('.owner-name', name);
    this.#write('.owner-role', role);
    this.#write('.avatar', [...this.#peer.name][0] ?? '');
    this.#write('.peer-name bdi', this.#peer.name);
    this.#scroll.setAttribute('aria-label', `Messages with ${this.#peer.name}`);
    this.#text.id = `text-${this.#me.id}`;
    this.#text.placeholder = `Message ${this.#peer.name}`;
    const label = this.#find('label', HTMLLabelElement);
    label.htmlFor = this.#text.id;
    label.textContent = `Message ${this.#peer.name} as ${name}`;
    const counter = this.#find('.count', HTMLElement);
    counter.id = `count-${this.#me.id}`;
    this.#text.setAttribute('aria-describedby', counter.id);
  }

  #listen() {
    this.#client.on('state', ({ state, error }) => {
      this.#wasLive ||= state === 'live';
      this.#trouble = error;
      this.#drawSoon();
    });
    this.#conversation.on('change', () => this.#drawSoon());
    this.#conversation.on('error', (error) => {
      this.#trouble = error;
      this.#drawSoon();
    });
    this.#conversation.on('message', ({ message }) => this.#announce(`${message.sender.name}: ${message.body}`));
    this.#listenToComposer();
    this.#scroll.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.element.addEventListener('focusin', () => this.#attend());
    window.addEventListener('focus', () => this.#attend());
    document.addEventListener('visibilitychange', () => this.#attend());
    this.#find('.jump', HTMLButtonElement).addEventListener('click', () => this.#jump());
    this.#find('.notice-action', HTMLButtonElement).addEventListener('click', () => this.#again());
    // A growing composer or a phone's keyboard takes room from the messages: the newest stays in sight.
    new ResizeObserver(() => this.#keepEnd()).observe(this.#scroll);
  }

  #listenToComposer() {
    const text = this.#text;
    this.#find('form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    text.addEventListener('keydown', (event) => {
      // While an input method composes, Enter chooses a word.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    text.addEventListener('input', () => {
      this.#conversation.typing(text.value.trim() !== '');
      this.#drawCount();
    });
    text.addEventListener('blur', () => this.#conversation.typing(false));
  }

  #send() {
    const length = bodyLength(this.#text.value);
    if (length === 0 || length > BODY_MAX) return;
    this.#conversation.send(this.#text.value.trim());
    this.#text.value = '';
    this.#atEnd = true;
    this.#drawCount();
    this.#text.focus();
  }

  #again() {
    if (this.#client.state === 'live') location.reload();
    else this.#client.connect();
  }

  #jump() {
    this.#atEnd = true;
    this.#keepEnd();
    this.#text.focus();
    this.#attend();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    this.#atEnd = scrollHeight - scrollTop - clientHeight <= END_PX;
    if (scrollTop <= START_PX && this.#conversation.hasOlder) void this.#conversation.older().catch(() => {});
    this.#attend();
    this.#drawJump();
  }

  /** Whoever looks at the newest message has read it. */
  #attend() {
    const looking = document.hasFocus() && document.visibilityState === 'visible';
    if (looking && this.#drawn && this.#atEnd && this.element.matches(':focus-within')) this.#conversation.read();
  }

  #drawSoon() {
    if (this.#drawing) return;
    this.#drawing = true;
    // A timer and not a frame: a hidden page has no frames, and must not fall behind.
    setTimeout(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  #draw() {
    this.#drawState();
    this.#drawPeer();
    this.#drawMessages();
    this.#drawTyping();
    this.#drawCount();
    this.#attend();
    this.#drawUnread();
    this.#drawJump();
  }

  #drawState() {
    const { state } = this.#client;
    this.element.dataset.state = state;
    this.#write('.state-text', state === 'connecting' && this.#wasLive ? STATES.offline : STATES[state]);
    const notice = this.#notice(state);
    this.#find('.notice', HTMLElement).hidden = notice === '';
    this.#write('.notice-text', notice);
    this.#write('.notice-action', state === 'live' ? 'Reload' : 'Try now');
  }

  /** @param {string} state */
  #notice(state) {
    if (state === 'refused') return `The server refuses this connection: ${this.#trouble?.message ?? 'no reason given'}`;
    if (state === 'live') return this.#trouble ? `This conversation cannot be shown: ${this.#trouble.message}` : '';
    return this.#wasLive ? 'No connection. What you write is kept, and sent when it is back.' : '';
  }

  #drawPeer() {
    const { joined } = this.#conversation;
    const peer = this.#conversation.others.find(({ user_id }) => user_id === this.#peer.id);
    const online = joined && peer?.online === true;
    const seen = peer?.last_seen ? `last seen ${time(peer.last_seen)}` : 'offline';
    this.#find('.presence', HTMLElement).dataset.online = String(online);
    if (!joined) this.#write('.presence-text', 'waiting for the connection');
    else this.#write('.presence-text', online ? 'online' : seen);
  }

  #drawMessages() {
    const { scrollHeight, scrollTop } = this.#scroll;
    const first = this.#list.firstSeq;
    this.#list.draw();
    const empty = this.#find('.empty', HTMLElement);
    empty.hidden = !this.#list.isEmpty;
    empty.textContent = this.#conversation.loaded ? 'No messages yet. Say hello.' : 'Loading…';
    const grewAbove = first !== undefined && this.#list.firstSeq !== first;
    if (this.#atEnd) this.#keepEnd();
    else if (grewAbove) this.#scroll.scrollTop = scrollTop + this.#scroll.scrollHeight - scrollHeight;
    this.#drawn ||= this.#conversation.loaded;
  }

  #keepEnd() {
    if (this.#atEnd) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #drawTyping() {
    const names = this.#conversation.typists;
    const [name] = names;
    this.#find('.typing-dots', HTMLElement).hidden = names.length === 0;
    this.#write('.typing-text', name === undefined ? '' : names.length === 1 ? `${name} is typing` : 'Several are typing');
  }

  #drawCount() {
    const length = bodyLength(this.#text.value);
    const counter = this.#find('.count', HTMLElement);
    counter.dataset.level = length > BODY_MAX ? 'over' : length > BODY_MAX - NEAR ? 'near' : 'fine';
    counter.textContent = `${count(length)} / ${count(BODY_MAX)}`;
    this.#find('.send', HTMLButtonElement).disabled = length === 0 || length > BODY_MAX;
    this.#text.setAttribute('aria-invalid', String(length > BODY_MAX));
  }

  #drawUnread() {
    const { unread } = this.#conversation;
    this.#find('.badge', HTMLElement).hidden = unread === 0;
    this.#write('.badge-count', badge(unread));
  }

  #drawJump() {
    const { unread } = this.#conversation;
    this.#find('.jump', HTMLButtonElement).hidden = this.#atEnd;
    this.#write('.jump-count', unread === 0 ? '' : badge(unread));
  }

  /** @param {string} text */
  #announce(text) {
    const announcer = this.#find('.announcer', HTMLElement);
    const line = document.createElement('p');
    line.textContent = text;
    announcer.append(line);
    while (announcer.childElementCount > ANNOUNCED_MAX) announcer.firstElementChild?.remove();
  }
}
