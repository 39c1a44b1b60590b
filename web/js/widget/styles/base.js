/**
 * Colours, type and the few elements that all parts of the widget have. A shop sets the `--haggle-…` properties; light and dark follow the
 * reader's own setting, or the attribute `theme`.
 */
import { sheet } from '../dom.js';

export const base = sheet(`
  :host {
    --surface: var(--haggle-surface, light-dark(#fffefc, #1a1a17));
    --sunken: var(--haggle-sunken, light-dark(#f4f1e9, #131311));
    --ink: var(--haggle-ink, light-dark(#1c1a15, #f1ede4));
    --ink-soft: var(--haggle-ink-soft, light-dark(#5f5a4e, #b0ab9c));
    --line: var(--haggle-line, light-dark(#e2ddd1, #33322d));
    --line-strong: var(--haggle-line-strong, light-dark(#8b8575, #777263));
    --accent: var(--haggle-accent, light-dark(#0b6b54, #14745c));
    --accent-ink: var(--haggle-accent-ink, #ffffff);
    --accent-text: var(--haggle-accent-text, light-dark(#0b6b54, #62d3b3));
    --accent-soft: color-mix(in oklab, var(--accent-text) 12%, var(--surface));
    --bubble: var(--haggle-bubble, light-dark(#efece4, #2a2924));
    --bubble-ink: var(--haggle-bubble-ink, var(--ink));
    --good: var(--haggle-good, light-dark(#13804f, #4cc38a));
    --warn: var(--haggle-warn, light-dark(#7a4800, #f0b357));
    --warn-soft: light-dark(#fbefd9, #352811);
    --bad: var(--haggle-bad, light-dark(#b3261e, #ff8f84));
    --bad-ink: light-dark(#ffffff, #2b0805);
    --shadow: light-dark(rgb(56 48 28 / 10%), rgb(0 0 0 / 45%));
    --radius: var(--haggle-radius, 16px);
    color-scheme: light dark;
    display: block;
    box-sizing: border-box;
    color: var(--ink);
    font: 400 1rem/1.45 var(--haggle-font, Inter, "SF Pro Text", -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto,
      "Noto Sans", "Noto Sans Arabic", "Noto Sans SC", "Liberation Sans", Arial, sans-serif);
    /* Some text fonts have a few emoji, in black; where nothing else stands they come in colour. */
    --emoji: "Apple Color Emoji", "Segoe UI Emoji", "Noto Color Emoji", sans-serif;
    font-size: var(--haggle-font-size, 1rem);
    letter-spacing: normal;
    text-align: start;
    text-transform: none;
    white-space: normal;
    -webkit-font-smoothing: antialiased;
  }
  :host([theme="light"]) { color-scheme: light; }
  :host([theme="dark"]) { color-scheme: dark; }
  :host([hidden]) { display: none; }

  *, *::before, *::after { box-sizing: border-box; }
  [hidden] { display: none !important; }
  p, ol, ul { margin: 0; padding: 0; }
  ol, ul { list-style: none; }
  button, textarea, input { margin: 0; color: inherit; font: inherit; letter-spacing: inherit; }
  button { cursor: pointer; touch-action: manipulation; -webkit-tap-highlight-color: transparent; }
  button:disabled { cursor: default; }
  :focus { outline: none; }
  :focus-visible { outline: 2px solid var(--accent-text); outline-offset: 2px; }

  .frame { block-size: 100%; min-block-size: 0; }

  .icon {
    flex: none;
    inline-size: 1.25em;
    block-size: 1.25em;
    fill: none;
    stroke: currentcolor;
    stroke-linecap: round;
    stroke-linejoin: round;
    stroke-width: 1.7;
  }

  /* For screen readers only. */
  .sr {
    position: absolute;
    inline-size: 1px;
    block-size: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }

  .avatar {
    display: grid;
    flex: none;
    inline-size: 2.5em;
    block-size: 2.5em;
    place-items: center;
    border-radius: 50%;
    font-weight: 600;
    user-select: none;
  }
  .avatar[data-hue="0"] { background: light-dark(#f3dccb, #4a2f1e); color: light-dark(#7c3410, #ffc9a6); }
  .avatar[data-hue="1"] { background: light-dark(#dbe0fa, #2b3157); color: light-dark(#33409b, #c3ccff); }
  .avatar[data-hue="2"] { background: light-dark(#d4ecdf, #1b3d2c); color: light-dark(#0f5a37, #9fe3c0); }
  .avatar[data-hue="3"] { background: light-dark(#f5d9e4, #4b2335); color: light-dark(#8b1f51, #ffb9d4); }
  .avatar[data-hue="4"] { background: light-dark(#f2e4b8, #423714); color: light-dark(#614a00, #f2d98a); }
  .avatar[data-hue="5"] { background: light-dark(#d3e8f1, #17384a); color: light-dark(#0d5272, #a5dcf6); }

  /* A name that could pass for another's has its id beside it. */
  .tag {
    margin-inline-start: 0.25em;
    padding: 0 0.4em;
    border: 1px solid var(--line-strong);
    border-radius: 0.4em;
    color: var(--ink-soft);
    font-size: 0.75em;
    font-weight: 500;
  }

  .badge {
    min-inline-size: 1.7em;
    padding-inline: 0.45em;
    border-radius: 99px;
    background: var(--accent);
    color: var(--accent-ink);
    font-size: 0.75rem;
    font-weight: 650;
    font-variant-numeric: tabular-nums;
    line-height: 1.7em;
    text-align: center;
  }

  /* Cut at its own end, on the side where the page's texts begin. */
  [dir="auto"], bdi { text-align: -webkit-match-parent; text-align: match-parent; }

  .quiet {
    display: grid;
    flex: none;
    inline-size: 2.5rem;
    block-size: 2.5rem;
    padding: 0;
    place-items: center;
    border: 0;
    border-radius: 50%;
    background: none;
    color: var(--ink-soft);
  }
  .quiet:hover { background: var(--sunken); color: var(--ink); }
  [dir="rtl"] .turns { transform: scaleX(-1); }

  @media (prefers-reduced-motion: reduce) {
    *, *::before, *::after { animation: none !important; transition: none !important; }
  }
`);
