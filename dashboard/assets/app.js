// The page: each event's figures go to the parts that show them.

import { announce, byID, element, set, show } from "./dom.js";
import { clock, count } from "./format.js";
import { counters } from "./counters.js";
import { Cluster } from "./cluster.js";
import { Feed } from "./feed.js";
import { Histogram, reasons } from "./charts.js";
import { Sessions } from "./sessions.js";
import { WheelView } from "./wheel.js";

const updateCounters = counters();
const histogram = new Histogram();
const wheel = new WheelView();
const sessions = new Sessions();
const cluster = new Cluster();

function hear(stats) {
  show(byID("title"), stats.title);
  document.title = stats.title;
  show(byID("uptime"), clock(stats.uptime_seconds));
  sessions.closable(stats.closable);
  cluster.update(stats.cluster, stats.closable);
  updateCounters(stats);
  reasons(stats.sessions);
  histogram.update(stats.wheel);
  wheel.update(stats.wheel);
  warn(stats.wheel);
}

// warn says what should not be: it is rare, so it is announced.
function warn(wheel) {
  const texts = [];
  if (wheel?.rescued) texts.push(`The watchdog fired ${count(wheel.rescued)} ${wheel.rescued === 1 ? "slot" : "slots"} that the pacing library let lie.`);
  if (wheel?.library_disabled) texts.push("The library was given up after repeated failures; the wheel runs alone.");
  const warning = byID("warning");
  const text = texts.join(" ");
  if (text && warning.hidden) announce(text);
  warning.hidden = !text;
  show(warning, text);
}

// The states of the connection, in words; a change is announced, but not the
// first.
let state = "";
function tell({ name, since, why }) {
  const words = {
    connecting: "Connecting",
    live: "Live",
    paused: "Paused",
    lost: `Reconnecting since ${since?.toLocaleTimeString()}${why ? `: ${why}` : ""}`,
  }[name];
  if (words === state) return;
  set(byID("state"), "data-state", name);
  byID("state-text").replaceChildren();
  if (name === "lost") {
    const time = element("time", { datetime: since.toISOString() }, since.toLocaleTimeString());
    byID("state-text").append("Reconnecting since ", time, why ? `: ${why}` : "");
  } else byID("state-text").append(words);
  if (state && !(state === "Connecting" && name === "live") && name !== "connecting") announce(words);
  state = words;
}

const feed = new Feed(hear, tell);

const pause = byID("pause");
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  set(pause, "aria-pressed", paused);
  feed.pause(paused);
  sessions.pause(paused);
  cluster.pause(paused);
  wheel.pause(paused);
});
