#!/bin/sh
# Backs up a PostgreSQL container, destroys it with its volume, restores it
# and compares. It starts a container and a daemon of its own and ends them
# again. Wanted: shieldd, shield and docker on PATH, an engine that listens
# where DOCKER_HOST says (else at unix:///var/run/docker.sock), and an image
# of PostgreSQL. Usage: docker-postgres.sh MODULE [IMAGE] with the path of
# docker-postgres.wasm.
set -eu

module=$1
image=${2:-postgres:15}
name=shield-example-$$
dir=$(mktemp -d)
pids=
# shellcheck disable=SC2086 # a list of numbers
trap 'kill $pids 2>/dev/null || true; wait; docker rm -f -v "$name" >/dev/null 2>&1 || true
	docker volume rm "$name" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT INT TERM
mkdir "$dir/store"
shieldd --data "$dir/data" --listen 127.0.0.1:0 >"$dir/shieldd.out" 2>"$dir/shieldd.err" &
pids="$pids $!"

echo '# A container with a volume and a password of its own, and some data'
printf 'POSTGRES_PASSWORD=example-password\n' >"$dir/env"
docker run -d --name "$name" --network none --env-file "$dir/env" -l shield.example=yes \
	-v "$name:/var/lib/postgresql/data" "$image" >/dev/null
until docker exec "$name" pg_isready -q -h 127.0.0.1; do sleep 0.2; done
sql() { docker exec "$name" psql -X -q -A -t -v ON_ERROR_STOP=1 -U postgres "$@"; }
sql -c 'CREATE DATABASE shop'
sql -d shop -c 'CREATE TABLE orders (id serial PRIMARY KEY, what text)' \
	-c "INSERT INTO orders (what) SELECT 'order ' || n FROM generate_series(1, 10000) n"
checksum() { sql -d shop -c "SELECT count(*), md5(string_agg(what, ',' ORDER BY id)) FROM orders"; }
before=$(checksum)

until grep -q '^listening on' "$dir/shieldd.out"; do sleep 0.1; done
SHIELD_API=$(sed -n 's/^listening on //p' "$dir/shieldd.out")
SHIELD_TOKEN_FILE=$dir/data/admin-token
export SHIELD_API SHIELD_TOKEN_FILE

echo '# The plugin: what it asks for is shown; --yes agrees to it'
shield plugin list | grep -q '^docker-postgres ' || shield plugin install "$module" --yes

echo '# Target, store and job: all containers with the label'
shield create target --name containers --plugin docker-postgres \
	--endpoint "{\"socket\":\"${DOCKER_HOST:-unix:///var/run/docker.sock}\",\"image\":\"*postgres*\",\"label\":\"shield.example=yes\"}"
shield create store --name disk --plugin fs --endpoint "{\"base_dir\":\"$dir/store\"}"
shield create schedule --name nightly --timespec 'daily 4am'
shield create retention policy --name month --expiry 31d
shield create job --name containers --target containers --store disk --schedule nightly --retention-policy month

echo '# Backup, disaster, restore'
shield run job containers --wait
archive=$(shield --json list archives | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
docker rm -f -v "$name" >/dev/null
docker volume rm "$name" >/dev/null
shield restore archive "$archive" --confirm containers --wait

test "$(checksum)" = "$before"
echo "# The container and every row are back: $before"
