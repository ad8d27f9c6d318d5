// The dialog that closes a session.

import { byID, setText } from "./dom.js";
import { errorText, failureText } from "./feed.js";
import { foreign, quoted } from "./foreign.js";

const dialog = byID("closing");
const form = dialog.querySelector("form");
const problem = byID("closing-error");
const confirm = byID("confirm");

let current = null; // the session that the dialog is about
let busy = false;

// maxID is how many characters of an ID are shown.
export const maxID = 100;

// confirmClose opens the dialog for a session, as the API lists it. path is the API's
// beneath which it is, and about has the parts of a sentence about it. When the session
// was closed, or could not be and the dialog is gone, onResult is called with a text and
// whether it succeeded.
export function confirmClose({ id, key, generation }, path, about, onResult) {
  current = { id, key, generation, path, onResult };
  byID("closing-heading").replaceChildren("Close session ", foreign(id, maxID), "?");
  byID("closing-whom").replaceChildren(...about);
  problem.hidden = true;
  form.reset();
  dialog.showModal();
}

async function close({ key, generation, path }, reason) {
  const query = new URLSearchParams({ generation, ...(reason && { reason }) });
  const response = await fetch(`${path}${key}?${query}`, {
    method: "DELETE",
    headers: { "X-Sessionwheel-Request": "1" },
    signal: AbortSignal.timeout(15_000),
  });
  if (!response.ok) throw new Error(await errorText(response));
  return response.json();
}

form.addEventListener("submit", async (e) => {
  e.preventDefault();
  if (busy) return;
  const session = current;
  busy = true;
  confirm.setAttribute("aria-disabled", "true");
  problem.hidden = true;
  try {
    const { id, reason } = await close(session, form.elements.reason.value.trim());
    if (current === session) dialog.close();
    session.onResult(`Session ${quoted(id, maxID)} was closed: ${quoted(reason)}`, true);
  } catch (error) {
    const failed = error.name === "TimeoutError" || error instanceof TypeError; // fetch throws a TypeError without a response
    const reason = failed ? failureText(error, "fifteen") : error.message;
    const text = `Session ${quoted(session.id, maxID)} was not closed: ${reason}.`;
    if (current !== session) return session.onResult(text, false);
    setText(problem, text);
    problem.hidden = false;
  } finally {
    busy = false;
    confirm.setAttribute("aria-disabled", "false");
  }
});

byID("cancel").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => { if (!dialog.open) current = null; }); // the event comes late: the dialog may be open again

// isClosable reports whether a session can be closed here: not if what is shown is not
// its exact ID, since another's may look the same.
export const isClosable = ({ exact, key }) => exact && key !== null;

// inexact explains an ID that is not exact.
export const inexact = "This ID is not shown exactly: it is too long, or it is not text. So its session cannot be closed on this page.";
