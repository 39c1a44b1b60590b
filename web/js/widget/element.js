/**
 * What all elements of the widget share: their shadow root, language, theme, and the client that they speak through.
 *
 * @import { HaggleClient } from '../haggle.js'
 */
import { clientOf, signOut } from './context.js';
import { Locale } from './locale.js';
import { base } from './styles/base.js';
import { h } from './dom.js';

/** Attributes that every element has; changing one builds the element anew, but `theme`, which is for the style sheet alone. */
const COMMON = ['lang', 'dir', 'server', 'token-url'];

export class HaggleElement extends HTMLElement {
  /** @type {string[]} */
  static observedAttributes = COMMON;
  /** @type {CSSStyleSheet[]} */
  static sheets = [];
  /** What `haggle-widget.js` exports, for pages without modules: `customElements.get('haggle-chat').signOut()`. */
  static signOut = signOut;

  /** @type {ShadowRoot} */
  #root;
  /** @type {HaggleClient | null} What the page has given. */
  #given = null;
  /** @type {AbortController | null} Ends what this element listens to. */
  #life = null;
  #building = false;
  /** @type {HaggleClient | null} What it speaks through now. */
  #client = null;
  locale = new Locale('en');

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: 'open' });
    const own = /** @type {typeof HaggleElement} */ (this.constructor).sheets;
    this.#root.adoptedStyleSheets = [base, ...own];
  }

  /** The page's own client, where it has one; else the element makes one from `server` and `token-url`. */
  get client() {
    return this.#given;
  }

  set client(client) {
    this.#given = client;
    this.#rebuildSoon();
  }

  /** `connecting`, `live`, `offline` or `refused`, as `haggle-state` tells. */
  get state() {
    return this.#client?.state ?? 'offline';
  }

  connectedCallback() {
    this.#upgrade();
    this.#rebuildSoon();
  }

  disconnectedCallback() {
    this.#dismount();
  }

  /**
   * @param {string} _name
   * @param {string | null} before
   * @param {string | null} now
   */
  attributeChangedCallback(_name, before, now) {
    if (before !== now) this.#rebuildSoon();
  }

  /** For the next state of the page to be known: several attributes set in a row build once. */
  #rebuildSoon() {
    if (this.#building || !this.isConnected) return;
    this.#building = true;
    queueMicrotask(() => {
      this.#building = false;
      this.#dismount();
      if (this.isConnected) this.#mount();
    });
  }

  #mount() {
    this.#life = new AbortController();
    this.locale = new Locale(this.#language());
    const direction = this.getAttribute('dir') ?? this.locale.direction;
    const frame = h('div', { class: 'frame', lang: this.locale.language, dir: direction });
    this.#root.replaceChildren(frame);
    const held = this.#claim();
    this.#client = held?.client ?? null;
    if (!held) return;
    this.#watch(held.client, this.#life.signal);
    this.build(frame, held, this.#life.signal);
  }

  /**
   * @param {HaggleClient} client
   * @param {AbortSignal} signal
   */
  #watch(client, signal) {
    // What stands inside another element is that one's to tell.
    if (/** @type {ShadowRoot} */ (this.getRootNode()).host instanceof HaggleElement) return;
    const off = client.on('state', ({ state, error }) => void this.tell('haggle-state', { state, error }));
    signal.addEventListener('abort', off);
  }

  #dismount() {
    this.#life?.abort();
    this.#life = null;
    this.#client = null;
    this.#root.replaceChildren();
  }

  /** @returns {{client: HaggleClient, isShared: boolean} | null} Null while the page has said neither. */
  #claim() {
    if (this.#given) return { client: this.#given, isShared: false };
    const tokenUrl = this.getAttribute('token-url');
    if (tokenUrl === null) return null;
    const { client, release } = clientOf(this.getAttribute('server'), tokenUrl, () => this.#rebuildSoon());
    this.#life?.signal.addEventListener('abort', release);
    return { client, isShared: true };
  }

  #language() {
    const holder = this.closest('[lang]') ?? /** @type {ShadowRoot} */ (this.getRootNode()).host?.closest('[lang]');
    return holder?.getAttribute('lang') || navigator.language;
  }

  /** A page may have set `client` before this script was there. */
  #upgrade() {
    for (const name of ['client', 'conversation', 'opening']) {
      if (!Object.hasOwn(this, name)) continue;
      const own = /** @type {any} */ (this);
      const value = own[name];
      delete own[name];
      own[name] = value;
    }
  }

  /**
   * Fills the frame; what it listens to ends with the signal.
   *
   * @param {HTMLElement} _frame
   * @param {{client: HaggleClient, isShared: boolean}} _held
   * @param {AbortSignal} _signal
   * @protected
   */
  build(_frame, _held, _signal) {}

  /**
   * Tells the page.
   *
   * @param {string} type
   * @param {unknown} detail
   * @protected
   */
  tell(type, detail) {
    return this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true, cancelable: true }));
  }
}

/**
 * One drawing for many changes. A timer and not a frame: a hidden page has no frames, and must not fall behind.
 *
 * @param {() => void} draw
 * @param {AbortSignal} signal
 */
export function drawing(draw, signal) {
  let isPlanned = false;
  return () => {
    if (isPlanned || signal.aborted) return;
    isPlanned = true;
    setTimeout(() => {
      isPlanned = false;
      if (!signal.aborted) draw();
    });
  };
}
