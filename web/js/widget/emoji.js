/**
 * A small choice of emoji for writing, by mouse or arrow keys. Screen readers name each by themselves.
 *
 * @import { Locale } from './locale.js'
 */
import { h, icon } from './dom.js';

const EMOJI = [
  '🙂', '😀', '😂', '😊', '😍', '🥰', '😘', '😉', '😎', '🤔', '😮', '😢', '😭', '😡', '🙄', '😴',
  '👍', '👎', '👌', '🙏', '👏', '💪', '🤝', '👋', '✌️', '🤞', '❤️', '💔', '🔥', '✨', '🎉', '✅',
  '❌', '❓', '❗', '⭐', '💯', '🎁', '📦', '🚚', '🏠', '📍', '📷', '📞', '✉️', '🕐', '📅', '💶',
];
const COLUMNS = 8;

export class EmojiPicker {
  button;
  panel;
  #done;

  /**
   * @param {Locale} locale
   * @param {AbortSignal} signal
   * @param {(emoji: string) => void} choose
   * @param {() => void} done Gives the focus back.
   */
  constructor(locale, signal, choose, done) {
    this.#done = done;
    const label = locale.say('emoji');
    this.button = h('button', { type: 'button', class: 'smile', 'aria-label': label, 'aria-expanded': 'false', 'aria-controls': 'emoji' }, icon('smile'));
    const buttons = EMOJI.map((emoji, at) => h('button', { type: 'button', tabindex: at === 0 ? 0 : -1 }, emoji));
    this.panel = h('div', { class: 'emoji', id: 'emoji', role: 'group', 'aria-label': label, hidden: true }, ...buttons);
    this.button.addEventListener('click', () => this.#toggle(this.panel.hidden !== false), { signal });
    this.panel.addEventListener('keydown', (event) => this.#key(event), { signal });
    this.panel.addEventListener('click', (event) => {
      const chosen = /** @type {Element} */ (event.target).closest('button')?.textContent;
      if (!chosen) return;
      this.#toggle(false);
      choose(chosen);
    }, { signal });
    document.addEventListener('pointerdown', (event) => {
      const path = event.composedPath();
      if (!this.panel.hidden && !path.includes(this.panel) && !path.includes(this.button)) this.#show(false);
    }, { signal });
  }

  /** @param {boolean} on */
  #toggle(on) {
    this.#show(on);
    if (on) /** @type {HTMLElement | null} */ (this.panel.querySelector('[tabindex="0"]'))?.focus();
    else this.#done();
  }

  /** @param {boolean} on */
  #show(on) {
    this.panel.hidden = !on;
    this.button.setAttribute('aria-expanded', String(on));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === 'Escape') {
      event.stopPropagation();
      return this.#toggle(false);
    }
    const buttons = [...this.panel.querySelectorAll('button')];
    const now = buttons.findIndex((button) => button.tabIndex === 0);
    const isRightToLeft = getComputedStyle(this.panel).direction === 'rtl';
    const ahead = isRightToLeft ? -1 : 1;
    const steps = /** @type {Record<string, number>} */ ({
      ArrowRight: ahead, ArrowLeft: -ahead, ArrowDown: COLUMNS, ArrowUp: -COLUMNS, Home: -now, End: buttons.length - 1 - now,
    });
    const step = steps[event.key];
    const next = step === undefined ? undefined : buttons[now + step];
    if (step === undefined) return;
    event.preventDefault();
    if (!next) return;
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  }
}
