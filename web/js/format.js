/** Times and counts in words. The page is English; hours follow the reader's own habit. */

const TIME = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long' });
const DAY_OF_YEAR = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric' });
const COUNT = new Intl.NumberFormat('en');

/** The largest count that a badge shows as it is. */
const BADGE_MAX = 99;

/** @param {string} iso */
export function time(iso) {
  return TIME.format(new Date(iso));
}

/**
 * The day in the reader's own time zone.
 *
 * @param {string} iso
 * @param {Date} [now]
 */
export function day(iso, now = new Date()) {
  const date = new Date(iso);
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (date.toDateString() === now.toDateString()) return 'Today';
  if (date.toDateString() === yesterday.toDateString()) return 'Yesterday';
  return (date.getFullYear() === now.getFullYear() ? DAY : DAY_OF_YEAR).format(date);
}

/** @param {number} value */
export function count(value) {
  return COUNT.format(value);
}

/** @param {number} value */
export function badge(value) {
  return value > BADGE_MAX ? `${BADGE_MAX}+` : String(value);
}
