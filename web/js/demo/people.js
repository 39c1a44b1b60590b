/**
 * The sample shop's people and orders. The server sets them up when the page is asked for: `src/transport/pages/demo.rs`.
 */

/**
 * @typedef {'alice' | 'david' | 'bob' | 'carol'} PersonName
 * @typedef {'item' | 'order' | 'inbox'} PageName
 *
 * @typedef {object} Person
 * @property {string} id The shop's id of them.
 * @property {string} name
 * @property {string} role
 * @property {PageName} page Where they are to begin with.
 * @property {Order} order The order that they have to do with.
 *
 * @typedef {object} Order
 * @property {string} key Its conversation's.
 * @property {string} title
 * @property {string} total
 * @property {string} lines
 * @property {string} state
 * @property {boolean} isDone
 */

/** @type {Order} */
const chairs = {
  key: 'order:demo', title: 'Order 1042', total: '€ 260', lines: 'Two dining chairs, beech. Delivered to the third floor.', state: 'On its way', isDone: false,
};
/** @type {Order} */
const lamp = { key: 'order:demo-2', title: 'Order 1043', total: '€ 85', lines: 'Brass reading lamp. Sold by the shop itself.', state: 'Delivered', isDone: true };

/** @type {Record<PersonName, Person>} */
export const PEOPLE = {
  alice: { id: 'demo-alice', name: 'Alice', role: 'customer', page: 'item', order: chairs },
  david: { id: 'demo-david', name: 'David', role: 'customer', page: 'order', order: lamp },
  bob: { id: 'demo-bob', name: 'Bob', role: 'seller', page: 'inbox', order: chairs },
  carol: { id: 'demo-carol', name: 'Carol', role: 'manager', page: 'inbox', order: lamp },
};

/** @type {Record<PageName, string>} */
export const PAGES = { item: 'Item', order: 'Order', inbox: 'Inbox' };

/** The item that Bob sells. */
export const ITEM = { subject: 'item:demo', seller: PEOPLE.bob };

/** @param {string} text @returns {text is PersonName} */
export const isPerson = (text) => Object.hasOwn(PEOPLE, text);
/** @param {string} text @returns {text is PageName} */
export const isPage = (text) => Object.hasOwn(PAGES, text);
