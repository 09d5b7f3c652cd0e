#!/bin/sh
# Backs up a MariaDB server, drops a database, restores it and compares. It
# starts a server and a daemon of its own on loopback and ends them again.
# Wanted on PATH: shieldd, shield, mariadbd, mariadb-install-db, mariadb,
# mariadb-dump. Usage: mysql.sh MODULE with the path of mysql.wasm.
set -eu

module=$1
dir=$(mktemp -d /tmp/shield.XXXXXX)
pids=
trap 'kill $pids 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
port=${MYSQL_PORT:-13306}
export MYSQL_PWD=example-password
sql() { mariadb --no-defaults --user=root --socket="$dir/s" --batch --skip-column-names "$@"; }
patiently() { # until a command works, for some minutes at most
	n=0
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		test "$n" -lt 1800 || { echo "waited in vain for: $*" >&2; tail -n 5 "$dir"/*.log "$dir"/shieldd.* >&2; exit 1; }
		sleep 0.1
	done
}
user=$(id -un)
if test "$user" = root; then user=mysql; fi # the server refuses to run as root

mkdir "$dir/mysql" "$dir/store"
if test "$(id -u)" -eq 0; then chmod 755 "$dir" && chown mysql "$dir" "$dir/mysql"; fi
mariadb-install-db --no-defaults --user="$user" --datadir="$dir/mysql" --tmpdir="$dir" \
	--auth-root-authentication-method=normal --skip-test-db >"$dir/install.log" 2>&1
mariadbd --no-defaults --user="$user" --datadir="$dir/mysql" --tmpdir="$dir" --socket="$dir/s" --port="$port" \
	--bind-address=127.0.0.1 --pid-file="$dir/pid" >"$dir/mysql.log" 2>&1 &
pids="$pids $!"
shieldd --data "$dir/data" --listen 127.0.0.1:0 >"$dir/shieldd.out" 2>"$dir/shieldd.err" &
pids="$pids $!"
patiently env MYSQL_PWD= mariadb --no-defaults --user=root --socket="$dir/s" -e 'SELECT 1'
patiently grep '^listening on' "$dir/shieldd.out"
SHIELD_API=$(sed -n 's/^listening on //p' "$dir/shieldd.out")
SHIELD_TOKEN_FILE=$dir/data/admin-token
export SHIELD_API SHIELD_TOKEN_FILE
MYSQL_PWD='' sql -e "SET PASSWORD FOR root@localhost = PASSWORD('$MYSQL_PWD')"

echo '# Some data, and an account that may read it and no more'
sql <<SQL
CREATE DATABASE shop; USE shop;
CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50));
INSERT INTO customers (name) VALUES ('Ada'), ('Zoë');
CREATE VIEW names AS SELECT name FROM customers;
CREATE USER shield@'127.0.0.1' IDENTIFIED BY '$MYSQL_PWD';
GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON shop.* TO shield@'127.0.0.1';
GRANT SELECT ON mysql.proc TO shield@'127.0.0.1';
CREATE USER restorer@'127.0.0.1' IDENTIFIED BY '$MYSQL_PWD';
GRANT ALL ON *.* TO restorer@'127.0.0.1';
SQL
before=$(sql -e 'SELECT * FROM shop.customers; SELECT * FROM shop.names')

echo '# The plugin: what it asks for is shown; --yes agrees to it'
shield plugin list | grep -q '^mysql ' || shield plugin install "$module" --yes

echo '# Targets, store and job: one account backs up, another restores'
for user in shield restorer; do
	printf '{"mysql_host":"127.0.0.1","mysql_port":%s,"mysql_user":"%s","mysql_password":"%s","mysql_database":"shop"}' \
		"$port" "$user" "$MYSQL_PWD" >"$dir/$user.json"
done
shield create target --name shop --plugin mysql --endpoint "@$dir/shield.json"
shield create target --name shop-restore --plugin mysql --endpoint "@$dir/restorer.json"
shield create store --name disk --plugin fs --endpoint "{\"base_dir\":\"$dir/store\"}"
shield create schedule --name nightly --timespec 'daily 4am'
shield create retention policy --name month --expiry 31d
shield create job --name shop --target shop --store disk --schedule nightly --retention-policy month

echo '# Backup, disaster, restore'
shield run job shop --wait
archive=$(shield --json list archives | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
sql -e 'DROP DATABASE shop'
shield restore archive "$archive" --to shop-restore --confirm shop-restore --wait

test "$(sql -e 'SELECT * FROM shop.customers; SELECT * FROM shop.names')" = "$before"
echo '# Every row is back'
