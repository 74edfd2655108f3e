// The libraries that receivers verify webhooks with, as their documentation uses them. Reads requests from standard input,
// one JSON object a line, {"library", "secret", "headers", "body"}; writes true, or why the library refused, one a line.
//
// Run in the folder whose node_modules has them: node --input-type=module --eval "$(cat receiver_libraries.mjs)"
import { createInterface } from "node:readline";
import { verify } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";

const verifiers = {
  "@octokit/webhooks-methods": (secret, headers, body) => verify(secret, body, headers["x-hub-signature-256"]),
  standardwebhooks: (secret, headers, body) => Boolean(new Webhook(secret).verify(body, headers)),
  stripe: (secret, headers, body) =>
    Boolean(new Stripe("sk_test_none").webhooks.constructEvent(body, headers["stripe-signature"], secret)),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { library, secret, headers, body } = JSON.parse(line);
  let answer;
  try {
    answer = (await verifiers[library](secret, headers, body)) || "it is not verified";
  } catch (error) {
    answer = String(error);
  }
  console.log(JSON.stringify(answer));
}
