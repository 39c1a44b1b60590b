/** The style of `<haggle-chat>`. */
import { sheet } from '../dom.js';

export const chat = sheet(`
  :host {
    block-size: 32rem;
    max-block-size: 100dvh;
    min-block-size: 16rem;
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
    container-type: inline-size;
  }

  .chat { display: flex; flex-direction: column; block-size: 100%; }

  .head {
    display: flex;
    flex: none;
    align-items: center;
    gap: 0.75rem;
    min-block-size: 4rem;
    padding: 0.625rem 1rem;
    border-block-end: 1px solid var(--line);
  }
  .who { flex: 1 1 auto; min-inline-size: 0; }
  .title { overflow: hidden; font-weight: 620; letter-spacing: -0.01em; line-height: 1.3; text-overflow: ellipsis; white-space: nowrap; }
  .under { display: flex; align-items: center; gap: 0.4rem; min-block-size: 1.35em; color: var(--ink-soft); font-size: 0.8125rem; line-height: 1.35; white-space: nowrap; }
  .presence { display: flex; flex: none; align-items: center; gap: 0.4rem; }
  .presence[data-online]::before { inline-size: 0.5rem; block-size: 0.5rem; border-radius: 50%; background: var(--good); content: ""; }
  .about { overflow: hidden; text-overflow: ellipsis; }
  .presence:not(:last-child)::after { content: "·"; }

  .view { position: relative; flex: 1; min-block-size: 0; }
  .scroll {
    display: flex;
    flex-direction: column;
    block-size: 100%;
    padding: 0.5rem 1rem 0.25rem;
    overflow: hidden auto;
    overflow-anchor: none;
    overscroll-behavior: contain;
    scrollbar-color: var(--line-strong) transparent;
    scrollbar-width: thin;
  }
  .scroll:focus-visible { outline-offset: -3px; }
  .messages { display: flex; flex-direction: column; margin-block-start: auto; }
  .empty { margin: auto; color: var(--ink-soft); font-size: 0.9375rem; text-align: center; }

  .day, .divider { align-self: center; margin-block: 0.875rem 0.25rem; font-size: 0.75rem; font-weight: 550; }
  .day span { padding: 0.15rem 0.75rem; border-radius: 99px; background: var(--sunken); color: var(--ink-soft); }
  .divider { display: flex; align-self: stretch; align-items: center; gap: 0.75rem; color: var(--accent-text); }
  .divider::before, .divider::after { flex: 1; block-size: 1px; background: currentcolor; content: ""; opacity: 0.45; }

  .message { display: flex; flex-direction: column; align-items: flex-start; max-inline-size: min(84%, 34rem); margin-block-start: 0.75rem; }
  .message.follows { margin-block-start: 0.1875rem; }
  .message.mine { align-items: flex-end; align-self: flex-end; }
  .name { margin: 0 0 0.15rem 0.25rem; color: var(--ink-soft); font-size: 0.75rem; font-weight: 600; }
  .bubble {
    display: flow-root;
    position: relative;
    max-inline-size: 100%;
    padding: 0.4375rem 0.75rem 0.5rem;
    border-radius: 1.05rem;
    border-end-start-radius: 0.3rem;
    background: var(--bubble);
    color: var(--bubble-ink);
    font-size: 0.9375rem;
    line-height: 1.42;
  }
  .mine .bubble { border-end-start-radius: 1.05rem; border-end-end-radius: 0.3rem; background: var(--accent); color: var(--accent-ink); }
  .body { overflow-wrap: anywhere; unicode-bidi: isolate; white-space: pre-wrap; }
  .body a { color: inherit; text-decoration-thickness: 1px; text-underline-offset: 0.18em; }
  .body a:focus-visible { outline-color: currentcolor; }
  .jumbo .body { font-family: var(--emoji); font-size: 2rem; line-height: 1.25; }
  .jumbo .bubble { padding: 0.2rem 0.25rem; background: none; color: var(--ink-soft); }
  .meta {
    display: inline-flex;
    align-items: center;
    gap: 0.15rem;
    float: inline-end;
    margin: 0.36rem 0 -0.3rem 0.75rem;
    margin-inline: 0.75rem 0;
    color: var(--ink-soft);
    font-size: 0.6875rem;
    font-variant-numeric: tabular-nums;
    line-height: 1.4;
    white-space: nowrap;
  }
  .mine .meta { color: inherit; opacity: 0.94; }
  .mine.jumbo .meta { color: var(--ink-soft); opacity: 1; }
  .mark { display: inline-flex; border-radius: 99px; }
  .mark .icon { inline-size: 1.125rem; block-size: 1rem; stroke-width: 1.6; }
  /* Not by colour alone: what was read stands on a ground of its own. */
  .mark[data-mark="read"] { padding-inline: 0.15rem; margin-inline-start: 0.1rem; background: #b6f5dd; color: #06382b; }
  .waiting .bubble { opacity: 0.92; }
  .waiting .meta { opacity: 1; }
  .message.failed { max-inline-size: 100%; }
  .failed .bubble { max-inline-size: min(84%, 34rem); outline: 2px solid var(--bad); outline-offset: 1px; }
  .failure { margin-block-start: 0.25rem; color: var(--bad); font-size: 0.8125rem; text-align: end; }
  .failure button, .notice button {
    min-block-size: 1.5rem;
    padding: 0.1rem 0.3rem;
    border: 0;
    border-radius: 0.4rem;
    background: none;
    font-weight: 620;
    text-decoration: underline;
    text-underline-offset: 0.18em;
  }
  .fresh { animation: arrive 180ms ease-out; }
  /* No movement: what is measured to keep the rest in place must be where it stays. */
  @keyframes arrive { from { opacity: 0; } }

  .jump {
    display: flex;
    position: absolute;
    inset-block-end: 0.625rem;
    inset-inline-end: 1rem;
    align-items: center;
    gap: 0.35rem;
    block-size: 2.5rem;
    min-inline-size: 2.5rem;
    padding: 0 0.65rem;
    border: 1px solid var(--line);
    border-radius: 99px;
    background: var(--surface);
    box-shadow: 0 2px 12px var(--shadow);
    font-size: 0.8125rem;
    font-weight: 620;
  }
  .jump-count:empty { display: none; }
  .jump-count { padding-inline: 0.4rem; border-radius: 99px; background: var(--accent); color: var(--accent-ink); }

  .typing { display: flex; flex: none; align-items: center; gap: 0.5rem; min-block-size: 1.6rem; padding-inline: 1.125rem; color: var(--ink-soft); font-size: 0.8125rem; }
  .dots { display: inline-flex; gap: 3px; }
  .dots i { inline-size: 5px; block-size: 5px; border-radius: 50%; background: var(--accent-text); animation: bounce 1.1s ease-in-out infinite; }
  .dots i:nth-child(2) { animation-delay: 150ms; }
  .dots i:nth-child(3) { animation-delay: 300ms; }
  @keyframes bounce { 30% { transform: translateY(-3px); } 60% { transform: none; } }

  .notice { display: flex; flex: none; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.25rem 1rem; background: var(--warn-soft); color: var(--warn); font-size: 0.8125rem; }
  .notice:not(:empty) { padding: 0.5rem 1rem; }

  .composer { position: relative; flex: none; padding: 0.375rem 0.75rem 0.75rem; }
  .field {
    display: flex;
    align-items: flex-end;
    gap: 0.25rem;
    padding: 0.25rem;
    border: 1px solid var(--line-strong);
    border-radius: 1.5rem;
    background: var(--surface);
  }
  .field:focus-within { border-color: var(--accent-text); box-shadow: 0 0 0 1px var(--accent-text); }
  textarea {
    flex: 1;
    min-inline-size: 0;
    max-block-size: min(10rem, 30dvh);
    padding: 0.5rem 0.25rem;
    resize: none;
    border: 0;
    background: none;
    font-size: 1rem;
    line-height: 1.4;
    field-sizing: content;
    scrollbar-width: thin;
  }
  textarea:focus-visible { outline: none; }
  textarea::placeholder { overflow: hidden; color: var(--ink-soft); opacity: 1; text-overflow: ellipsis; white-space: nowrap; }
  .smile, .send { display: grid; flex: none; inline-size: 2.4rem; block-size: 2.4rem; padding: 0; place-items: center; border: 0; border-radius: 50%; background: none; }
  .smile { color: var(--ink-soft); }
  .smile:hover { background: var(--sunken); color: var(--ink); }
  .send { background: var(--accent); color: var(--accent-ink); }
  .send .icon { stroke-width: 2.1; }
  .send:hover:not(:disabled) { background: color-mix(in oklab, var(--accent) 88%, black); }
  .send:disabled { background: var(--sunken); color: var(--ink-soft); }
  .count { padding: 0.35rem 0.75rem 0; color: var(--ink-soft); font-size: 0.75rem; font-variant-numeric: tabular-nums; text-align: end; }
  .count:empty { display: none; }
  .count[data-level="over"] { color: var(--bad); font-weight: 600; }

  .emoji {
    display: grid;
    position: absolute;
    inset-block-end: calc(100% - 0.25rem);
    inset-inline-start: 0.75rem;
    z-index: 1;
    grid-template-columns: repeat(8, 2.25rem);
    max-inline-size: calc(100% - 1.5rem);
    padding: 0.5rem;
    overflow: auto;
    border: 1px solid var(--line);
    border-radius: 1rem;
    background: var(--surface);
    box-shadow: 0 8px 28px var(--shadow);
  }
  .emoji button { block-size: 2.25rem; padding: 0; border: 0; border-radius: 0.5rem; background: none; font-family: var(--emoji); font-size: 1.3rem; line-height: 1; }
  .emoji button:hover { background: var(--sunken); }
  .emoji button:focus-visible { outline-offset: -2px; }

  @container (max-width: 420px) {
    .message { max-inline-size: 90%; }
    .emoji { grid-template-columns: repeat(8, 1fr); inset-inline: 0.75rem; }
  }

  @media (forced-colors: active) {
    .bubble, .send, .badge, .jump-count { border: 1px solid; }
  }
`);
