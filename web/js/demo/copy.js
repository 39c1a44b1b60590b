/** The button beside code that copies it. */
import { one } from './dom.js';

/** Milliseconds for which a button says that it has copied. */
const COPIED_MS = 1_500;

/** @param {Element} figure */
export function copies(figure) {
  const button = one(figure, '.copy');
  button.addEventListener('click', async () => {
    const code = one(figure, 'code');
    button.textContent = (await copied(code)) ? 'Copied' : 'Selected';
    setTimeout(() => (button.textContent = 'Copy'), COPIED_MS);
  });
}

/**
 * Only secure pages may write to the clipboard; elsewhere the code is selected, to be copied by hand.
 *
 * @param {HTMLElement} code
 */
async function copied(code) {
  try {
    await navigator.clipboard.writeText(code.textContent ?? '');
    return true;
  } catch {
    getSelection()?.selectAllChildren(code);
    return false;
  }
}
