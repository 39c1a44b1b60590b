/**
 * On a page that was refused for want of a token: the address may bring one as `#token=`, which no server sees, or in development a
 * `userId` to ask one for. With it the page is asked for again.
 */
(() => {
  'use strict';
  if (document.querySelector('main')?.dataset.code !== 'unauthorized') return;

  async function token() {
    const given = new URLSearchParams(location.hash.slice(1)).get('token');
    const userId = new URLSearchParams(location.search).get('userId');
    if (given || !userId) return given;
    const answer = await fetch(`/dev/token?${new URLSearchParams({ userId })}`);
    if (!answer.ok) return null;
    const fresh = (await answer.json()).token;
    // The page's own script finds it there.
    history.replaceState(null, '', `#token=${fresh}`);
    return fresh;
  }

  async function enter() {
    const found = await token();
    if (!found) return;
    const answer = await fetch(location.pathname + location.search, { headers: { authorization: `Bearer ${found}` } });
    const page = await answer.text();
    if (answer.status === 401) return;
    document.open();
    document.write(page);
    document.close();
  }

  void enter();
})();
