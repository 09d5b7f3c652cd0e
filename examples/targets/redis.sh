#!/bin/sh
# Backs up a Redis server, empties it, restores it and compares. It starts a
# server and a daemon of its own on loopback and ends them again. Wanted on
# PATH: shieldd, shield, redis-server, redis-cli. Usage: redis.sh MODULE
# with the path of redis.wasm.
set -eu

module=$1
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
port=${REDIS_PORT:-16379}
export REDISCLI_AUTH=example-password
cli() { redis-cli -p "$port" "$@"; }

mkdir "$dir/redis" "$dir/store"
redis-server --port "$port" --bind 127.0.0.1 --dir "$dir/redis" --save '' \
	--requirepass "$REDISCLI_AUTH" --repl-diskless-sync-delay 0 --enable-debug-command yes >"$dir/redis.log" &
pids="$pids $!"
shieldd --data "$dir/data" --listen 127.0.0.1:0 >"$dir/shieldd.out" 2>"$dir/shieldd.err" &
pids="$pids $!"
until cli ping >/dev/null 2>&1; do sleep 0.1; done
until grep -q '^listening on' "$dir/shieldd.out"; do sleep 0.1; done
SHIELD_API=$(sed -n 's/^listening on //p' "$dir/shieldd.out")
SHIELD_TOKEN_FILE=$dir/data/admin-token
export SHIELD_API SHIELD_TOKEN_FILE

echo '# Some data'
cli set greeting hello
cli hset user:1 name Ada born 1815
cli -n 2 set elsewhere yes
before=$(cli debug digest)

echo '# The plugin: what it asks for is shown; --yes agrees to it'
shield plugin list | grep -q '^redis ' || shield plugin install "$module" --yes

echo '# Target, store and job'
printf '{"host":"127.0.0.1","port":%s,"password":"%s"}' "$port" "$REDISCLI_AUTH" >"$dir/endpoint.json"
shield create target --name cache --plugin redis --endpoint "@$dir/endpoint.json"
shield create store --name disk --plugin fs --endpoint "{\"base_dir\":\"$dir/store\"}"
shield create schedule --name nightly --timespec 'daily 4am'
shield create retention policy --name month --expiry 31d
shield create job --name cache --target cache --store disk --schedule nightly --retention-policy month

echo '# Backup, disaster, restore'
shield run job cache --wait
archive=$(shield --json list archives | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
cli flushall
shield restore archive "$archive" --confirm cache --wait

test "$(cli debug digest)" = "$before"
echo "# Every key is back: digest $before"
