// Which hosts sessions come from.

import { count, plural } from "./format.js";
import { quoted } from "./foreign.js";

// hostOf returns an address without its port.
function hostOf(address) {
  const at = address.lastIndexOf(":");
  return at < 0 ? address : address.slice(0, at);
}

// describeHosts says in a sentence which hosts sessions come from. which says which
// sessions they are, such as "newest".
export function describeHosts(sessions, which) {
  const hosts = new Map();
  for (const { address } of sessions) hosts.set(hostOf(address), (hosts.get(hostOf(address)) ?? 0) + 1);
  if (hosts.size === 0) return "";
  const most = [...hosts].sort(([, a], [, b]) => b - a);
  const of = `the ${plural(sessions.length, "session")} that ${which}`;
  if (hosts.size === 1) return `All of ${of} came from ${quoted(most[0][0] || "no address")}.`;
  if (most[0][1] * 2 > sessions.length) return `${count(most[0][1])} of ${of} came from ${quoted(most[0][0] || "no address")}.`;
  const some = most.slice(0, 3).map(([host, n]) => `${quoted(host || "no address")} (${count(n)})`).join(", ");
  return `${of[0].toUpperCase()}${of.slice(1)} came from ${count(hosts.size)} addresses, most of them from ${some}.`;
}
