// The page: passes the statistics of each event to the parts that show them.

import { announce, byID, element, setAttribute, setNotice, setText } from "./dom.js";
import { clock, count, time } from "./format.js";
import { ClosedSessions } from "./closed.js";
import { Cluster } from "./cluster.js";
import { Closings } from "./closings.js";
import { Counters } from "./counters.js";
import { Feed } from "./feed.js";
import { Flood } from "./flood.js";
import { Histogram, showReasons } from "./charts.js";
import { Sessions } from "./sessions.js";
import { WheelView } from "./wheel.js";

const counters = new Counters();
const histogram = new Histogram();
const wheel = new WheelView();
const closed = new ClosedSessions();
const sessions = new Sessions();
const cluster = new Cluster();
const closings = new Closings();
const flood = new Flood();

let historyNeeded = true; // the sparklines lack what happened before the first event, or while there was no stream

function onStats(stats) {
  setText(byID("title"), stats.title);
  document.title = stats.title;
  setText(byID("uptime"), clock(stats.uptime_seconds));
  sessions.setClosable(stats.closable);
  cluster.update(stats.cluster, stats.closable);
  if (counters.update(stats)) historyNeeded = true;
  showReasons(stats.sessions);
  closed.update(stats.sessions);
  histogram.update(stats.wheel);
  wheel.update(stats.wheel);
  warn(stats.wheel);
  closings.update(stats, closed.latest());
  flood.update(stats);
  if (historyNeeded) loadHistory();
}

async function loadHistory() {
  historyNeeded = false;
  try {
    const response = await fetch("api/history", { signal: AbortSignal.timeout(10_000) });
    if (!response.ok) return;
    const history = await response.json();
    counters.load(history);
    flood.load(history);
  } catch {
    // The sparklines show less; the events fill them.
  }
}

const warnFor = 600; // seconds since the watchdog last woke the wheel

// warn explains that the watchdog had to wake the wheel.
function warn(wheel) {
  const warning = byID("warning");
  const recent = wheel && wheel.rescued_ago_seconds !== null && wheel.rescued_ago_seconds < warnFor;
  const texts = [];
  if (recent) {
    texts.push(`The timer library did not wake the wheel, so its watchdog did: ${wheel.rescued === 1 ? "once" : `${count(wheel.rescued)} times`} since the server started, and within the past ten minutes.`,
      "No session closed early, or late because of it, and none was missed.",
      "Nothing needs doing if it stays at that. If this happens again and again, the process gets too little processor time, or the machine was suspended, or its clock was changed: give it more, or keep the clock steady.");
    if (wheel.library_disabled) texts.push("The wheel has stopped using the library and keeps the time itself until the server is restarted; timeouts work as before.");
  }
  if (recent && warning.hidden) announce(texts.join(" "));
  setNotice("warning", texts.join(" "));
}

// onState shows the state of the connection. It announces a change, except for the
// first connection.
let stateText = "";
function onState({ name, since, reason }) {
  const text = {
    connecting: "Connecting",
    live: "Live",
    paused: "Paused",
    lost: since && `Reconnecting since ${time(since)}${reason ? `: ${reason}` : ""}`,
  }[name];
  if (text === stateText) return;
  if (name !== "live") historyNeeded = true;
  setAttribute(byID("state"), "data-state", name);
  byID("state-text").replaceChildren();
  if (name === "lost") {
    const when = element("time", { datetime: since.toISOString() }, time(since));
    byID("state-text").append("Reconnecting since ", when, reason ? `: ${reason}` : "");
  } else byID("state-text").append(text);
  if (stateText && !(stateText === "Connecting" && name === "live") && name !== "connecting") announce(text);
  stateText = text;
}

const feed = new Feed(onStats, onState);

const pause = byID("pause");
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  setAttribute(pause, "aria-pressed", paused);
  feed.pause(paused);
  closed.pause(paused);
  sessions.pause(paused);
  cluster.pause(paused);
  wheel.pause(paused);
});
