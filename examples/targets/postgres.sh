#!/bin/sh
# Backs up a PostgreSQL database, destroys it, restores it and compares. It
# starts a server and a daemon of its own on loopback and ends them again; as
# root it runs the server as the user postgres. Wanted: shieldd and shield on
# PATH, and Debian's postgresql. Usage: postgres.sh MODULE with the path of
# postgres.wasm.
set -eu

module=$1
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
dir=$(mktemp -d)
pids=
# shellcheck disable=SC2086 # a list of numbers
trap 'kill $pids 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
export PGHOST=127.0.0.1 PGPORT="${PGPORT:-15432}" PGUSER=postgres PGPASSWORD=example-password
as_postgres=
mkdir "$dir/pg" "$dir/store"
printf %s "$PGPASSWORD" >"$dir/pw"
if test "$(id -u)" -eq 0; then
	as_postgres='setpriv --reuid=postgres --regid=postgres --clear-groups'
	chmod 755 "$dir"
	chown postgres "$dir/pg" "$dir/pw"
fi
cd "$dir/pg"
$as_postgres "$bin/initdb" -D data -U "$PGUSER" -A scram-sha-256 --pwfile="$dir/pw" -E UTF8 --no-locale >initdb.log
$as_postgres "$bin/postgres" -D data -p "$PGPORT" -k "$dir/pg" -c listen_addresses=127.0.0.1 >server.log 2>&1 &
pids="$pids $!"
shieldd --data "$dir/data" --listen 127.0.0.1:0 >"$dir/shieldd.out" 2>"$dir/shieldd.err" &
pids="$pids $!"
until "$bin/pg_isready" -q; do sleep 0.1; done
until grep -q '^listening on' "$dir/shieldd.out"; do sleep 0.1; done
SHIELD_API=$(sed -n 's/^listening on //p' "$dir/shieldd.out")
SHIELD_TOKEN_FILE=$dir/data/admin-token
export SHIELD_API SHIELD_TOKEN_FILE
sql() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }

echo '# Some data, and an account for backups that can read and do nothing else'
sql -d postgres -c 'CREATE DATABASE shop' -c "CREATE ROLE backup LOGIN PASSWORD 'backup-password'" \
	-c 'GRANT pg_read_all_data TO backup'
sql -d shop -c 'CREATE TABLE orders (id serial PRIMARY KEY, what text)' \
	-c "INSERT INTO orders (what) SELECT 'order ' || n FROM generate_series(1, 10000) n"
checksum() { sql -d shop -c "SELECT count(*), md5(string_agg(what, ',' ORDER BY id)) FROM orders"; }
before=$(checksum)

echo '# The plugin: what it asks for is shown; --yes agrees to it'
shield plugin list | grep -q '^postgres ' || shield plugin install "$module" --yes

echo '# Two targets: the database as the account for backups, and as one that may restore it'
printf '{"pg_host":"127.0.0.1","pg_port":%s,"pg_user":"backup","pg_password":"backup-password","pg_database":"shop"}' \
	"$PGPORT" >"$dir/backup.json"
printf '{"pg_host":"127.0.0.1","pg_port":%s,"pg_user":"postgres","pg_password":"%s","pg_database":"shop"}' \
	"$PGPORT" "$PGPASSWORD" >"$dir/restore.json"
shield create target --name shop --plugin postgres --endpoint "@$dir/backup.json"
shield create target --name shop-restore --plugin postgres --endpoint "@$dir/restore.json"
shield create store --name disk --plugin fs --endpoint "{\"base_dir\":\"$dir/store\"}"
shield create schedule --name nightly --timespec 'daily 4am'
shield create retention policy --name month --expiry 31d
shield create job --name shop --target shop --store disk --schedule nightly --retention-policy month

echo '# Backup, disaster, restore'
shield run job shop --wait
archive=$(shield --json list archives | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
sql -d postgres -c 'DROP DATABASE shop'
shield restore archive "$archive" --to shop-restore --confirm shop-restore --wait

test "$(checksum)" = "$before"
echo "# Every row is back: $before"
