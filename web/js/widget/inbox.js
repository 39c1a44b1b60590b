/**
 * `<haggle-inbox>`: the user's conversations, newest first and live, with a search. With `for` it opens what is chosen in that
 * `<haggle-chat>`; without, it tells the page by `haggle-select`.
 *
 * @import { HaggleClient } from '../haggle.js'
 * @import { Listed } from '../haggle/types.js'
 */
import { h, icon, setAttribute, write } from './dom.js';
import { drawing, HaggleElement } from './element.js';
import { avatar, heading, nameNodes, peers } from './people.js';
import { inbox } from './styles/inbox.js';
import { clean } from './text.js';

/** Conversations in the page to begin with, and how many each wish for older ones adds. */
const STEP = 50;
/** Characters of the newest message that are shown. */
const PREVIEW_MAX = 120;
/** Pages that one search loads at most. */
const SEARCH_PAGES_MAX = 20;
/** Milliseconds without a key after which a search looks further back. */
const SEARCH_MS = 250;

export class HaggleInbox extends HaggleElement {
  /** @override */
  static observedAttributes = [...HaggleElement.observedAttributes, 'selected', 'for'];
  /** @override */
  static sheets = [inbox];
  /** @type {InboxView | null} */
  #view = null;

  /** The id of the conversation that is shown as chosen. */
  get selected() {
    return this.getAttribute('selected') ?? '';
  }

  set selected(id) {
    setAttribute(this, 'selected', id);
  }

  /**
   * To the search.
   *
   * @override
   */
  focus() {
    this.#view?.focus();
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} now
   * @override
   */
  attributeChangedCallback(name, before, now) {
    if (name === 'selected') this.#view?.redraw();
    else if (name !== 'for') super.attributeChangedCallback(name, before, now);
  }

  /**
   * @param {HTMLElement} frame
   * @param {{client: HaggleClient}} held
   * @param {AbortSignal} signal
   * @override
   */
  build(frame, { client }, signal) {
    this.#view = new InboxView(this, frame, client, signal, (listed) => this.#choose(listed));
  }

  /** @param {Listed} listed */
  #choose(listed) {
    this.selected = String(listed.id);
    if (!this.tell('haggle-select', { conversation: listed })) return;
    const root = /** @type {Document | ShadowRoot} */ (this.getRootNode());
    const chat = root.getElementById(this.getAttribute('for') ?? '');
    if (!chat) return;
    chat.setAttribute('conversation', String(listed.id));
    // The chat is built anew first.
    setTimeout(() => chat.focus());
  }
}

class InboxView {
  #host;
  #client;
  #locale;
  #choose;
  #search;
  #list = h('ul', { class: 'list', role: 'list' });
  #state = h('p', { class: 'state', role: 'status' });
  #again;
  #found = h('p', { class: 'sr', role: 'status' });
  #older;
  #shown = STEP;
  /** @type {Map<number, {element: HTMLElement, drawn: string}>} */
  #held = new Map();
  #drawSoon;
  /** @type {any} */
  #searchTimer;

  /**
   * @param {HaggleInbox} host
   * @param {HTMLElement} frame
   * @param {HaggleClient} client
   * @param {AbortSignal} signal
   * @param {(listed: Listed) => void} choose
   */
  constructor(host, frame, client, signal, choose) {
    this.#host = host;
    this.#client = client;
    this.#locale = host.locale;
    this.#choose = choose;
    const label = this.#locale.say('search');
    this.#search = h('input', { type: 'search', placeholder: label, 'aria-label': label, autocomplete: 'off' });
    this.#older = h('button', { type: 'button', class: 'older', hidden: true }, this.#locale.say('older'));
    this.#again = h('button', { type: 'button', class: 'older', hidden: true }, this.#locale.say('retry'));
    this.#assemble(frame);
    this.#drawSoon = drawing(() => this.#draw(), signal);
    this.#listen(signal);
    void client.inbox.load();
    this.#draw();
  }

  focus() {
    this.#search.focus();
  }

  redraw() {
    this.#drawSoon();
  }

  /** @param {HTMLElement} frame */
  #assemble(frame) {
    const name = this.#locale.say('inbox');
    frame.append(h('div', { class: 'inbox', role: 'group', 'aria-label': name },
      h('header', { class: 'head' }, h('p', { class: 'heading' }, name), h('slot', { name: 'end' })),
      h('div', { class: 'search' }, icon('search'), this.#search),
      h('div', { class: 'scroll' }, this.#list, this.#state, this.#again, this.#older),
      this.#found));
  }

  /** @param {AbortSignal} signal */
  #listen(signal) {
    const offs = [this.#client.on('state', () => this.#drawSoon()), this.#client.inbox.on('change', () => this.#drawSoon())];
    signal.addEventListener('abort', () => offs.forEach((off) => off()));
    this.#search.addEventListener('input', () => this.#searched(), { signal });
    this.#search.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.#search.value !== '') {
        event.stopPropagation();
        this.#search.value = '';
        this.#searched();
      } else if (event.key === 'ArrowDown') {
        this.#list.querySelector('button')?.focus();
        event.preventDefault();
      }
    }, { signal });
    this.#list.addEventListener('keydown', (event) => this.#key(event), { signal });
    this.#list.addEventListener('click', (event) => {
      const id = Number(/** @type {Element} */ (event.target).closest('button')?.dataset.id);
      const listed = this.#client.inbox.find(id);
      if (listed) this.#choose(listed);
    }, { signal });
    this.#again.addEventListener('click', () => {
      this.#search.focus();
      // Somebody who presses this wants it now, whatever was wrong.
      if (this.#client.state === 'live') void this.#client.inbox.retry();
      else this.#client.connect();
    }, { signal });
    this.#older.addEventListener('click', () => {
      this.#shown += STEP;
      if (this.#shown > this.#client.inbox.conversations.length) void this.#client.inbox.more().catch(() => {});
      this.#drawSoon();
    }, { signal });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const buttons = [...this.#list.querySelectorAll('button')];
    const now = buttons.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const to = /** @type {Record<string, number>} */ ({ ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: buttons.length - 1 })[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to < 0) this.#search.focus();
    else buttons[to]?.focus();
  }

  #searched() {
    this.#shown = STEP;
    this.#drawSoon();
    clearTimeout(this.#searchTimer);
    this.#searchTimer = setTimeout(() => void this.#lookFurther(), SEARCH_MS);
  }

  /** Loads older conversations until enough of them match. */
  async #lookFurther() {
    const query = this.#search.value;
    const { inbox: held } = this.#client;
    try {
      for (let page = 0; page < SEARCH_PAGES_MAX && query.trim() !== '' && query === this.#search.value; page += 1) {
        if (!held.hasMore || held.search(query).length >= STEP) return;
        await held.more();
      }
    } catch {
      // The connection is gone; what is here has been searched.
    }
  }

  #draw() {
    const { inbox: held } = this.#client;
    const query = this.#search.value;
    const all = query.trim() === '' ? held.conversations : held.search(query);
    const shown = all.slice(0, this.#shown);
    this.#fill(shown);
    this.#older.hidden = all.length <= this.#shown && !(held.hasMore && query.trim() === '');
    const isStuck = this.#client.state === 'refused' || (this.#client.state === 'live' && held.trouble !== undefined);
    this.#state.hidden = shown.length > 0 && !isStuck;
    this.#again.hidden = !isStuck;
    write(this.#state, this.#says(query));
    write(this.#found, query.trim() === '' ? '' : this.#locale.count('found', all.length));
  }

  /** @param {string} query */
  #says(query) {
    if (this.#client.state === 'refused') return this.#locale.say('refused');
    if (this.#client.inbox.trouble) return this.#locale.say('notLoaded');
    if (!this.#client.inbox.loaded) return this.#locale.say(this.#client.state === 'live' ? 'loading' : 'connecting');
    return this.#locale.say(query.trim() === '' ? 'nothing' : 'noMatch');
  }

  /** @param {Listed[]} shown */
  #fill(shown) {
    const focused = /** @type {ShadowRoot} */ (this.#list.getRootNode()).activeElement;
    /** @type {Map<number, {element: HTMLElement, drawn: string}>} */
    const next = new Map();
    for (const listed of shown) next.set(listed.id, this.#row(listed));
    for (const [id, { element }] of this.#held) if (!next.has(id)) element.remove();
    let before = this.#list.firstElementChild;
    for (const { element } of next.values()) {
      if (element === before) before = element.nextElementSibling;
      else this.#list.insertBefore(element, before);
    }
    this.#held = next;
    // What moves to the top keeps the focus that it has.
    if (focused instanceof HTMLElement && this.#list.contains(focused)) focused.focus({ preventScroll: true });
  }

  /** @param {Listed} listed */
  #row(listed) {
    const isChosen = String(listed.id) === this.#host.selected;
    const held = this.#held.get(listed.id);
    const day = new Date().toDateString();
    const drawn = JSON.stringify([listed, isChosen, day]);
    if (held?.drawn === drawn) return held;
    const element = held?.element ?? h('li', {}, h('button', { type: 'button', class: 'row', 'data-id': listed.id }));
    const button = /** @type {HTMLElement} */ (element.firstElementChild);
    setAttribute(button, 'aria-current', isChosen ? 'true' : null);
    button.classList.toggle('new', listed.unread > 0);
    button.replaceChildren(...this.#cells(listed));
    return { element, drawn };
  }

  /** @param {Listed} listed */
  #cells(listed) {
    const me = this.#client.user?.user_id;
    const others = peers(listed.participants, me);
    const title = listed.title ?? listed.subject?.title;
    const name = heading(others, title, this.#locale);
    const about = clean(title ?? '');
    const { last_message: last, unread } = listed;
    const online = others.some((one) => one.online);
    const id = others.length === 1 ? (others[0]?.user_id ?? '') : name.text;
    return [
      h('span', { class: 'face', 'data-online': online }, avatar(id, name.text)),
      h('span', { class: 'text' },
        h('span', { class: 'line' },
          h('span', { class: 'name', dir: 'auto' }, ...nameNodes(name)),
          online ? h('span', { class: 'sr' }, ` (${this.#locale.say('online')})`) : null,
          last ? h('time', { datetime: last.created_at }, this.#locale.moment(last.created_at)) : null),
        about && about !== name.text ? h('bdi', { class: 'about' }, about) : null,
        h('span', { class: 'line' }, this.#preview(listed, me), unread > 0 ? this.#badge(unread) : null)),
    ];
  }

  /**
   * @param {Listed} listed
   * @param {string | undefined} me
   */
  #preview({ last_message: last }, me) {
    if (!last) return h('span', { class: 'preview' }, this.#locale.say('empty'));
    const own = last.sender.id === me ? h('span', {}, `${this.#locale.say('you')}: `) : null;
    return h('span', { class: 'preview' }, own, h('bdi', {}, clean(last.body.slice(0, PREVIEW_MAX))));
  }

  /** @param {number} unread */
  #badge(unread) {
    return h('span', { class: 'badge' },
      h('span', { 'aria-hidden': 'true' }, this.#locale.badge(unread)), h('span', { class: 'sr' }, this.#locale.count('unread', unread)));
  }
}
