# shellcheck shell=bash
# A temporary outboxd with programs beside it: what scripts/run and the recipes of this folder share. To be sourced by a
# bash script with `set -euo pipefail`. Everything is in one temporary folder, listens on loopback and Unix sockets
# alone, and is gone when the script ends.
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
demo= bin= started= outboxd_pid= url= once=
pids=()

# Sets bin, the folder of outboxd and outboxctl, to a fresh build.
build_outboxd() {
  "$repository/scripts/setup" --run
  local launcher=()
  if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  cmake -S "$repository" --preset release -DOUTBOXD_BUILD_TESTS=OFF "${launcher[@]}" --log-level=WARNING
  cmake --build "$repository/.build/release" --target outboxd outboxctl
  bin=$repository/.build/release/daemon
}

# Sets bin to OUTBOXD_BIN, else to what an earlier build has left or the package has installed, else to a fresh build.
find_outboxd() {
  if [[ -n "${OUTBOXD_BIN:-}" ]]; then
    bin=$(cd "$OUTBOXD_BIN" && pwd) && [[ -x $bin/outboxd && -x $bin/outboxctl ]] && return
    echo "OUTBOXD_BIN is \"$OUTBOXD_BIN\", and there is no outboxd with its outboxctl in that folder" >&2
    exit 1
  fi
  for bin in "$repository"/.build/{release,dev}/daemon /usr/bin; do
    if [[ -x $bin/outboxd && -x $bin/outboxctl ]]; then return; fi
  done
  build_outboxd
}

# Makes the folder $demo with the daemon's configuration, to which more may be appended.
begin_demo() {
  trap 'finish 1' EXIT
  trap 'finish 0' INT TERM HUP
  demo=$(mktemp -d -t outboxd-demo.XXXXXX)
  cat >"$demo/outboxd.toml" <<TOML
# A demo sends to this machine over plain HTTP. outboxd refuses both unless told so.
[store]
url = "sqlite://$demo/outbox.db"
[listen]
ingest_socket = "$demo/ingest.sock"
ingest_group = ""
admin_socket = "$demo/admin.sock"
admin_group = ""
tcp = ""
[policy]
allow_http = true
allow_networks = ["127.0.0.0/8"]
ports = []
[retention]
free_disk = "16MiB"
[log]
level = "warn"
TOML
  export OUTBOXD_SOCKET=$demo/admin.sock PATH=$bin:$PATH PYTHONDONTWRITEBYTECODE=1
}

# Ends what was started and exits. The last one started ends first, so that nothing is left asking a daemon that is gone.
finish() {
  trap - EXIT INT TERM HUP
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill -TERM "${pids[i]}" 2>/dev/null || true
    wait "${pids[i]}" 2>/dev/null || true
  done
  if (($1 != 0)) && [[ -s $demo/outboxd.log ]]; then
    echo "what outboxd said:" >&2
    tail -n 20 "$demo/outboxd.log" >&2
  fi
  if [[ -n $demo ]]; then
    rm -rf "$demo"
    echo "demo ended; $demo removed"
  fi
  exit "$1"
}

# start PROGRAM [ARGUMENT]...: in the background, until the demo ends; $started is its process id.
start() {
  "$@" &
  started=$!
  pids+=("$started")
}

# crash PID: as a power cut would end it.
crash() {
  { kill -KILL "$1" && wait "$1"; } 2>/dev/null || true
  for i in "${!pids[@]}"; do
    if [[ ${pids[i]} == "$1" ]]; then unset "pids[i]"; fi
  done
  pids=("${pids[@]}")
}

# await WHAT COMMAND [ARGUMENT]...: until the command succeeds; the demo has failed when that takes a minute.
await() {
  local what=$1 patience=${OUTBOXD_PATIENCE:-60}
  local deadline=$((SECONDS + ${patience%.*}))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= deadline)); then
      echo "waited in vain: $what" >&2
      finish 1
    fi
    sleep 0.1
  done
}

# On $demo/outbox.db; may be called again after a crash. Sets outboxd_pid.
start_outboxd() {
  start outboxd --config "$demo/outboxd.toml" 2>>"$demo/outboxd.log"
  outboxd_pid=$started
  await "outboxd answers" outboxctl -q status
}

# new_secret FILE: a signing secret as Standard Webhooks has it, in a file that only its owner reads.
new_secret() {
  (umask 077 && echo "whsec_$(head -c 32 /dev/urandom | base64)" >"$1")
}

# url_in FILE: sets url to what a receiver has written there when it was ready.
url_in() {
  await "a receiver writes $1" grep -q . "$1"
  url=$(<"$1")
}

# For a recipe's `run [--once]`: sets once, to "" or "yes".
recipe_options() {
  case "$#:${1:-}" in
    0:) once= ;;
    1:--once) once=yes ;;
    *) echo "usage: run [--once]     with --once it ends by itself" >&2; exit 2 ;;
  esac
}

# deliveries STATE: how many there are.
deliveries() {
  outboxctl -o json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["deliveries"][sys.argv[1]])' "$1"
}

say() { printf '\n== %s\n' "$*"; }

# The end of a recipe's story. What it has started stays, to be looked at, unless it is to run only once.
end_of_story() {
  if [[ -n $once ]]; then finish 0; fi
  cat <<TXT

All of it still runs. Look at it from another terminal:

  export OUTBOXD_SOCKET=$demo/admin.sock PATH=$bin:\$PATH
  outboxctl status
  outboxctl delivery list
  outboxctl delivery show ID

Ctrl-C ends it.
TXT
  wait "$outboxd_pid" || true
  echo "outboxd has ended by itself" >&2
  finish 1
}
