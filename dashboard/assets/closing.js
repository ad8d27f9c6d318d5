// The dialog that closes a session.

import { byID, show } from "./dom.js";
import { refusal } from "./feed.js";

const dialog = byID("closing");
const form = dialog.querySelector("form");
const problem = byID("closing-error");
const confirm = byID("confirm");

let asked = null; // the session that the dialog is about
let busy = false;
let told = () => {};

// onOutcome sets what is called with a text and whether it is good news, when
// the dialog is over or the answer came after it.
export function onOutcome(f) {
  told = f;
}

export function ask(session) {
  asked = session;
  show(byID("closing-heading"), `Close session ${session.id}?`);
  show(byID("closing-whom"), `${session.address || "No address"}. The connection ends at once.`);
  problem.hidden = true;
  form.reset();
  dialog.showModal();
}

async function close(session, reason) {
  const query = reason ? `?${new URLSearchParams({ reason })}` : "";
  const answer = await fetch(`api/sessions/${encodeURIComponent(session.id)}${query}`, {
    method: "DELETE",
    headers: { "X-Sessionwheel-Request": "1" },
    signal: AbortSignal.timeout(10_000),
  });
  if (!answer.ok) throw new Error(await refusal(answer));
  return answer.json();
}

form.addEventListener("submit", async (e) => {
  e.preventDefault();
  if (busy) return;
  const session = asked;
  busy = true;
  confirm.setAttribute("aria-disabled", "true");
  problem.hidden = true;
  try {
    const { id, reason } = await close(session, form.elements.reason.value.trim());
    if (asked === session) dialog.close();
    told(`Session ${id} was closed: ${reason}`, true);
  } catch (error) {
    const why = error.name === "TimeoutError" ? "no answer within ten seconds" : error instanceof TypeError ? "the server cannot be reached" : error.message;
    const text = `Session ${session.id} was not closed: ${why}.`;
    if (asked !== session) return told(text, false);
    show(problem, text);
    problem.hidden = false;
  } finally {
    busy = false;
    confirm.setAttribute("aria-disabled", "false");
  }
});

byID("cancel").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => { if (!dialog.open) asked = null; }); // it comes late, and may find the next one open
