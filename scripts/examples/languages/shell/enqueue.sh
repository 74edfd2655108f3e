#!/usr/bin/env bash
# Hands an event to outboxd, in each of its three ways. Needs curl, or sqlite3.
#   enqueue.sh http http://127.0.0.1:8877 42
#   enqueue.sh unix /run/outboxd/ingest.sock 42
#   enqueue.sh sql app.db 42
set -euo pipefail
way=$1 where=$2 order=$3
[[ $order =~ ^[0-9]+$ ]] || { echo "an order's number is digits" >&2; exit 2; }

# The idempotency key makes it safe to send the same again when no answer came.
event='{"type": "order.paid", "payload": {"order": '$order', "cents": 1250},
        "idempotency_key": "order-'$order'-paid"}'
post=(curl --silent --show-error --fail-with-body --retry 3 --retry-connrefused
  --header 'Content-Type: application/json' --data-binary "$event")

case $way in
  http) "${post[@]}" "$where/v1/events" ;;
  unix) "${post[@]}" --unix-socket "$where" http://localhost/v1/events ;;
  sql) # The event exists exactly if the order is paid.
    sqlite3 -bail -cmd '.timeout 5000' "$where" <<SQL
BEGIN IMMEDIATE;
UPDATE orders SET state = 'paid' WHERE id = $order;
INSERT INTO outbox(type, payload)
  VALUES ('order.paid', json_object('order', $order, 'cents', 1250));
COMMIT;
SQL
    ;;
esac
