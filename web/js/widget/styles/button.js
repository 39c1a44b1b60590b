/** The style of `<haggle-button>`. */
import { sheet } from '../dom.js';

export const button = sheet(`
  :host { display: contents; }

  .dock {
    position: fixed;
    inset-block-end: calc(var(--haggle-offset, 1.25rem) + env(safe-area-inset-bottom));
    inset-inline-end: var(--haggle-offset, 1.25rem);
    z-index: var(--haggle-z-index, 1000);
    color: var(--ink);
  }

  .fab {
    display: grid;
    position: relative;
    inline-size: 3.75rem;
    block-size: 3.75rem;
    padding: 0;
    place-items: center;
    border: 0;
    border-radius: 50%;
    background: var(--accent);
    box-shadow: 0 4px 18px var(--shadow), 0 1px 3px var(--shadow);
    color: var(--accent-ink);
    transition: transform 120ms;
  }
  .fab:hover { transform: translateY(-1px); }
  .fab .icon { inline-size: 1.75rem; block-size: 1.75rem; }
  .fab .icon + .icon, .fab.opened .icon { display: none; }
  .fab.opened .icon + .icon { display: block; }
  .fab:focus-visible { outline-offset: 3px; }
  .fab .badge {
    position: absolute;
    inset-block-start: -0.25rem;
    inset-inline-end: -0.25rem;
    border: 2px solid var(--surface);
    background: var(--bad);
    color: var(--bad-ink);
    font-size: 0.8125rem;
  }

  .panel {
    position: absolute;
    inset-block-end: calc(100% + 0.875rem);
    inset-inline-end: 0;
    inline-size: min(24.5rem, 100vw - 2 * var(--haggle-offset, 1.25rem));
    block-size: min(38rem, 100dvh - 7.5rem);
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
    box-shadow: 0 12px 48px var(--shadow), 0 2px 8px var(--shadow);
    animation: rise 160ms ease-out;
  }
  @keyframes rise { from { opacity: 0; transform: translateY(10px); } }
  .panel > haggle-chat, .panel > haggle-inbox { block-size: 100%; max-block-size: none; min-block-size: 0; border: 0; border-radius: 0; }
  .back { margin-inline-start: -0.5rem; }
  .blank { display: flex; align-items: center; gap: 0.75rem; padding: 1rem; color: var(--ink-soft); }
  .blank p { flex: 1; }
  .again { padding: 0.375rem 0.75rem; border: 1px solid var(--line-strong); border-radius: 99px; background: none; color: var(--accent-text); font-weight: 600; }

  /* On a phone the panel is the page. */
  @media (max-width: 480px) {
    .panel { position: fixed; inset: 0; inline-size: auto; block-size: 100dvh; border: 0; border-radius: 0; padding-block-end: env(safe-area-inset-bottom); }
    .fab.opened { display: none; }
  }
`);
