/**
 * Development's page: a sample shop with the widget in it, and one or two people in the shop.
 *
 * @import { State } from './demo/state.js'
 */
import { copies } from './demo/copy.js';
import { one } from './demo/dom.js';
import { directionOf, read, write } from './demo/state.js';
import { ShopWindow } from './demo/window.js';

/** Where the page is as wide, two people stand side by side; below, one is here at a time. */
const WIDE = matchMedia('(min-width: 960px)');

const settings = /** @type {HTMLFormElement} */ (one(document, '#settings'));
const windows = one(document, '#windows');
const second = one(document, '#second');
const state = read(location.hash);
/** @type {ShopWindow} */
let first;
/** @type {ShopWindow | null} */
let other = null;

begin();

function begin() {
  dress();
  first = new ShopWindow('one', state.one, state.look, (view) => keep({ one: view }));
  windows.append(first.element);
  arrange();
  WIDE.addEventListener('change', arrange);
  one(document, '.skip').addEventListener('click', (event) => {
    // The fragment is taken.
    event.preventDefault();
    windows.focus();
  });
  window.addEventListener('hashchange', () => location.reload());
  second.addEventListener('click', () => {
    keep({ two: { person: state.one.person === 'bob' ? 'alice' : 'bob', page: 'inbox' } });
    arrange();
    one(windows, '[data-window="two"] input:checked').focus();
  });
  settings.addEventListener('change', (event) => redress(/** @type {HTMLInputElement} */ (event.target).name));
  for (const figure of document.querySelectorAll('.next .code')) {
    const code = one(figure, 'code');
    code.textContent = code.textContent?.replaceAll('http://127.0.0.1:3000', location.origin) ?? '';
    copies(figure);
  }
}

/** The second person is here where there is room for them. */
function arrange() {
  const { two } = state;
  const isHere = two !== null && WIDE.matches;
  if (isHere && !other) {
    other = new ShopWindow('two', two, state.look, (view) => keep({ two: view }));
    other.closable(() => {
      keep({ two: null });
      arrange();
      second.focus();
    });
    windows.append(other.element);
  } else if (!isHere && other) {
    other.element.remove();
    other = null;
  }
  first.isShared = isHere;
  if (other) other.isShared = true;
  second.hidden = isHere || !WIDE.matches;
}

/** @param {Partial<State>} change */
function keep(change) {
  Object.assign(state, change);
  history.replaceState(null, '', write(state));
}

/** @param {string} changed The setting's name. */
function redress(changed) {
  const said = new FormData(settings);
  const lang = String(said.get('lang'));
  const theme = /** @type {State['look']['theme']} */ (said.get('theme'));
  const dir = changed === 'lang' ? directionOf(lang) : said.has('rtl') ? 'rtl' : 'ltr';
  keep({ look: { lang, theme, dir } });
  dress();
  first.dress(state.look);
  other?.dress(state.look);
}

/** The page itself stays English. */
function dress() {
  const { lang, theme, dir } = state.look;
  document.documentElement.dir = dir;
  document.documentElement.dataset.theme = theme;
  for (const [name, value] of Object.entries({ lang, theme })) {
    /** @type {HTMLSelectElement} */ (settings.elements.namedItem(name)).value = value;
  }
  /** @type {HTMLInputElement} */ (settings.elements.namedItem('rtl')).checked = dir === 'rtl';
}
