/**
 * Where a message is written: it grows with its text, says how much room is left, and has emoji.
 *
 * @import { Locale } from './locale.js'
 */
import { BODY_MAX, bodyLength } from '../haggle.js';
import { h, icon, setAttribute, write } from './dom.js';
import { EmojiPicker } from './emoji.js';

/** Characters left at which the count appears. */
const NEAR = 400;

/**
 * @typedef {object} ComposerOptions
 * @property {Locale} locale
 * @property {AbortSignal} signal
 * @property {Map<number | string, string>} drafts What was begun elsewhere.
 * @property {number | string} ref
 * @property {(text: string) => void} send
 * @property {(on: boolean) => void} typing
 */

export class Composer {
  element;
  #text;
  #send;
  #count;
  #options;

  /** @param {ComposerOptions} options */
  constructor(options) {
    this.#options = options;
    const { locale, signal } = options;
    this.#text = h('textarea', { rows: 1, autocomplete: 'off', enterkeyhint: 'send', 'aria-describedby': 'count' });
    this.#send = h('button', { type: 'submit', class: 'send', 'aria-label': locale.say('send'), disabled: true }, icon('send'));
    this.#count = h('p', { class: 'count', id: 'count', role: 'status' });
    const picker = new EmojiPicker(locale, signal, (emoji) => this.#insert(emoji), () => this.#text.focus());
    this.element = h('form', { class: 'composer', novalidate: true },
      h('div', { class: 'field' }, picker.button, this.#text, this.#send), this.#count, picker.panel);
    this.addressee('');
    this.#text.value = options.drafts.get(options.ref) ?? '';
    this.#measure();
    this.#listen(signal);
  }

  focus() {
    this.#text.focus();
  }

  /** @param {string} name Whom it is written to; empty while that is not known. */
  addressee(name) {
    const { locale } = this.#options;
    const label = name ? locale.say('writeTo', { name }) : locale.say('write');
    if (this.#text.placeholder === label) return;
    this.#text.placeholder = label;
    this.#text.setAttribute('aria-label', label);
  }

  /** @param {boolean} isOpen Whether anything can be written here. */
  open(isOpen) {
    this.element.hidden = !isOpen;
  }

  /** @param {AbortSignal} signal */
  #listen(signal) {
    this.element.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    }, { signal });
    this.#text.addEventListener('keydown', (event) => {
      // While an input method composes, Enter chooses a word.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#submit();
    }, { signal });
    this.#text.addEventListener('input', () => this.#changed(), { signal });
    this.#text.addEventListener('blur', () => this.#options.typing(false), { signal });
  }

  #submit() {
    const length = bodyLength(this.#text.value);
    if (length === 0 || length > BODY_MAX) return;
    this.#options.send(this.#text.value.trim());
    this.#text.value = '';
    this.#changed();
    this.#text.focus();
  }

  /** @param {string} emoji */
  #insert(emoji) {
    const { selectionStart, selectionEnd } = this.#text;
    this.#text.setRangeText(emoji, selectionStart, selectionEnd, 'end');
    this.#changed();
  }

  #changed() {
    const { drafts, ref, typing } = this.#options;
    if (this.#text.value === '') drafts.delete(ref);
    else drafts.set(ref, this.#text.value);
    typing(this.#text.value.trim() !== '');
    this.#measure();
  }

  /** Shows how much room is left, and makes the field as high as its text. */
  #measure() {
    const length = bodyLength(this.#text.value);
    const left = BODY_MAX - length;
    const { locale } = this.#options;
    // An empty one stands as its placeholder does, in the page's direction.
    setAttribute(this.#text, 'dir', this.#text.value === '' ? null : 'auto');
    this.#send.disabled = length === 0 || left < 0;
    this.#text.setAttribute('aria-invalid', String(left < 0));
    this.#count.dataset.level = left < 0 ? 'over' : 'near';
    write(this.#count, left < 0 ? locale.count('over', -left) : left < NEAR ? locale.count('left', left) : '');
    if (CSS.supports('field-sizing', 'content')) return;
    this.#text.style.height = 'auto';
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }
}
