// Foreign text: IDs, addresses, labels, reasons, names and errors, which peers may have
// chosen. It must not look like something else, nor change how the text around it looks.

import { element, setAttribute, setText } from "./dom.js";

// Characters that show nothing, or that change the order of others; and white space
// that cannot be told from a space.
const unseen = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu;

// visible returns a text with a number in place of each character that is not seen, and
// marks for spaces at its ends and beside others.
export function visible(text) {
  return text
    .replace(unseen, (c) => `⟨${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`)
    .replace(/^ +| +$| {2,}/g, (spaces) => "␣".repeat(spaces.length));
}

function clip(text, limit) {
  const characters = [...text];
  return characters.length <= limit ? text : `${characters.slice(0, limit - 1).join("")}…`;
}

// foreign returns an element for a text, which setForeign sets. Its direction does not
// reach beyond it.
export function foreign(text = "", limit = 60) {
  const node = element("bdi");
  setForeign(node, text, limit);
  return node;
}

// setForeign shows a text, cut to limit characters, with the whole in its title.
export function setForeign(node, text, limit = 60) {
  const whole = visible(text);
  setText(node, clip(whole, limit));
  setAttribute(node, "title", isolated(whole));
}

// quoted returns a text for a sentence that is no element, such as a label or a title.
export function quoted(text, limit = 60) {
  return isolated(clip(visible(text), limit));
}

// isolated puts a visible text between the characters that keep its direction to it.
function isolated(text) {
  return `\u2068${text}\u2069`;
}
