// Questions and messages.
import { el } from "./dom.js";
import { errorBox } from "./parts.js";

// Asks, and does it. `act` runs when the person agrees; while it runs the dialog stays, and says what went wrong. `body` are
// nodes, which may hold fields; `leave` is the word for doing nothing. Returns what `act` returned, or null when the person
// thought better of it.
export function ask({ title, body, agree, leave = "Cancel", danger, act }) {
  return new Promise((resolve) => {
    const problem = el("div", {});
    const agreeing = el("button", { type: "submit", class: danger ? "danger" : "primary" }, agree);
    const close = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    const submit = async (event) => {
      event.preventDefault();
      agreeing.disabled = true;
      problem.replaceChildren();
      try {
        const answer = await act(new FormData(form));
        close(answer ?? true);
      } catch (error) {
        problem.replaceChildren(errorBox(error));
        agreeing.disabled = false;
      }
    };
    const form = el("form", { onsubmit: submit }, el("h2", { id: "dialog-title" }, title), body, problem,
      el("div", { class: "acts" }, el("button", { type: "button", onclick: () => close(null) }, leave), agreeing));
    const dialog = el("dialog", { "aria-labelledby": "dialog-title", oncancel: (event) => {
      event.preventDefault();
      close(null);
    } }, form);
    open(dialog);
  });
}

// Shows something to read or copy.
export function show(title, ...body) {
  const dialog = el("dialog", { "aria-labelledby": "dialog-title", onclose: () => dialog.remove() },
    el("h2", { id: "dialog-title" }, title), ...body,
    el("div", { class: "acts" }, el("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "Close")));
  open(dialog);
}

export function say(text) {
  const message = el("p", {}, text);
  const place = document.getElementById("messages");
  place.append(message);
  if (place.childNodes.length > 3) place.firstChild.remove();
  setTimeout(() => message.remove(), 8000);
}

// Runs a change and says what came of it.
export async function change(done, act) {
  try {
    const answer = await act();
    say(done);
    return answer ?? true;
  } catch (error) {
    show("That did not work", errorBox(error));
    return null;
  }
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
  } catch {
    show(what, el("textarea", { readonly: true, rows: 6, "aria-label": what, value: text }));
  }
}

function open(dialog) {
  dialog.dataset.page = location.hash;
  document.body.append(dialog);
  dialog.showModal();
}

// What they show goes out of the document too.
export function closeAll(those = () => true) {
  const open = [...document.querySelectorAll("dialog[open]")].filter(those);
  for (const dialog of open) if (dialog.dispatchEvent(new Event("cancel", { cancelable: true }))) dialog.close();
}

// A question about a page does not outlive it. What an act says that went to another page is of that one: the browser tells
// of the change only after the act.
window.addEventListener("hashchange", () => closeAll((dialog) => dialog.dataset.page !== location.hash));
