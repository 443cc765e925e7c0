// Elements made and kept up to date. The only file that creates any.
//
// Strategy: whatever comes from the cluster goes in as text (textContent), never as markup. A
// list is brought up to date row by row, so that focus, selection and scrolling survive the poll
// of every second, and nothing is touched that has not changed.

const SVG = "http://www.w3.org/2000/svg";
const kept = new WeakMap(); // list element -> Map of key -> row

/** Return the element of the page with this id. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** Return a new element; children are elements or text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Return a new SVG element. */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Set the text of an element if it is another. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set or remove an attribute (null removes) if it is another. */
export function mark(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Make the children of `parent` show `items`, in their order.
 *
 * @param keyOf What tells items apart, of the item and its place; of two alike the first is shown.
 * @param create Makes the element of a new item.
 * @param fill Brings an element up to date; called for new ones as well.
 */
export function keep(parent, items, keyOf, create, fill) {
  const before = kept.get(parent) ?? new Map();
  const after = new Map();
  let place = parent.firstElementChild;
  for (const [index, item] of items.entries()) {
    const key = keyOf(item, index);
    if (after.has(key)) continue;
    const element = before.get(key) ?? create(item);
    after.set(key, element);
    fill(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const [key, element] of before) if (!after.has(key)) element.remove();
  kept.set(parent, after);
}
