// Helpers for elements. All text is set through textContent, since addresses,
// IDs and reasons are what peers have sent.

const svgNamespace = "http://www.w3.org/2000/svg";

export const byID = (id) => document.getElementById(id);

// element creates an HTML element with attributes and children; a string among
// the children is text.
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// svg creates an SVG element, as element does an HTML one.
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(svgNamespace, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// setText sets a node's text if it has changed: so the browser lays out nothing,
// and a screen reader reads nothing, without need.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// setAttribute sets an attribute if it has changed.
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// setNotice shows a text in the element with the ID, and hides it if the text is
// empty.
export function setNotice(id, text) {
  setText(byID(id), text);
  byID(id).hidden = !text;
}

// updateRows gives a table body as many rows as there are items. It creates
// missing ones with create(), and calls update(row, item) for each.
export function updateRows(body, items, create, update) {
  while (body.rows.length > items.length) body.lastElementChild.remove();
  while (body.rows.length < items.length) body.append(create());
  items.forEach((item, i) => update(body.rows[i], item));
}

// announce has a screen reader read a text.
export function announce(text) {
  setText(byID("announcer"), text);
}
