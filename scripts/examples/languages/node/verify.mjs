// Verifies a delivery (Standard Webhooks, v1). The body comes on stdin, byte for byte:
//   WEBHOOK_SECRET=whsec_... node verify.mjs WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE <body
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const TOLERANCE = 5 * 60;

// Throws unless one of the signatures is by this secret and not old. `body` is a Buffer.
export function verify(secret, id, timestamp, signatures, body) {
  // Asked this way round, so that what is no number (NaN) is refused.
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE)) {
    throw new Error("the timestamp is more than 5 minutes off");
  }
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  if (key.length < 24) throw new Error("there is no secret");
  const mac = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body);
  const expected = Buffer.from(`v1,${mac.digest("base64")}`);
  const matches = signatures.split(" ").map((one) => Buffer.from(one))
    .some((given) => given.length === expected.length && timingSafeEqual(given, expected));
  if (!matches) throw new Error("no signature is by this secret");
}

try {
  const [id, timestamp, signatures] = process.argv.slice(2);
  verify(process.env.WEBHOOK_SECRET, id, timestamp, signatures, readFileSync(0));
  console.log("verified");
} catch (error) {
  console.error(`refused: ${error.message}`);
  process.exitCode = 1;
}
