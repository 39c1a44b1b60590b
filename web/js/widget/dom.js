/** Making elements. What a person wrote goes in as text, never as markup. */

const SVG = 'http://www.w3.org/2000/svg';

/** The drawings, as paths on a square of 20, in the stroke of the text's colour. */
const ICONS = {
  alert: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM10 6.5v4M10 13.4v.1',
  back: 'M12.5 4.5 7 10l5.5 5.5',
  chat: 'M4 3.5h12A2.5 2.5 0 0 1 18.5 6v6a2.5 2.5 0 0 1-2.5 2.5h-5.5l-4.5 3.5v-3.5H4A2.5 2.5 0 0 1 1.5 12V6A2.5 2.5 0 0 1 4 3.5Z',
  clock: 'M10 3.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM10 6.5V10l2.3 1.8',
  close: 'm5 5 10 10M15 5 5 15',
  down: 'M10 4v12m5.5-5.5L10 16l-5.5-5.5',
  search: 'M8.5 3a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Zm4 9.5L17 17',
  send: 'M10 16V4M4.5 9.5 10 4l5.5 5.5',
  smile: 'M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15ZM7.3 7.8v.4m5.4-.4v.4M6.5 11.8a4 4 0 0 0 7 0',
  tick: 'm5 10.5 3.5 3.5L16 6',
  ticks: 'm1.5 10.5 3.5 3.5 7-8M10.3 13.3l.9.7 7.3-8',
};

/** @typedef {keyof typeof ICONS} IconName */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes] True is an empty one; false and null are none.
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {string | number | boolean | null | undefined} value
 */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) return element.removeAttribute(name);
  const text = value === true ? '' : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/**
 * Writes only what differs, so that screen readers are not told twice.
 *
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {IconName} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * A style sheet for shadow roots: it needs no inline style, so a strict Content-Security-Policy lets it be.
 *
 * @param {string} css
 */
export function sheet(css) {
  const made = new CSSStyleSheet();
  made.replaceSync(css);
  return made;
}
