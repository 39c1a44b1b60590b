/**
 * On a page that was refused for want of a token: the address may bring one as `#token=`, which no server sees, or in development a
 * `userId` to ask one for. With it the page is asked for again.
 */
(() => {
  'use strict';
  if (document.querySelector('main')?.dataset.code !== 'unauthorized') return;

  /** Where this tab keeps a token for this page; its own script looks there too. */
  const kept = `haggle.token ${location.pathname}${location.search}`;

  async function token() {
    const given = new URLSearchParams(location.hash.slice(1)).get('token');
    const userId = new URLSearchParams(location.search).get('userId');
    // Out of the address at once, where it could be seen, copied or kept in a history.
    if (given) history.replaceState(history.state, '', `${location.pathname}${location.search}`);
    if (given || !userId) return given ?? sessionStorage.getItem(kept);
    const answer = await fetch(`/dev/token?${new URLSearchParams({ userId })}`);
    return answer.ok ? (await answer.json()).token : null;
  }

  async function enter() {
    const found = await token();
    if (!found) return;
    const answer = await fetch(location.pathname + location.search, { headers: { authorization: `Bearer ${found}` } });
    const page = await answer.text();
    if (answer.status === 401) return;
    sessionStorage.setItem(kept, found);
    document.open();
    document.write(page);
    document.close();
  }

  void enter();
})();
