/**
 * What the page shows, kept in the address's fragment: `#one=alice.item&two=bob.inbox&theme=dark&lang=ar&dir=rtl`. A link shows the same,
 * and a reload changes nothing.
 *
 * @import { PageName, PersonName } from './people.js'
 */
import { isPage, isPerson, PEOPLE } from './people.js';

/**
 * @typedef {object} View Who is where.
 * @property {PersonName} person
 * @property {PageName} page
 *
 * @typedef {object} Look
 * @property {string} lang
 * @property {'' | 'light' | 'dark'} theme Empty: as the system.
 * @property {'ltr' | 'rtl'} dir
 *
 * @typedef {object} State
 * @property {View} one
 * @property {View | null} two Null where only one person is here.
 * @property {Look} look
 */

const LANGUAGES = ['en', 'es', 'de', 'ar', 'zh'];
const RIGHT_TO_LEFT = ['ar'];

/** @param {string} language @returns {'ltr' | 'rtl'} */
export const directionOf = (language) => (RIGHT_TO_LEFT.includes(language) ? 'rtl' : 'ltr');

/**
 * @param {string} fragment
 * @returns {State}
 */
export function read(fragment) {
  const said = new URLSearchParams(fragment.replace(/^#/, ''));
  const one = view(said.get('one'));
  const lang = LANGUAGES.find((known) => known === said.get('lang')) ?? 'en';
  const theme = said.get('theme');
  const dir = said.get('dir');
  return {
    one: one ?? { person: 'alice', page: 'item' },
    two: view(said.get('two')) ?? (one ? null : { person: 'bob', page: 'inbox' }),
    look: {
      lang,
      theme: theme === 'light' || theme === 'dark' ? theme : '',
      dir: dir === 'ltr' || dir === 'rtl' ? dir : directionOf(lang),
    },
  };
}

/** @param {State} state */
export function write({ one, two, look }) {
  const said = [`one=${one.person}.${one.page}`];
  if (two) said.push(`two=${two.person}.${two.page}`);
  if (look.theme) said.push(`theme=${look.theme}`);
  if (look.lang !== 'en') said.push(`lang=${look.lang}`);
  if (look.dir !== directionOf(look.lang)) said.push(`dir=${look.dir}`);
  return `#${said.join('&')}`;
}

/**
 * @param {string | null} text
 * @returns {View | null}
 */
function view(text) {
  const [person = '', page = ''] = (text ?? '').split('.');
  if (!isPerson(person)) return null;
  return { person, page: isPage(page) ? page : PEOPLE[person].page };
}
