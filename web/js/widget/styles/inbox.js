/** The style of `<haggle-inbox>`. */
import { sheet } from '../dom.js';

export const inbox = sheet(`
  :host {
    block-size: 32rem;
    max-block-size: 100dvh;
    min-block-size: 16rem;
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
  }

  .inbox { display: flex; flex-direction: column; block-size: 100%; }
  .head { display: flex; flex: none; align-items: center; justify-content: space-between; gap: 0.75rem; min-block-size: 4rem; padding: 0.625rem 1rem; }
  .heading { font-size: 1.125rem; font-weight: 650; letter-spacing: -0.015em; }

  .search { display: flex; position: relative; flex: none; align-items: center; margin: 0 0.75rem 0.625rem; }
  .search .icon { position: absolute; inset-inline-start: 0.75rem; color: var(--ink-soft); pointer-events: none; }
  input {
    inline-size: 100%;
    block-size: 2.75rem;
    padding: 0 0.75rem 0 2.5rem;
    padding-inline: 2.5rem 0.75rem;
    border: 1px solid var(--line-strong);
    border-radius: 99px;
    background: var(--surface);
    font-size: 1rem;
  }
  input::placeholder { color: var(--ink-soft); opacity: 1; }
  input:focus-visible { border-color: var(--accent-text); outline: 1px solid var(--accent-text); outline-offset: 0; }

  .scroll { flex: 1; min-block-size: 0; padding: 0 0.5rem 0.5rem; overflow: hidden auto; overscroll-behavior: contain; scrollbar-color: var(--line-strong) transparent; scrollbar-width: thin; }
  .state { padding: 2rem 1rem; color: var(--ink-soft); text-align: center; }

  .row {
    display: flex;
    align-items: center;
    gap: 0.75rem;
    inline-size: 100%;
    min-block-size: 4.25rem;
    padding: 0.625rem 0.625rem;
    border: 0;
    border-radius: 0.75rem;
    background: none;
    text-align: start;
  }
  .row:hover { background: var(--sunken); }
  .row[aria-current] { background: var(--accent-soft); }
  .row:focus-visible { outline-offset: -2px; }
  li + li .row { margin-block-start: 1px; }

  .face { position: relative; flex: none; }
  .face .avatar { inline-size: 2.75em; block-size: 2.75em; }
  .face[data-online]::after {
    position: absolute;
    inset-block-end: 0;
    inset-inline-end: 0;
    inline-size: 0.75rem;
    block-size: 0.75rem;
    border: 2px solid var(--surface);
    border-radius: 50%;
    background: var(--good);
    content: "";
  }

  .text { flex: 1; min-inline-size: 0; }
  .line { display: flex; align-items: center; gap: 0.75rem; }
  .name { flex: 1; min-inline-size: 0; overflow: hidden; font-weight: 600; letter-spacing: -0.01em; text-overflow: ellipsis; white-space: nowrap; }
  time { flex: none; color: var(--ink-soft); font-size: 0.75rem; font-variant-numeric: tabular-nums; }
  .about { display: block; overflow: hidden; color: var(--accent-text); font-size: 0.8125rem; font-weight: 500; text-overflow: ellipsis; white-space: nowrap; }
  .preview { display: flex; flex: 1; min-inline-size: 0; gap: 0.25em; color: var(--ink-soft); font-size: 0.875rem; white-space: nowrap; }
  .preview bdi { flex: 1; min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; }
  .new .preview { color: var(--ink); font-weight: 550; }
  .new .name { font-weight: 700; }
  .badge { flex: none; }

  .older { display: block; min-block-size: 2.5rem; margin: 0.5rem auto; padding: 0 1rem; border: 1px solid var(--line-strong); border-radius: 99px; background: none; color: var(--accent-text); font-size: 0.875rem; font-weight: 600; }
  .older:hover { background: var(--sunken); }
`);
