<?php
// Hands an event to outboxd, in each of its three ways (SQL: with the extension pdo_sqlite).
//   php enqueue.php http http://127.0.0.1:8877 42
//   php enqueue.php unix /run/outboxd/ingest.sock 42
//   php enqueue.php sql app.db 42
declare(strict_types=1);

// Each returns when the event is on disk. No answer? Send the same again: its key makes that safe.
function enqueue_over_http(string $base, array $event): array
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => 'Content-Type: application/json',
        'content' => json_encode($event, JSON_THROW_ON_ERROR),
        'ignore_errors' => true,
        'timeout' => 10,
    ]]);
    $text = file_get_contents("$base/v1/events", false, $context);
    if ($text === false) {
        throw new RuntimeException('outboxd did not answer');
    }
    return checked($http_response_header[0], $text);
}

function enqueue_over_unix_socket(string $path, array $event): array
{
    $socket = stream_socket_client("unix://$path", timeout: 10);
    if ($socket === false) {
        throw new RuntimeException("outboxd does not listen on $path");
    }
    $body = json_encode($event, JSON_THROW_ON_ERROR);
    fwrite($socket, "POST /v1/events HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nContent-Length: " . strlen($body) . "\r\n"
        . "Connection: close\r\n\r\n$body");
    [$head, $text] = explode("\r\n\r\n", stream_get_contents($socket), 2) + ['', ''];
    return checked(strtok($head, "\r\n") ?: '', $text);
}

function checked(string $status_line, string $text): array
{
    if (!preg_match('~^HTTP/1\.1 20[02] ~', $status_line)) {
        throw new RuntimeException("outboxd answered \"$status_line\": $text");
    }
    return json_decode($text, true, flags: JSON_THROW_ON_ERROR);
}

// The event exists exactly if the order is paid: one transaction.
function pay_order(string $database, int $order): void
{
    $db = new PDO("sqlite:$database", options: [PDO::ATTR_TIMEOUT => 5]);
    $db->exec('BEGIN IMMEDIATE');
    try {
        $db->prepare("UPDATE orders SET state = 'paid' WHERE id = ?")->execute([$order]);
        $db->prepare("INSERT INTO outbox(type, payload) VALUES ('order.paid', ?)")
            ->execute([json_encode(['order' => $order, 'cents' => 1250])]);
        $db->exec('COMMIT');
    } catch (Throwable $error) {
        $db->exec('ROLLBACK');
        throw $error;
    }
}

[, $way, $where, $number] = $argv;
$order = (int) $number;
$event = [
    'type' => 'order.paid',
    'payload' => ['order' => $order, 'cents' => 1250],
    'idempotency_key' => "order-$order-paid",
];
match ($way) {
    'http' => print(enqueue_over_http($where, $event)['id'] . "\n"),
    'unix' => print(enqueue_over_unix_socket($where, $event)['id'] . "\n"),
    'sql' => pay_order($where, $order),
};
