/** `/chat.html?orderId=&userId=`: the standalone page of an order's chat. */
(() => {
  'use strict';
  const { ChatClient } = /** @type {any} */ (globalThis);
  const asked = new URLSearchParams(location.search);
  const orderId = asked.get('orderId');
  const userId = asked.get('userId');
  const page = document.getElementById('chat');
  if (!orderId || !userId) {
    const notice = page?.querySelector('[data-chat="notice"]');
    if (notice) {
      notice.textContent = 'The address must say which order and who: /chat.html?orderId=…&userId=…';
      notice.removeAttribute('hidden');
    }
    page?.querySelector('[data-chat="empty"]')?.remove();
    page?.querySelector('[data-chat="form"]')?.remove();
    page?.querySelector('.state')?.remove();
    return;
  }
  document.title = `Order ${orderId}`;
  const title = document.getElementById('chat-title');
  if (title) title.textContent = document.title;
  const chat = new ChatClient(orderId, userId, { container: page });
  window.addEventListener('beforeunload', () => chat.leaveChat());
  page?.querySelector('textarea')?.focus();
})();
