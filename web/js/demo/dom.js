/** Finding what the page must have. */

/**
 * @param {ParentNode} root
 * @param {string} selector
 */
export function one(root, selector) {
  const found = root.querySelector(selector);
  if (!(found instanceof HTMLElement || found instanceof SVGElement)) throw new Error(`The page has no ${selector}.`);
  return /** @type {HTMLElement} */ (found);
}

/**
 * A template's one element, anew.
 *
 * @param {string} id
 */
export function template(id) {
  const found = document.getElementById(id);
  const element = found instanceof HTMLTemplateElement ? found.content.firstElementChild?.cloneNode(true) : null;
  if (!(element instanceof HTMLElement)) throw new Error(`The page has no template ${id}.`);
  return element;
}
