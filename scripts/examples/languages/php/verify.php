<?php
// Verifies a delivery (Standard Webhooks, v1). The body comes on stdin, byte for byte:
//   WEBHOOK_SECRET=whsec_... php verify.php WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE <body
// In a web server: $_SERVER['HTTP_WEBHOOK_ID'] and so on, and file_get_contents('php://input').
declare(strict_types=1);

const TOLERANCE = 5 * 60;

// Throws unless one of the signatures is by this secret and not old.
function verify(
    string $secret,
    string $id,
    string $timestamp,
    string $signatures,
    string $body,
): void {
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE) {
        throw new UnexpectedValueException('the timestamp is more than 5 minutes off');
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), strict: true);
    if ($key === false || strlen($key) < 24) {
        throw new UnexpectedValueException('there is no secret');
    }
    $digest = hash_hmac('sha256', "$id.$timestamp.$body", $key, binary: true);
    $expected = 'v1,' . base64_encode($digest);
    foreach (explode(' ', $signatures) as $given) {
        if (hash_equals($expected, $given)) {
            return;
        }
    }
    throw new UnexpectedValueException('no signature is by this secret');
}

try {
    [, $id, $timestamp, $signatures] = $argv;
    $body = file_get_contents('php://stdin');
    verify((string) getenv('WEBHOOK_SECRET'), $id, $timestamp, $signatures, $body);
    echo "verified\n";
} catch (UnexpectedValueException $error) {
    fwrite(STDERR, "refused: {$error->getMessage()}\n");
    exit(1);
}
