// Rows of the SQL outbox that can never become events, part of the page "System": why, the whole row, once more, away.
import { get, send } from "./api.js";
import { ask, change, say, show } from "./dialog.js";
import { el } from "./dom.js";
import { bytes, count, visible } from "./format.js";
import { block, bothTimes, button, errorBox, facts, foreign, pager, section, table, when } from "./parts.js";

export function rejectedSection(view, page, reload) {
  return section("Rejected rows of the SQL outbox",
    table("Rejected rows", [
      { name: "Row", cell: (row) => count(row.row), number: true },
      { name: "Reason", cell: (row) => (row.reason === null ? "–" : foreign(row.reason, 300)) },
      { name: "Type", cell: (row) => foreign(row.type, 60), wide: true },
      { name: "Tenant", cell: (row) => (row.tenant ? foreign(row.tenant, 40) : "–"), wide: true },
      { name: "Payload", cell: (row) => bytes(row.payload_bytes), number: true, wide: true },
      { name: "Rejected", cell: (row) => when(row.rejected_at), wide: true },
      { name: "Acts", cell: (row) => acts(view, row, reload) },
    ], page.data, { key: (row) => `row ${row.row}`, empty: "None." }),
    page.next_cursor || view.query.get("cursor") ? pager(view, page.next_cursor) : null);
}

const pathOf = (row) => `/v1/outbox/${row.row}`;

function acts(view, row, reload) {
  return el("div", { class: "acts" },
    view.session.payloads ? button("Show", () => whole(row), { "aria-label": `Show row ${row.row}` }) : null,
    view.mayChange ? button("Retry", () => retry(row, reload), { "aria-label": `Retry row ${row.row}` }) : null,
    view.mayChange ? button("Drop…", () => drop(row, reload), { class: "danger", "aria-label": `Drop row ${row.row}` }) : null);
}

async function whole(row) {
  const title = `Row ${row.row} of the SQL outbox`;
  let full;
  try {
    full = await get(pathOf(row));
  } catch (error) {
    show(title, errorBox(error));
    return;
  }
  const { payload, payload_cut: cut, payload_bytes: size, reason, rejected_at: at, row: number, ...columns } = full;
  show(title,
    facts([["Row", count(number)], ["Rejected", bothTimes(at)], ["Reason", reason === null ? "–" : foreign(reason, 1000)],
      ...Object.entries(columns).map(([name, value]) => [visible(name).replaceAll("_", " "), value === null ? "NULL" : foreign(value, 1000)])]),
    el("h3", {}, `Payload (${bytes(size)})`),
    cut ? el("p", {}, "Its first 64 KiB.") : null,
    block(payload, "Payload of the row"));
}

async function retry(row, reload) {
  const done = `Row ${row.row} is looked at again: it becomes an event, or is rejected with its reason.`;
  if (await change(done, () => send("POST", `${pathOf(row)}/retry`))) reload();
}

async function drop(row, reload) {
  const dropped = await ask({
    title: `Drop row ${row.row}?`, agree: "Drop it", danger: true,
    body: [el("p", {}, "It is deleted for good, and will never become an event."), row.reason ? el("p", {}, foreign(row.reason, 300)) : null],
    act: () => send("DELETE", pathOf(row)),
  });
  if (!dropped) return;
  say(`Row ${row.row} is dropped.`);
  reload();
}
