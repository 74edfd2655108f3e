#!/usr/bin/env bash
# Verifies a delivery (Standard Webhooks, v1). The body comes on stdin, byte for byte:
#   WEBHOOK_SECRET=whsec_... verify.sh WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE <body
# It needs openssl, whose arguments, and so the key, every user of the machine sees for a moment:
# where that matters, use `outboxctl signature verify`.
set -euo pipefail
id=$1 timestamp=$2 signatures=$3
refuse() { echo "refused: $1" >&2; exit 1; }

# Checked before bash calculates with it: an arithmetic expression could run a command.
[[ $timestamp =~ ^[1-9][0-9]{0,11}$ ]] || refuse "the timestamp is no number"
age=$(($(date +%s) - timestamp))
((age >= -300 && age <= 300)) || refuse "the timestamp is more than 5 minutes off"

hmac() { openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" -binary | base64; }
key=$(base64 -d <<<"${WEBHOOK_SECRET#whsec_}" | od -An -v -tx1 | tr -d ' \n')
((${#key} >= 48)) || refuse "there is no secret"
expected=v1,$({ printf '%s.%s.' "$id" "$timestamp"; cat; } | hmac "$key")

# bash compares in a time that tells how much was right, so it compares digests under a random key.
once=$(openssl rand -hex 32)
read -ra given <<<"$signatures"
for signature in "${given[@]}"; do
  if [[ $(hmac "$once" <<<"$signature") == "$(hmac "$once" <<<"$expected")" ]]; then
    echo verified
    exit 0
  fi
done
refuse "no signature is by this secret"
