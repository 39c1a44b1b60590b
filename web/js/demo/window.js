/**
 * One person's window on the shop: who they are, which page they are on, the page itself, and what it has of Haggle.
 *
 * @import { PageName, Person } from './people.js'
 * @import { Look, View } from './state.js'
 */
import { copies } from './copy.js';
import { elementOf, embedded, linesOf } from './embed.js';
import { isPage, isPerson, PAGES, PEOPLE } from './people.js';
import { one, template } from './dom.js';

export class ShopWindow {
  #id;
  #look;
  #view;
  #changed;
  #isShared = false;
  element;

  /**
   * @param {string} id Names this window among the page's.
   * @param {View} view
   * @param {Look} look
   * @param {(view: View) => void} changed
   */
  constructor(id, view, look, changed) {
    this.#id = id;
    this.#view = view;
    this.#look = look;
    this.#changed = changed;
    this.element = template('window');
    this.element.dataset.window = id;
    this.#addPeople();
    this.#addPages();
    copies(one(this.element, '.embed'));
    this.element.addEventListener('haggle-unread', (event) => this.#count(event));
    this.#build();
  }

  /** @param {Look} look */
  dress(look) {
    this.#look = look;
    this.#build();
  }

  /**
   * Whether another person's window is beside this one: then only who has the focus reads.
   *
   * @param {boolean} on
   */
  set isShared(on) {
    if (this.#isShared === on) return;
    this.#isShared = on;
    this.#build();
  }

  /** @param {() => void} close */
  closable(close) {
    const button = one(this.element, '.close');
    button.hidden = false;
    button.addEventListener('click', close);
  }

  get #person() {
    return PEOPLE[this.#view.person];
  }

  #addPeople() {
    for (const [name, person] of Object.entries(PEOPLE)) {
      const label = template('person');
      const face = one(label, '.face');
      face.dataset.face = name;
      face.textContent = person.name.charAt(0);
      one(label, '.name').textContent = person.name;
      one(label, '.role').textContent = person.role;
      this.#radio(label, 'person', name, this.#view.person);
      one(this.element, '.people').append(label);
    }
  }

  #addPages() {
    for (const [name, title] of Object.entries(PAGES)) {
      const label = template('choice');
      one(label, 'span').textContent = title;
      this.#radio(label, 'page', name, this.#view.page);
      one(this.element, '.pages').append(label);
    }
  }

  /**
   * @param {HTMLElement} label
   * @param {'person' | 'page'} group
   * @param {string} value
   * @param {string} chosen
   */
  #radio(label, group, value, chosen) {
    const radio = /** @type {HTMLInputElement} */ (one(label, 'input'));
    radio.name = `${this.#id}-${group}`;
    radio.value = value;
    radio.checked = value === chosen;
    radio.addEventListener('change', () => {
      if (group === 'person' && isPerson(value)) this.#go({ ...this.#view, person: value });
      if (group === 'page' && isPage(value)) this.#go({ ...this.#view, page: value });
    });
  }

  /** @param {View} view */
  #go(view) {
    this.#view = view;
    this.#build();
    this.#changed(view);
  }

  #build() {
    const { page } = this.#view;
    const person = this.#person;
    this.element.dataset.page = page;
    this.element.dataset.person = this.#view.person;
    one(this.element, 'h2').textContent = `${person.name}, ${person.role}: ${PAGES[page]}`;
    this.element.setAttribute('aria-label', `What ${person.name} sees`);
    one(this.element, '.close .sr').textContent = `Close what ${person.name} sees`;
    one(this.element, '.unread').textContent = '';
    const all = embedded(this.#view, this.#look, `chat-${this.#id}`);
    const elements = all.map(elementOf);
    for (const element of elements) if (this.#isShared) element.setAttribute('read-when', 'focus');
    const site = template(`page-${page}`);
    BUILD[page](site, person, elements);
    one(this.element, '.site').replaceChildren(site, ...(page === 'item' ? elements : []));
    one(this.element, '.embed code').replaceChildren(...linesOf(all, location.origin));
  }

  /** @param {Event} event */
  #count(event) {
    // The button shows its own count, the inbox one for each conversation.
    if (this.#view.page !== 'order') return;
    const { unread } = /** @type {CustomEvent<{unread: number}>} */ (event).detail;
    one(this.element, '.unread').textContent = unread > 0 ? `${unread} unread` : '';
  }
}

/** @type {Record<string, string>} What the floating button is to whom. */
const HINTS = {
  customer: 'Ask about it with the button below.',
  seller: 'That is you: questions arrive behind the button below.',
  manager: 'Your conversations are behind the button below.',
};

/** @type {Record<PageName, (site: HTMLElement, person: Person, elements: HTMLElement[]) => void>} */
const BUILD = {
  item(site, person) {
    one(site, '.hint').textContent = HINTS[person.role] ?? '';
  },
  order(site, { order }, elements) {
    one(site, 'h3').textContent = order.title;
    one(site, '.total').textContent = order.total;
    one(site, '.lines').textContent = order.lines;
    const last = one(site, '.last');
    if (order.isDone) last.replaceChildren(one(site, '.done svg').cloneNode(true));
    last.append(order.state);
    last.classList.toggle('done', order.isDone);
    one(site, '.slot').append(...elements);
  },
  inbox(site, person, elements) {
    one(site, 'h3').textContent = { customer: 'Your messages', seller: 'Your messages' }[person.role] ?? 'Support';
    one(site, '.slot').append(...elements);
    const [list, chat] = elements;
    // Where there is room for one of the two, the chat takes the list's place.
    site.addEventListener('haggle-select', () => (site.dataset.chosen = ''));
    const back = document.createElement('button');
    back.type = 'button';
    back.slot = 'start';
    back.className = 'back';
    back.append(icon('back'), hidden('Back to the list'));
    back.addEventListener('click', () => {
      delete site.dataset.chosen;
      list?.focus();
    });
    chat?.append(back);
  },
};

/** @param {string} name */
function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

/** @param {string} text */
function hidden(text) {
  const span = document.createElement('span');
  span.className = 'sr';
  span.textContent = text;
  return span;
}
