"use strict";

const [login, say, log, status] = ["login", "say", "log", "status"].map((id) => document.getElementById(id));

// What the reasons of the server's close frames mean to whoever reads them.
const meaning = {
  Left: "you left the room",
  Replaced: "you joined from elsewhere",
  Timeout: "the server got no sign of life from here",
  Shutdown: "the server is going away",
  TooLarge: "the message was too long",
  NotText: "the message was not text",
  Full: "there are too many people here",
};
const maxLines = 500;
const maxTries = 5;

let socket = null;
let tries = 0; // to get a lost connection back
let retry = 0;

function show(text) {
  status.textContent = text;
}

// join logs in. A connection that breaks without a reason is tried again; one
// that the server ended with a reason is not.
function join() {
  const who = new URLSearchParams(new FormData(login));
  const ws = new WebSocket(`chat?${who}`);
  let opened = false;
  socket = ws;
  show("Connecting …");
  ws.onopen = () => {
    opened = true;
    tries = 0;
    show(`You are ${who.get("name")} in ${who.get("room")}.`);
    present(true);
  };
  ws.onmessage = ({ data }) => add(JSON.parse(data));
  ws.onclose = ({ reason }) => {
    if (socket !== ws) return;
    socket = null;
    if (!reason && (opened || tries > 0) && tries < maxTries) {
      const wait = 500 * 2 ** tries++ * (1 + Math.random());
      retry = setTimeout(join, wait);
      show("The connection was lost; trying again …");
      return;
    }
    show(reason ? `${reason}: ${meaning[reason] ?? "the server closed"}.` : "There is no connection to the server.");
    present(false);
  };
}

// present shows the form that is of use, and gives it the keyboard.
function present(joined) {
  login.hidden = joined;
  say.hidden = !joined;
  (joined ? say.elements.text : login.querySelector("button")).focus();
}

// add appends an event to the log and follows it, unless somebody reads further
// up. What people say is text and never markup.
function add({ kind, name, text, here }) {
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const line = document.createElement("li");
  if (kind === "said") {
    const b = document.createElement("b");
    b.textContent = name;
    line.append(b, text);
  } else {
    line.className = "note";
    line.textContent = `${name} ${kind}${text ? ` (${text})` : ""} · ${here} here`;
  }
  log.append(line);
  while (log.childElementCount > maxLines) log.firstElementChild.remove();
  if (follows) log.scrollTop = log.scrollHeight;
}

login.addEventListener("submit", (e) => {
  e.preventDefault();
  tries = 0;
  if (!socket) join();
});

say.addEventListener("submit", (e) => {
  e.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN) return;
  socket.send(say.elements.text.value);
  say.reset();
});

document.getElementById("leave").addEventListener("click", () => {
  clearTimeout(retry);
  tries = maxTries;
  if (socket) return socket.close(1000, "Left");
  show("");
  present(false);
});

login.elements.name.focus();
