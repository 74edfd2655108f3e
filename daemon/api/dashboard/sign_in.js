// For whoever has not shown a token yet.
import { send } from "./api.js";
import { el } from "./dom.js";
import { begin } from "./main.js";
import { errorBox } from "./parts.js";

export function show(view) {
  view.title("Sign in");
  const { session } = view;
  if (session && !session.tokens && session.scope !== "none") {
    view.render(el("h1", {}, "Nobody can sign in here"),
      el("p", {}, "Over TCP this daemon serves producers only, because no tokens are configured. "
        + "Whoever may use the admin socket opens the dashboard with:"),
      el("pre", { class: "block" }, "outboxctl dashboard"),
      el("p", {}, "To sign in over TCP, set [listen] tokens_file and make a token with outboxctl token create NAME --scope view (or admin)."));
    return;
  }
  const problem = el("div", {});
  const submit = async (event) => {
    event.preventDefault();
    problem.replaceChildren();
    const field = event.currentTarget.elements.token;
    try {
      await send("POST", "/v1/session", { token: field.value.trim() });
    } catch (error) {
      problem.replaceChildren(errorBox(error));
      return;
    } finally {
      field.value = "";
    }
    await begin();
  };
  view.render(el("h1", {}, "Sign in"),
    el("form", { class: "sign-in", onsubmit: submit },
      el("div", { class: "field" }, el("label", { for: "token" }, "Token, of scope view or admin"),
        el("input", { id: "token", name: "token", type: "password", required: true, maxlength: 512, autocomplete: "off", spellcheck: "false" })),
      problem,
      el("div", { class: "acts" }, el("button", { type: "submit", class: "primary" }, "Sign in"))),
    el("p", {}, "On the daemon's machine, outboxctl dashboard opens it without a token."));
}
