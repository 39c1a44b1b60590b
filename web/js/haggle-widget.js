/**
 * The one script that a shop's page needs:
 *
 *     <script type="module" src="https://chat.shop.example/js/haggle-widget.js"></script>
 *     <haggle-button conversation="order:42" token-url="/chat-token"></haggle-button>
 *
 * It defines `<haggle-chat>`, `<haggle-inbox>` and `<haggle-button>`. All attributes, events and properties are in docs/widget.md.
 *
 * @module
 */
import { signOut } from './widget/context.js';
import { HaggleButton } from './widget/button.js';
import { HaggleChat } from './widget/chat.js';
import { HaggleInbox } from './widget/inbox.js';

export * from './haggle.js';
export { HaggleButton, HaggleChat, HaggleInbox, signOut };

const ELEMENTS = { 'haggle-chat': HaggleChat, 'haggle-inbox': HaggleInbox, 'haggle-button': HaggleButton };

for (const [name, element] of Object.entries(ELEMENTS)) {
  if (!customElements.get(name)) customElements.define(name, element);
}
