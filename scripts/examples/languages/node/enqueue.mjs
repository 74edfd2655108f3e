// Hands an event to outboxd, in each of its three ways (SQL: Node 22.13 or newer).
//   node enqueue.mjs http http://127.0.0.1:8877 42
//   node enqueue.mjs unix /run/outboxd/ingest.sock 42
//   node enqueue.mjs sql app.db 42
import http from "node:http";

// Resolves when the event is on disk. No answer? Send the same again: its key makes that safe.
function enqueue(where, event) {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json" };
    const request = http.request({ ...where, path: "/v1/events", method: "POST", headers });
    request.setTimeout(10_000, () => request.destroy(new Error("outboxd did not answer")));
    request.on("error", reject);
    request.on("response", async (answer) => {
      let text = "";
      for await (const piece of answer.setEncoding("utf8")) text += piece;
      if (answer.statusCode === 202 || answer.statusCode === 200) resolve(JSON.parse(text));
      else reject(new Error(`outboxd answered ${answer.statusCode}: ${text}`));
    });
    request.end(JSON.stringify(event));
  });
}

// The event exists exactly if the order is paid: one transaction.
async function payOrder(database, order) {
  const { DatabaseSync } = await import("node:sqlite");
  const db = new DatabaseSync(database);
  db.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  try {
    db.prepare("UPDATE orders SET state = 'paid' WHERE id = ?").run(order);
    db.prepare("INSERT INTO outbox(type, payload) VALUES ('order.paid', ?)")
      .run(JSON.stringify({ order, cents: 1250 }));
    db.exec("COMMIT");
  } finally {
    db.close(); // rolls back what was not committed
  }
}

const [way, where, number] = process.argv.slice(2);
const order = Number(number);
const event = {
  type: "order.paid",
  payload: { order, cents: 1250 },
  idempotency_key: `order-${order}-paid`,
};
if (way === "http") {
  const { hostname, port } = new URL(where);
  console.log((await enqueue({ hostname, port }, event)).id);
} else if (way === "unix") {
  console.log((await enqueue({ socketPath: where }, event)).id);
} else {
  await payOrder(where, order);
}
