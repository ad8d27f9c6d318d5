// Elements. All text goes through textContent, since addresses and reasons are
// what somebody out there sent.

const svgSpace = "http://www.w3.org/2000/svg";

export const byID = (id) => document.getElementById(id);

// element makes an HTML element with attributes and children; a string among
// the children is text.
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// shape is element for SVG.
export function shape(name, attributes = {}, ...children) {
  return fill(document.createElementNS(svgSpace, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// show sets a node's text if it has changed, so that nothing is laid out, or
// read out, for nothing.
export function show(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// set is show for an attribute.
export function set(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// rows keeps the rows of a table body: as many as there are items, each made
// once and updated by paint(row, item).
export function rows(body, items, make, paint) {
  while (body.rows.length > items.length) body.lastElementChild.remove();
  while (body.rows.length < items.length) body.append(make());
  items.forEach((item, i) => paint(body.rows[i], item));
}

// announce tells a screen reader what happened, once.
export function announce(text) {
  show(byID("announcer"), text);
}
