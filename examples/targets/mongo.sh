#!/bin/sh
# Backs up a MongoDB server, loses it, restores into a new one and compares.
# It starts servers and a daemon of its own on loopback and ends them again;
# ferretdb, which speaks MongoDB's protocol, stands for the server. Wanted on
# PATH: shieldd, shield, ferretdb, mongodump, mongorestore, mongoimport,
# mongoexport. Usage: mongo.sh MODULE with the path of mongo.wasm.
set -eu

module=$1
dir=$(mktemp -d)
pids=
server=
trap 'kill $pids $server 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
port=${MONGO_PORT:-17017}
password=example-password
bindir=$(dirname "$(command -v mongodump)")
printf 'uri: "mongodb://root:%s@127.0.0.1:%s/?authSource=admin"\n' "$password" "$port" >"$dir/mongo.yaml"
export_all() { mongoexport --config="$dir/mongo.yaml" --quiet --db=shop --collection=customers --sort='{_id: 1}'; }

patiently() { # until a command works, for some minutes at most
	n=0
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		test "$n" -lt 1800 || { echo "waited in vain for: $*" >&2; tail -n 5 "$dir"/*.log "$dir"/shieldd.* >&2; exit 1; }
		sleep 0.1
	done
}

start() {
	rm -rf "$dir/db" "$dir/state"
	mkdir "$dir/db" "$dir/state"
	DO_NOT_TRACK=1 ferretdb --handler=sqlite --sqlite-url="file:$dir/db/" --state-dir="$dir/state" \
		--listen-addr="127.0.0.1:$port" --debug-addr=- --telemetry=disable --log-level=error \
		--test-enable-new-auth --setup-username=root --setup-password="$password" --setup-database=admin >"$dir/server.log" 2>&1 &
	server=$!
	patiently export_all
}

mkdir "$dir/store"
start
shieldd --data "$dir/data" --listen 127.0.0.1:0 >"$dir/shieldd.out" 2>"$dir/shieldd.err" &
pids="$pids $!"
patiently grep '^listening on' "$dir/shieldd.out"
SHIELD_API=$(sed -n 's/^listening on //p' "$dir/shieldd.out")
SHIELD_TOKEN_FILE=$dir/data/admin-token
export SHIELD_API SHIELD_TOKEN_FILE

echo '# Some data'
mongoimport --config="$dir/mongo.yaml" --quiet --db=shop --collection=customers <<JSON
{"_id": 1, "name": "Ada", "born": {"\$date": "1815-12-10T00:00:00Z"}}
{"_id": 2, "name": "Zoë", "orders": [{"n": {"\$numberLong": "9007199254740993"}}]}
JSON
before=$(export_all)

echo '# The plugin: what it asks for is shown; --yes agrees to it'
shield plugin list | grep -q '^mongo ' || shield plugin install "$module" --yes

echo '# Target, store and job'
printf '{"mongo_port":%s,"mongo_user":"root","mongo_password":"%s","mongo_bindir":"%s"}' \
	"$port" "$password" "$bindir" >"$dir/endpoint.json"
shield create target --name shop --plugin mongo --endpoint "@$dir/endpoint.json"
shield create store --name disk --plugin fs --endpoint "{\"base_dir\":\"$dir/store\"}"
shield create schedule --name nightly --timespec 'daily 4am'
shield create retention policy --name month --expiry 31d
shield create job --name shop --target shop --store disk --schedule nightly --retention-policy month

echo '# Backup, disaster, restore'
shield run job shop --wait
archive=$(shield --json list archives | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
kill -9 "$server"
wait "$server" 2>/dev/null || true
start
test -z "$(export_all)"
shield restore archive "$archive" --confirm shop --wait

test "$(export_all)" = "$before"
echo '# Every document is back'
