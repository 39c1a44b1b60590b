/**
 * The few elements that put Haggle into a page: as elements, and as the lines that a shop would write.
 *
 * @import { Look, View } from './state.js'
 */
import { ITEM, PEOPLE } from './people.js';
import { directionOf } from './state.js';

/**
 * @typedef {object} Embedded
 * @property {string} tag
 * @property {Record<string, string>} attributes
 */

/**
 * @param {View} view
 * @param {Look} look
 * @param {string} id What elements are called that refer to each other.
 * @returns {Embedded[]}
 */
export function embedded({ person: name, page }, look, id) {
  const person = PEOPLE[name];
  const common = { 'token-url': `/dev/token?userId=${person.id}`, ...looks(look) };
  if (page === 'order') return [{ tag: 'haggle-chat', attributes: { conversation: person.order.key, ...common } }];
  if (page === 'inbox') {
    return [
      { tag: 'haggle-inbox', attributes: { for: id, ...common } },
      { tag: 'haggle-chat', attributes: { id, ...common } },
    ];
  }
  /** @type {Record<string, string>} */
  const asks = person.role === 'customer' ? { with: ITEM.seller.id, subject: ITEM.subject } : {};
  return [{ tag: 'haggle-button', attributes: { ...asks, ...common } }];
}

/** @param {Embedded} embedded */
export function elementOf({ tag, attributes }) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/**
 * The lines that a page elsewhere needs, addresses and all.
 *
 * @param {Embedded[]} all
 * @param {string} origin
 * @returns {Node[]}
 */
export function linesOf(all, origin) {
  const script = { tag: 'script', attributes: { type: 'module', src: `${origin}/js/haggle-widget.js` } };
  const absolute = all.map(({ tag, attributes }) =>
    ({ tag, attributes: { ...attributes, 'token-url': origin + attributes['token-url'] } }));
  const nodes = [...markup(script, ' '), document.createTextNode('\n')];
  for (const one of absolute) nodes.push(document.createTextNode('\n'), ...markup(one, '\n  '));
  return nodes;
}

/**
 * @param {Embedded} embedded
 * @param {string} between What stands before each attribute.
 * @returns {Node[]}
 */
function markup({ tag, attributes }, between) {
  /** @type {Node[]} */
  const nodes = [part('tag', `<${tag}`)];
  for (const [name, value] of Object.entries(attributes)) {
    nodes.push(document.createTextNode(between), part('attribute', name), part('', '='), part('value', `"${value}"`));
  }
  nodes.push(part('tag', '>'), document.createTextNode(between.replace(/ +$/, '')), part('tag', `</${tag}>`));
  return nodes;
}

/**
 * @param {string} kind
 * @param {string} text
 */
function part(kind, text) {
  const span = document.createElement('span');
  span.className = kind;
  span.textContent = text;
  return span;
}

/** @param {Look} look @returns {Record<string, string>} */
function looks({ lang, theme, dir }) {
  return {
    ...(lang !== 'en' && { lang }),
    ...(theme && { theme }),
    ...(dir !== directionOf(lang) && { dir }),
  };
}
