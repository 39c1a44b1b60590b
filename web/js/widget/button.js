/**
 * `<haggle-button>`: a floating button with what is unread. It opens one conversation (`conversation`), a new one about a subject (`with`, `subject`), or,
 * with neither, the inbox.
 *
 * @import { Conversation, HaggleClient } from '../haggle.js'
 * @import { Listed, Opening } from '../haggle/types.js'
 */
import { conversationOf } from './context.js';
import { h, icon, setAttribute, write } from './dom.js';
import { drawing, HaggleElement } from './element.js';
import { heading, peers } from './people.js';
import { button } from './styles/button.js';
import { clean, inSentence } from './text.js';

/** What the elements inside take over from this one. */
const HANDED_ON = ['lang', 'dir', 'server', 'token-url', 'theme', 'read-when', 'heading'];

export class HaggleButton extends HaggleElement {
  /** @override */
  static observedAttributes = [...HaggleElement.observedAttributes, 'conversation', 'with', 'subject', 'open'];
  /** @override */
  static sheets = [button];
  /** @type {ButtonView | null} */
  #view = null;

  /** Whether the panel is open. */
  get open() {
    return this.hasAttribute('open');
  }

  set open(on) {
    setAttribute(this, 'open', on);
  }

  /** How many messages are unread behind this button. */
  get unread() {
    return this.#view?.unread ?? 0;
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} now
   * @override
   */
  attributeChangedCallback(name, before, now) {
    if (name === 'open') this.#view?.show(this.open);
    else super.attributeChangedCallback(name, before, now);
  }

  /**
   * @param {HTMLElement} frame
   * @param {{client: HaggleClient, isShared: boolean}} held
   * @param {AbortSignal} signal
   * @override
   */
  build(frame, held, signal) {
    this.#view = new ButtonView(this, frame, held, signal, (type, detail) => void this.tell(type, detail));
    // A page that comes with the panel open keeps the focus where it is.
    if (this.open) this.#view.show(true, false);
  }
}

class ButtonView {
  #host;
  #client;
  #isShared;
  #locale;
  #signal;
  #tell;
  #button;
  #dock;
  #count = h('span', { class: 'badge', 'aria-hidden': 'true', hidden: true });
  #spoken = h('p', { class: 'sr', role: 'status' });
  #panel;
  /** @type {Conversation | null} Whose unread messages are counted; null for all. */
  #counted = null;
  /** @type {Listed | null} What the server tells of it. */
  #details = null;
  #isOpening = false;
  #lastUnread = 0;
  #drawSoon;

  /**
   * @param {HaggleButton} host
   * @param {HTMLElement} frame
   * @param {{client: HaggleClient, isShared: boolean}} held
   * @param {AbortSignal} signal
   * @param {(type: string, detail: unknown) => void} tell
   */
  constructor(host, frame, { client, isShared }, signal, tell) {
    this.#host = host;
    this.#client = client;
    this.#isShared = isShared;
    this.#locale = host.locale;
    this.#signal = signal;
    this.#tell = tell;
    this.#button = h('button', { type: 'button', class: 'fab', 'aria-expanded': 'false', 'aria-controls': 'panel' }, icon('chat'), icon('down'), this.#count);
    this.#panel = h('div', { class: 'panel', id: 'panel', role: 'dialog', hidden: true });
    this.#dock = h('section', { class: 'dock' }, this.#panel, this.#button, this.#spoken);
    frame.append(this.#dock);
    this.#drawSoon = drawing(() => this.#draw(), signal);
    this.#listen();
    this.#draw();
  }

  get unread() {
    if (this.#counted) return this.#counted.unread;
    if (this.#opening) return this.#matching()?.unread ?? 0;
    return this.#client.inbox.unread;
  }

  /**
   * @param {boolean} on
   * @param {boolean} [takesFocus]
   */
  show(on, takesFocus = true) {
    if (this.#panel.hidden === !on) return;
    this.#panel.hidden = !on;
    if (on && !this.#panel.hasChildNodes()) this.#fill();
    this.#draw();
    if (on && takesFocus) setTimeout(() => this.#focus());
    else if (!on) this.#button.focus();
    this.#tell('haggle-toggle', { open: on });
  }

  #listen() {
    const signal = this.#signal;
    const ref = this.#ref;
    if (ref) this.#countIn(ref);
    const offs = [this.#client.inbox.on('change', () => this.#drawSoon()), this.#client.on('state', () => this.#drawSoon())];
    signal.addEventListener('abort', () => offs.forEach((off) => off()));
    this.#button.addEventListener('click', () => (this.#host.open = !this.#host.open), { signal });
    this.#panel.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.#host.open = false;
    }, { signal });
    if (this.#opening) void this.#client.inbox.load().catch(() => {});
  }

  /** @param {number | string} ref */
  #countIn(ref) {
    const { conversation, release } = conversationOf(this.#client, ref, this.#isShared);
    this.#counted = conversation;
    const off = conversation.on('change', () => this.#drawSoon());
    this.#signal.addEventListener('abort', () => {
      off();
      release();
    });
  }

  get #ref() {
    const ref = this.#host.getAttribute('conversation');
    return ref && /^\d+$/.test(ref) ? Number(ref) : ref;
  }

  /** @returns {Opening | null} What to open a conversation with, where the page names whom with. */
  get #opening() {
    const whom = this.#host.getAttribute('with');
    if (this.#ref || !whom) return null;
    const [kind, ...rest] = (this.#host.getAttribute('subject') ?? '').split(':');
    const id = rest.join(':');
    return { participants: [{ user_id: whom }], ...(kind && id && { subject: { kind, id } }) };
  }

  /** The conversation that opening would find. */
  #matching() {
    const opening = this.#opening;
    const [whom] = opening?.participants ?? [];
    return this.#client.inbox.conversations.find(({ subject, participants }) =>
      participants.length === 2 && participants.some(({ user_id }) => user_id === whom?.user_id)
      && subject?.kind === opening?.subject?.kind && subject?.id === opening?.subject?.id);
  }

  /** What it is about: several buttons on a page are told apart by it. */
  #title() {
    const given = this.#host.getAttribute('heading');
    if (given) return clean(given);
    const held = this.#counted;
    const listed = held ? this.#details : this.#matching();
    const title = clean(listed?.title ?? listed?.subject?.title ?? '');
    const others = peers(held?.participants ?? listed?.participants ?? [], this.#client.user?.user_id);
    if (title || others.length > 0) return title || heading(others, null, this.#locale).text;
    if (this.#opening) return clean((this.#host.getAttribute('subject') ?? '').replace(':', ' '));
    return this.#ref ? '' : this.#locale.say('inbox');
  }

  /** The title comes with the first connection. */
  #askDetails() {
    const held = this.#counted;
    if (this.#details || !held?.joined || held.id === null) return;
    // Asked once: a button without a title is no reason to ask again.
    this.#details = /** @type {Listed} */ ({ title: null, subject: null });
    this.#client.details(held.id).then((details) => {
      this.#details = details;
      this.#drawSoon();
    }, () => {});
  }

  #focus() {
    /** @type {HTMLElement | null} */ (this.#panel.querySelector('haggle-chat, haggle-inbox') ?? this.#panel.querySelector('button'))?.focus();
  }

  #fill() {
    const ref = this.#ref;
    if (ref) this.#showChat(String(ref), false);
    else if (this.#opening) void this.#begin(this.#opening);
    else this.#showInbox();
  }

  /** @param {Opening} opening */
  async #begin(opening) {
    if (this.#isOpening) return;
    this.#isOpening = true;
    this.#say(this.#locale.say('loading'));
    try {
      await this.#live();
      const listed = await this.#client.open(opening);
      if (this.#signal.aborted) return;
      this.#countIn(listed.id);
      const hasFocus = this.#panel.matches(':focus-within');
      this.#showChat(String(listed.id), false);
      if (hasFocus) setTimeout(() => this.#focus());
    } catch {
      if (!this.#signal.aborted) this.#say(this.#locale.say(this.#client.state === 'refused' ? 'refused' : 'absent'), opening);
    } finally {
      this.#isOpening = false;
    }
  }

  /** Waits for the connection. */
  #live() {
    return /** @type {Promise<void>} */ (new Promise((resolve, reject) => {
      const look = () => {
        if (this.#client.state === 'live') resolve();
        else if (this.#client.state === 'refused' || this.#signal.aborted) reject(new Error('refused'));
        else return false;
        return true;
      };
      if (look()) return;
      const off = this.#client.on('state', () => look() && off());
      this.#signal.addEventListener('abort', () => look() && off());
    }));
  }

  /**
   * @param {string} text
   * @param {Opening} [failed] What to try again.
   */
  #say(text, failed) {
    const hasFocus = this.#panel.matches(':focus-within');
    const again = failed ? this.#retry(failed) : null;
    this.#panel.replaceChildren(h('div', { class: 'blank' }, h('p', { role: 'status' }, text), again, this.#closer(null)));
    if (hasFocus) this.#focus();
  }

  /** @param {Opening} opening */
  #retry(opening) {
    const again = h('button', { type: 'button', class: 'again' }, this.#locale.say('retry'));
    again.addEventListener('click', () => {
      if (this.#client.state !== 'live') this.#client.connect();
      void this.#begin(opening);
    }, { signal: this.#signal });
    return again;
  }

  /**
   * @param {string} ref
   * @param {boolean} hasBack
   */
  #showChat(ref, hasBack) {
    const chat = this.#child('haggle-chat');
    chat.setAttribute('conversation', ref);
    if (hasBack) chat.append(this.#back());
    chat.append(this.#closer('end'));
    this.#panel.replaceChildren(chat);
  }

  #showInbox() {
    const list = this.#child('haggle-inbox');
    list.append(this.#closer('end'));
    list.addEventListener('haggle-select', (event) => {
      event.preventDefault();
      const { conversation } = /** @type {CustomEvent<{conversation: Listed}>} */ (event).detail;
      this.#showChat(String(conversation.id), true);
      setTimeout(() => this.#focus());
    }, { signal: this.#signal });
    this.#panel.replaceChildren(list);
  }

  /** @param {'haggle-chat' | 'haggle-inbox'} tag */
  #child(tag) {
    const child = /** @type {HaggleElement} */ (document.createElement(tag));
    for (const name of HANDED_ON) setAttribute(child, name, this.#host.getAttribute(name));
    setAttribute(child, 'lang', this.#locale.language);
    if (!this.#isShared) child.client = this.#client;
    return child;
  }

  #back() {
    const back = h('button', { type: 'button', slot: 'start', class: 'quiet back', 'aria-label': this.#locale.say('back') }, icon('back'));
    back.firstElementChild?.classList.add('turns');
    back.addEventListener('click', () => {
      this.#showInbox();
      setTimeout(() => this.#focus());
    }, { signal: this.#signal });
    return back;
  }

  /** @param {string | null} slot */
  #closer(slot) {
    const close = h('button', { type: 'button', slot, class: 'quiet', 'aria-label': this.#locale.say('closeChat') }, icon('close'));
    close.addEventListener('click', () => (this.#host.open = false), { signal: this.#signal });
    return close;
  }

  #draw() {
    const { unread } = this;
    const isOpen = !this.#panel.hidden;
    const spoken = unread > 0 ? this.#locale.count('unread', unread) : '';
    this.#askDetails();
    const title = this.#title();
    const about = (/** @type {string} */ what) => (title ? this.#locale.say('about', { what, title: inSentence({ text: title, tag: '' }) }) : what);
    const label = about(this.#locale.say(isOpen ? 'closeChat' : 'openChat'));
    for (const part of [this.#dock, this.#panel]) setAttribute(part, 'aria-label', about(this.#locale.say('chat')));
    setAttribute(this.#button, 'aria-label', spoken && !isOpen ? `${label}, ${spoken}` : label);
    setAttribute(this.#button, 'aria-expanded', String(isOpen));
    this.#button.classList.toggle('opened', isOpen);
    this.#count.hidden = unread === 0 || isOpen;
    write(this.#count, this.#locale.badge(unread));
    write(this.#spoken, isOpen ? '' : spoken);
    if (unread !== this.#lastUnread) this.#tell('haggle-unread', { unread });
    this.#lastUnread = unread;
  }
}
