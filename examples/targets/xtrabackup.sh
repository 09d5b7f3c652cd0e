#!/bin/sh
# Backs up the data folder of a MariaDB server that runs, loses the folder,
# restores it, has the server started by a granted command and compares. It starts
# a server and a daemon of its own on loopback and ends them again. Wanted on
# PATH: shieldd, shield, mariadbd, mariadb-install-db, mariadb, mariabackup,
# mbstream. It has to be root, or the user that the server runs as.
# Usage: xtrabackup.sh MODULE with the path of xtrabackup.wasm.
set -eu

module=$1
dir=$(mktemp -d /tmp/shield.XXXXXX)
pids=
stop_server() { if test -e "$dir/pid"; then kill "$(cat "$dir/pid")" && patiently test ! -e "$dir/pid"; fi; }
trap 'stop_server 2>/dev/null || true; kill $pids 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
port=${MYSQL_PORT:-13306}
password=example-password
sql() { MYSQL_PWD=$password mariadb --no-defaults --user=root --socket="$dir/s" --batch --skip-column-names "$@"; }

patiently() { # until a command works, for some minutes at most
	n=0
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		test "$n" -lt 1800 || { echo "waited in vain for: $*" >&2; tail -n 5 "$dir"/*.log "$dir"/shieldd.* >&2; exit 1; }
		sleep 0.1
	done
}

# What starts the server; in earnest that is "systemctl start mariadb". The
# server gets a session of its own, since what a granted command leaves behind
# is ended with it, and is there when the command ends.
user=$(id -un)
if test "$user" = root; then user=mysql; fi
cat >"$dir/start" <<START
#!/bin/sh
setsid /usr/sbin/mariadbd --no-defaults --user=$user --datadir=$dir/mysql --tmpdir=$dir --socket=$dir/s --port=$port \\
	--bind-address=127.0.0.1 --pid-file=$dir/pid --log-error=$dir/mysql.log </dev/null >/dev/null 2>&1 &
for _ in \$(seq 600); do test ! -e $dir/pid || exit 0; sleep 0.1; done
echo "mariadbd does not start" >&2
exit 1
START
chmod 755 "$dir" "$dir/start"
mkdir "$dir/mysql" "$dir/store"
if test "$(id -u)" -eq 0; then chown mysql "$dir" "$dir/mysql"; fi
mariadb-install-db --no-defaults --user="$user" --datadir="$dir/mysql" --tmpdir="$dir" \
	--auth-root-authentication-method=normal --skip-test-db >"$dir/install.log" 2>&1
"$dir/start"
shieldd --data "$dir/data" --listen 127.0.0.1:0 >"$dir/shieldd.out" 2>"$dir/shieldd.err" &
pids="$pids $!"
patiently env MYSQL_PWD= mariadb --no-defaults --user=root --socket="$dir/s" -e 'SELECT 1'
patiently grep '^listening on' "$dir/shieldd.out"
SHIELD_API=$(sed -n 's/^listening on //p' "$dir/shieldd.out")
SHIELD_TOKEN_FILE=$dir/data/admin-token
export SHIELD_API SHIELD_TOKEN_FILE

echo '# Some data, and an account for backups'
password='' sql <<SQL
CREATE DATABASE shop; CREATE TABLE shop.customers (id INT PRIMARY KEY, name VARCHAR(50));
INSERT INTO shop.customers VALUES (1, 'Ada'), (2, 'Zoë');
CREATE USER shield@localhost IDENTIFIED BY '$password';
GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO shield@localhost;
SET PASSWORD FOR root@localhost = PASSWORD('$password');
SQL
before=$(sql -e 'SELECT * FROM shop.customers')

echo '# The plugin: what it asks for is shown; --yes agrees to it'
shield plugin list | grep -q '^xtrabackup ' || shield plugin install "$module" --yes

echo '# What starts the server: "mysql-start" is this program, and may be no other'
cat >"$dir/grant.json" <<GRANT
{"write": ["{mysql_datadir}"], "exec": {"mariabackup": {}, "mbstream": {}, "mariadb": {}, "chown": {},
 "mysql-start": {"path": "$dir/start"}}}
GRANT
shield plugin grant xtrabackup "@$dir/grant.json"

echo '# Target, store and job'
printf '{"mysql_socket":"%s/s","mysql_user":"shield","mysql_password":"%s","mysql_datadir":"%s/mysql","mysql_start":true}' \
	"$dir" "$password" "$dir" >"$dir/endpoint.json"
shield create target --name shop --plugin xtrabackup --endpoint "@$dir/endpoint.json"
shield create store --name disk --plugin fs --endpoint "{\"base_dir\":\"$dir/store\"}"
shield create schedule --name nightly --timespec 'daily 4am'
shield create retention policy --name month --expiry 31d
shield create job --name shop --target shop --store disk --schedule nightly --retention-policy month

echo '# Backup, disaster, restore'
shield run job shop --wait
archive=$(shield --json list archives | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
stop_server
rm -rf "$dir/mysql"
mkdir "$dir/mysql"
if test "$(id -u)" -eq 0; then chown mysql "$dir/mysql"; fi
shield restore archive "$archive" --confirm shop --wait

test "$(sql -e 'SELECT * FROM shop.customers')" = "$before"
echo '# Every row is back'
