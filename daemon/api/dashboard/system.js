// With what the daemon runs: its store, clock, members, sources and configuration, and what operators changed. What the
// caller may not read is not asked for, and left out.
import { get } from "./api.js";
import { el, update } from "./dom.js";
import { absolute, bytes, count, duration, millis, secondsSince } from "./format.js";
import { badge, bothTimes, button, endpointLink, errorBox, facts, filters, foreign, section, table, when } from "./parts.js";
import { rejectedSection } from "./rejected_rows.js";

const kAuditRows = 100;

export function show(view) {
  view.title("System");
  const readers = readersOf(view);
  const hosts = view.session.tenant === null && view.mayChange ? hostLookUp() : null;
  const load = async (signal) => {
    const answers = await Promise.all(Object.entries(readers).map(async ([name, read]) => [name, await orForbidden(read(signal))]));
    for (const [name, answer] of answers) if (answer === null) delete readers[name];
    return Object.fromEntries(answers);
  };
  const reload = view.refresh(10, load, (known) => [
    el("h1", {}, "System"),
    el("div", { class: "columns", "data-key": "daemon" }, daemonPart(known), storePart(known)),
    el("div", { class: "columns", "data-key": "around" },
      listenersPart(known), membersPart(known), clockPart(known.status), keysPart(known.secrets)),
    known.sources?.data.length > 0 ? section("Sources", sourcesTable(known.sources.data)) : null,
    known.rejected ? rejectedSection(view, known.rejected, () => reload()) : null,
    hosts ? section("Hosts of the endpoints", hosts) : null,
    known.audit ? section("Changes by operators", auditPart(known.audit)) : null,
    known.setup?.settings ? section("Configuration", settingsPart(view, known.setup)) : null,
  ]);
}

// What this caller may read: most concerns all tenants, and the keys are for administrators.
function readersOf(view) {
  const readers = { status: (signal) => get("/v1/status", {}, signal) };
  if (view.session.tenant !== null) return readers;
  const cursor = view.query.get("cursor");
  readers.sources = (signal) => get("/v1/sources", {}, signal);
  readers.rejected = (signal) => get("/v1/events", { rejected: "true", limit: 20, cursor }, signal);
  readers.audit = (signal) => get("/v1/audit", { limit: kAuditRows }, signal);
  readers.setup = (signal) => get("/v1/setup", { hosts: "false" }, signal);
  if (view.mayChange) readers.secrets = (signal) => get("/v1/secrets", {}, signal);
  return readers;
}

async function orForbidden(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error.status === 403) return null;
    throw error;
  }
}

function daemonPart({ status, setup }) {
  return section("Daemon", facts([
    ["Version", status.version],
    ["Runs for", [duration(secondsSince(status.started_at)), " (since ", absolute(status.started_at), ")"]],
    setup && ["Process", String(setup.pid)],
    setup && ["Configuration file", setup.config_file ? foreign(setup.config_file, 500) : "none when it started"],
    setup && ["Open files", `at most ${count(setup.open_files.limit)}; the configuration may need ${count(setup.open_files.wanted)}`],
    setup && ["Name servers", setup.name_servers.length ? foreign(setup.name_servers.join(", "), 500) : "none"],
    ...(setup?.private_files ?? []).map((one) => [`Secret file, ${one.key}`, foreign(one.path, 500)]),
  ]));
}

function storePart({ status, setup }) {
  const store = status.store;
  if (!store) return null;
  return section("Store", facts([
    ["URL", foreign(store.url, 500)],
    setup && setup.database ? ["File", foreign(setup.database, 500)] : null,
    ["Database", exactBytes(store.database_bytes)],
    store.wal_bytes !== undefined ? ["Write-ahead log", exactBytes(store.wal_bytes)] : null,
    store.free_bytes !== undefined ? ["Free inside the database", exactBytes(store.free_bytes)] : null,
    setup && ["New events are refused with less free disk than", exactBytes(setup.free_disk_bytes)],
    ["Schema", `version ${store.schema_version}`],
    ["Events", count(status.events)],
  ]));
}

const exactBytes = (size) => (size >= 1024 ? `${bytes(size)} (${count(size)} B)` : bytes(size));

function clockPart(status) {
  const clock = status.clock;
  if (!clock) return null;
  return section("Clock", facts([
    ["Was set while the daemon ran", clock.steps === 0 ? "never" : `${count(clock.steps)} ${clock.steps === 1 ? "time" : "times"}`],
    clock.last_step_at ? ["Last time", bothTimes(clock.last_step_at)] : null,
    clock.last_step_ms === null ? null : ["By", `${clock.last_step_ms < 0 ? "back " : "forward "}${millis(Math.abs(clock.last_step_ms))}`],
  ]));
}

function listenersPart({ status, setup }) {
  if (!status.listeners) return null;
  return section("Listeners",
    el("ul", {}, status.listeners.map((one) => el("li", { "data-key": one }, foreign(one, 200)))),
    setup?.tcp ? el("p", {}, setup.asks_for_tokens ? "Over TCP it asks for tokens."
      : "Over TCP it serves producers only: no tokens are configured.") : null);
}

function membersPart({ status, setup }) {
  if (!setup?.partitions) return null;
  const members = status?.members ?? [];
  return section("Members and partitions", facts([
    ["Daemons that share the store", count(setup.members)],
    ["Partitions of this daemon", `${count(setup.partitions.owned)} of ${count(setup.partitions.of)}`],
  ]), members.length === 0 ? null : table("Daemons that share the store", [
    { name: "Member", cell: (row) => [foreign(row.name, 80), row.self ? " (this one)" : null] },
    { name: "Address", cell: (row) => (row.address ? foreign(row.address, 60) : "–"), wide: true },
    { name: "Partitions", cell: (row) => count(row.partitions), number: true },
    { name: "Last heartbeat", cell: (row) => `${duration(row.heartbeat_age_seconds)} ago` },
    { name: "Joined", cell: (row) => when(row.joined_at), wide: true },
  ], members, { key: (row) => row.name }));
}

function keysPart(secrets) {
  if (!secrets) return null;
  return section("Keys that encrypt secrets", facts([
    ["Encrypts now", secrets.key === null ? "none is configured" : foreign(secrets.key)],
    ["Secrets stored in plain", count(secrets.plain)],
    ...secrets.encrypted.map((one) => [`Secrets with key ${one.id}`, count(one.secrets)]),
  ]));
}

function sourcesTable(rows) {
  const atMost = (number) => (number >= 1000 ? "1,000 or more" : count(number));
  return table("Databases whose outboxes are relayed", [
    { name: "Source", cell: (row) => foreign(row.name, 60) },
    { name: "Database", cell: (row) => foreign(row.url, 80), wide: true },
    { name: "State", cell: (row) => [badge(row.state), " since ", when(row.since)] },
    { name: "Error", cell: (row) => (row.error ? foreign(row.error, 400) : "–") },
    { name: "Waiting", cell: (row) => atMost(row.waiting), number: true },
    { name: "Waiting since", cell: (row) => when(row.waiting_since), wide: true },
    { name: "Relayed", cell: (row) => count(row.relayed), number: true },
    { name: "Last relayed", cell: (row) => when(row.last_relayed_at), wide: true },
    { name: "Rejected", cell: (row) => atMost(row.rejected), number: true },
  ], rows, { key: (row) => row.name });
}

// Looking hosts up takes as long as name servers take, so it is done only when somebody asks for it. It belongs to no view: what
// was looked up stays when the settings are filtered.
function hostLookUp() {
  const node = el("div", { "data-own": "hosts" });
  const answerPlace = el("div", {});
  const lookUp = async () => {
    asking.disabled = true;
    update(answerPlace, el("p", { class: "empty", role: "status" }, "Looking up…"));
    try {
      const { hosts } = await get("/v1/setup");
      update(answerPlace, hostTable(hosts));
    } catch (error) {
      update(answerPlace, errorBox(error));
    } finally {
      asking.disabled = false;
    }
  };
  const asking = button("Look up the endpoints' hosts", lookUp);
  node.append(el("p", {}, asking), answerPlace);
  return node;
}

function hostTable(hosts) {
  return table("Hosts of the endpoints, 20 at most", [
    { name: "Host", cell: (row) => foreign(row.host) },
    { name: "Endpoint", cell: (row) => endpointLink(row.endpoint) },
    { name: "Found", cell: (row) => badge(row.outcome) },
    { name: "Error", cell: (row) => (row.error ? foreign(row.error, 400) : "–") },
  ], hosts, { key: (row) => row.host, empty: "No endpoint has a host name to look up." });
}

function settingsPart(view, setup) {
  const wanted = (view.query.get("settings") ?? "").toLowerCase();
  const rows = setup.settings.filter((one) => `${one.key} ${valueText(one.value)} ${one.origin}`.toLowerCase().includes(wanted));
  return [
    filters(view, [{ name: "settings", label: "Settings that contain", hint: "retention" }]),
    table("Settings and where they come from", [
      { name: "Setting", cell: (row) => el("code", {}, row.key) },
      { name: "Value", cell: (row) => (row.value === "" ? "not set" : foreign(valueText(row.value), 300)) },
      { name: "From", cell: (row) => foreign(row.origin) },
    ], rows, { key: (row) => row.key, empty: "No setting contains that." }),
  ];
}

const valueText = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function auditPart(audit) {
  return [
    audit.since ? el("p", { class: "empty" }, "Since the daemon started, ", bothTimes(audit.since), ".") : null,
    table("Changes by operators, the newest first", [
      { name: "When", cell: (row) => when(row.at) },
      { name: "Who", cell: (row) => foreign(row.who, 80) },
      { name: "Change", cell: (row) => [row.method, " ", foreign(row.path, 160)] },
      { name: "Answer", cell: (row) => badge(String(row.status)) },
    ], audit.data.slice(0, kAuditRows), { key: () => null, empty: "None." }),
  ];
}
