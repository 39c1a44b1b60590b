/**
 * `/chat/{itemId}`: goes on, live, from the messages that the server wrote into the page. Needs `/js/chat.js` before it.
 *
 * @import { Message, Pending } from './chat/view.js'
 */
import { View } from './chat/view.js';

const { Base } = /** @type {{Base: any}} */ (/** @type {any} */ (globalThis).ChatClient);

/** @param {any} received @returns {Message} */
const ofItem = ({ id, senderId, senderName, content, timestamp }) => ({ id, senderId, senderName, body: content, at: timestamp });

/** The chat of an item's buyer with its seller. */
class ItemChat extends Base {
  #names;
  #page;

  /** @param {HTMLElement} page */
  constructor(page) {
    const { item: itemId = '', buyer: buyerId = '', user = '' } = page.dataset;
    super(user, { container: page });
    this.#page = page;
    this.#names = { itemId, buyerId };
    this.add(View.written(page));
    this.connect('/item');
    this.socket?.on('receive_message', (/** @type {any} */ received) => this.hear(ofItem(received)));
  }

  /** The names of both, whether they have spoken or not. */
  dressed() {
    const { buyer = '', buyerName = '', seller = '', sellerName = '' } = this.#page.dataset;
    this.view?.knows(buyer, buyerName);
    this.view?.knows(seller, sellerName);
  }

  /** Hears the conversation from now on, then looks at what the page missed until then: another device may have been told. */
  async join() {
    await this.ask('join_chat', { ...this.#names, userId: this.userId });
    const answer = await this.fetch(location.pathname + location.search).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    this.add(View.written(page));
  }

  /** @param {Pending} pending */
  async post({ body, clientId }) {
    return ofItem(await this.ask('send_message', { ...this.#names, content: body, clientId }));
  }
}

const page = document.getElementById('chat');
if (page) {
  const chat = new ItemChat(page);
  window.addEventListener('beforeunload', () => chat.leaveChat());
  // A page that the browser kept comes back without its connection.
  window.addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
  page.querySelector('textarea')?.focus();
}
