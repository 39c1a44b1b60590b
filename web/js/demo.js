/** Development's page: a customer and an agent, each with a client of its own, in one demo order. */
import { HaggleClient } from './haggle.js';
import { Pane } from './pane.js';

/** @import { Person } from './pane.js' */

/** The server provisions it, with both people in it, when this page is asked for. */
const CONVERSATION = 'order:demo';
/** Short, because whoever restarts the server is looking at the page. */
const RETRY_MAX_MS = 3_000;
/** Milliseconds for which a button says that it has copied. */
const COPIED_MS = 1_500;

/** @type {Person} */
const customer = { id: 'demo-customer', name: 'Alice', role: 'customer' };
/** @type {Person} */
const agent = { id: 'demo-agent', name: 'Bob', role: 'agent' };

open(customer, agent);
open(agent, customer);
document.querySelector('textarea')?.focus({ preventScroll: true });
dressExamples();

/**
 * @param {Person} me
 * @param {Person} peer
 */
function open(me, peer) {
  const client = new HaggleClient({ token: () => developmentToken(me), retryMaxMs: RETRY_MAX_MS });
  const conversation = client.conversation(CONVERSATION);
  const pane = new Pane(template('pane'), template('message'), client, conversation, { me, peer });
  document.getElementById('panes')?.append(pane.element);
  client.connect();
}

/** @param {Person} person */
async function developmentToken({ id, name, role }) {
  const answer = await fetch(`/dev/token?${new URLSearchParams({ userId: id, name, role })}`);
  if (!answer.ok) throw new Error(`No development token: ${answer.status}.`);
  return (await answer.json()).token;
}

/** @param {string} id */
function template(id) {
  const found = document.getElementById(id);
  if (!(found instanceof HTMLTemplateElement)) throw new Error(`The page has no template ${id}.`);
  return found;
}

/** The examples name the address that this page came from, and can be copied where the browser allows it. */
function dressExamples() {
  for (const block of document.querySelectorAll('.code')) {
    const code = block.querySelector('code');
    const button = block.querySelector('button');
    if (!code || !button) continue;
    code.textContent = code.textContent?.replaceAll('http://127.0.0.1:3000', location.origin) ?? '';
    button.hidden = !navigator.clipboard;
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(code.textContent ?? '');
      button.textContent = 'Copied';
      setTimeout(() => (button.textContent = 'Copy'), COPIED_MS);
    });
  }
}
