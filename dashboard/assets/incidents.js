// What needs an operator's attention, at the top of the page: what happens, to whom, and
// what to do.

import { announce, byID, element, setText } from "./dom.js";

const keepFor = 120_000; // ms after an incident was last reported

const incidents = new Map(); // by key

// report shows an incident, or what has become of it. Each of the texts is a sentence or
// more; whom may be empty at first.
export function report(key, what, whom, advice) {
  let incident = incidents.get(key);
  if (!incident) {
    incident = { node: element("li", { class: "notice warning" }, element("b"), element("p"), element("p")) };
    incidents.set(key, incident);
    byID("incidents").append(incident.node);
    announce(`${what} ${whom} ${advice}`);
  }
  incident.until = performance.now() + keepFor;
  [what, whom, advice].forEach((text, i) => setText(incident.node.children[i], text));
}

// settle removes an incident that is over.
export function settle(key) {
  incidents.get(key)?.node.remove();
  incidents.delete(key);
}

setInterval(() => {
  for (const [key, { until }] of incidents) if (performance.now() > until) settle(key);
}, 1000);
