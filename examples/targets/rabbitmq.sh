#!/bin/sh
# Backs up the definitions of a RabbitMQ broker, removes a virtual host,
# restores and compares. It starts a daemon of its own on loopback and ends it
# again; the broker is yours: one for trying things out. Wanted on PATH:
# shieldd, shield, curl, jq. Usage: rabbitmq.sh MODULE with the path of
# rabbitmq.wasm; RABBITMQ_API, RABBITMQ_USER and RABBITMQ_PASSWORD name the
# broker.
set -eu

module=$1
api=${RABBITMQ_API:-http://127.0.0.1:15672}
user=${RABBITMQ_USER:-guest}
password=${RABBITMQ_PASSWORD:-guest}
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
umask 077
printf 'user = "%s:%s"\n' "$user" "$password" >"$dir/curlrc"
call() { curl -sS --fail -K "$dir/curlrc" -H 'Content-Type: application/json' "$@"; }
definitions() { call "$api/api/definitions" | jq -S 'map_values(if type == "array" then sort else . end)'; }

mkdir "$dir/store"
shieldd --data "$dir/data" --listen 127.0.0.1:0 >"$dir/shieldd.out" 2>"$dir/shieldd.err" &
pids="$pids $!"
until grep -q '^listening on' "$dir/shieldd.out"; do sleep 0.1; done
SHIELD_API=$(sed -n 's/^listening on //p' "$dir/shieldd.out")
SHIELD_TOKEN_FILE=$dir/data/admin-token
export SHIELD_API SHIELD_TOKEN_FILE

echo '# Something to lose'
call -X PUT "$api/api/vhosts/example" -d '{}'
call -X PUT "$api/api/queues/example/orders" -d '{"durable":true}'
before=$(definitions)

echo '# The plugin: what it asks for is shown; --yes agrees to it'
shield plugin list | grep -q '^rabbitmq ' || shield plugin install "$module" --yes

echo '# Target, store and job'
printf '{"url":"%s","username":"%s","password":"%s"}' "$api" "$user" "$password" >"$dir/endpoint.json"
shield create target --name broker --plugin rabbitmq --endpoint "@$dir/endpoint.json"
shield create store --name disk --plugin fs --endpoint "{\"base_dir\":\"$dir/store\"}"
shield create schedule --name nightly --timespec 'daily 4am'
shield create retention policy --name month --expiry 31d
shield create job --name broker --target broker --store disk --schedule nightly --retention-policy month

echo '# Backup, disaster, restore'
shield run job broker --wait
archive=$(shield --json list archives | jq -r '.[0].uuid')
call -X DELETE "$api/api/vhosts/example"
shield restore archive "$archive" --confirm broker --wait

test "$(definitions)" = "$before"
echo '# Every definition is back'
