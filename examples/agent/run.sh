#!/bin/sh
# Redis by its own disk: an agent beside it has the server save, reads the file,
# and restores by placing the file and restarting the server. The script starts a
# server, a daemon and an agent of its own on loopback and ends them again. Wanted
# on PATH: shieldd, shield, shield-agent, redis-server, redis-cli.
# Usage: run.sh [MODULE] with the path of redis.wasm, where it was not built in.
set -eu

dir=$(mktemp -d)
pids=
port=${REDIS_PORT:-16380}
export REDISCLI_AUTH=example-password NO_PROXY=127.0.0.1
cli() { redis-cli -p "$port" "$@"; }
trap 'cli shutdown nosave 2>/dev/null || true; kill $pids 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

mkdir "$dir/redis" "$dir/store"
# What restarts the server. Under systemd it would be: systemctl restart redis
cat >"$dir/restart" <<END
#!/bin/sh
PATH=$PATH REDISCLI_AUTH=$REDISCLI_AUTH
export PATH REDISCLI_AUTH
redis-cli -p $port shutdown nosave >/dev/null 2>&1
# Detached: what is left of a plugin's processes is killed when its call ends.
setsid -f redis-server "$dir/redis.conf" >>"$dir/redis.log" 2>&1 </dev/null
until redis-cli -p $port ping >/dev/null 2>&1; do sleep 0.1; done
END
chmod 755 "$dir/restart"
printf 'port %s\nbind 127.0.0.1\ndir %s\nsave ""\nrequirepass %s\nenable-debug-command yes\n' "$port" "$dir/redis" "$REDISCLI_AUTH" >"$dir/redis.conf"
"$dir/restart"
shieldd --data "$dir/data" --listen 127.0.0.1:0 --agent-listen 127.0.0.1:0 >"$dir/shieldd.out" 2>"$dir/shieldd.err" &
pids="$pids $!"
until grep -q '^listening on' "$dir/shieldd.out"; do sleep 0.1; done
SHIELD_API=$(sed -n 's/^listening on //p' "$dir/shieldd.out")
SHIELD_TOKEN_FILE=$dir/data/admin-token
export SHIELD_API SHIELD_TOKEN_FILE

echo '# Some data'
cli set greeting hello
cli hset user:1 name Ada born 1815
cli -n 2 set elsewhere yes
before=$(cli debug digest)

echo '# The agent joins with a token that is used once'
SHIELD_AGENT_TOKEN=$(shield create agent-token --name cache-host --ttl 10m --labels role=cache)
export SHIELD_AGENT_TOKEN
shield-agent --core "https://$(sed -n 's/^agents dial //p' "$dir/shieldd.out")" --name cache-host --state "$dir/agent" \
	--allow-path "$dir/redis" 2>"$dir/agent.err" &
pids="$pids $!"
until shield --json list agents | grep -q '"connected": true'; do sleep 0.1; done
shield list agents

echo '# What the plugin may do on that host: the command that restarts the server'
shield plugin list | grep -q '^redis ' || shield plugin install "$1" --yes
cat >"$dir/endpoint.json" <<END
{"mode": "local", "host": "127.0.0.1", "port": $port, "password": "$REDISCLI_AUTH", "data_dir": "$dir/redis"}
END
shield create target --name cache --plugin redis --endpoint "@$dir/endpoint.json" --agent cache-host
shield plugin grant redis "{\"tcp\": [\"{host}:{port}\"], \"own\": [\"{data_dir}\"], \"exec\": {\"redis-restart\": {\"path\": \"$dir/restart\"}}}"
shield test target cache --wait

echo '# The store is a folder of the daemon, so the bytes go there through it'
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
