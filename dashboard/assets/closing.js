// The dialog that closes a session.

import { byID, show } from "./dom.js";
import { refusal } from "./feed.js";

const dialog = byID("closing");
const form = dialog.querySelector("form");
const problem = byID("closing-error");
const confirm = byID("confirm");

let asked = null; // what the dialog is about
let busy = false;

// ask opens the dialog for a session with its id, the path beneath which the API
// has it, and a sentence about it. When the dialog is over, or the answer came
// after it, told is called with a text and whether it is good news.
export function ask({ id, path, about }, told) {
  asked = { id, path, told };
  show(byID("closing-heading"), `Close session ${id}?`);
  show(byID("closing-whom"), about);
  problem.hidden = true;
  form.reset();
  dialog.showModal();
}

async function close({ id, path }, reason) {
  const query = reason ? `?${new URLSearchParams({ reason })}` : "";
  const answer = await fetch(`${path}${encodeURIComponent(id)}${query}`, {
    method: "DELETE",
    headers: { "X-Sessionwheel-Request": "1" },
    signal: AbortSignal.timeout(15_000),
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
    session.told(`Session ${id} was closed: ${reason}`, true);
  } catch (error) {
    const why = error.name === "TimeoutError" ? "no answer within fifteen seconds" : error instanceof TypeError ? "the server cannot be reached" : error.message;
    const text = `Session ${session.id} was not closed: ${why}.`;
    if (asked !== session) return session.told(text, false);
    show(problem, text);
    problem.hidden = false;
  } finally {
    busy = false;
    confirm.setAttribute("aria-disabled", "false");
  }
});

byID("cancel").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => { if (!dialog.open) asked = null; }); // it comes late, and may find the next one open
