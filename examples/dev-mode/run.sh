#!/bin/sh
# Shows schedules and retention at work within three minutes: a daemon in
# SHIELD_MODE=DEV runs a job every minute that its schedule wants at four in the
# morning; archives are kept for a second, and the last valid one all the same.
# It starts a daemon of its own on loopback and ends it again.
# Wanted on PATH: shieldd, shield. Usage: run.sh
set -eu

dir=$(mktemp -d)
pid=
trap 'kill $pid 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

SHIELD_MODE=DEV shieldd --data "$dir/data" --listen 127.0.0.1:0 >"$dir/shieldd.out" 2>"$dir/shieldd.err" &
pid=$!
until grep -q '^listening on' "$dir/shieldd.out"; do sleep 0.1; done
SHIELD_API=$(sed -n 's/^listening on //p' "$dir/shieldd.out")
SHIELD_TOKEN_FILE=$dir/data/admin-token
export SHIELD_API SHIELD_TOKEN_FILE

mkdir "$dir/files" "$dir/store"
echo 'something worth keeping' >"$dir/files/note"
shield create target --name files --plugin fs --endpoint "{\"base_dir\":\"$dir/files\"}"
shield create store --name disk --plugin fs --endpoint "{\"base_dir\":\"$dir/store\"}"
shield create schedule --name nightly --timespec 'daily 4am'
shield create retention policy --name second --expiry 1s
shield create job --name files --target files --store disk --schedule nightly --retention-policy second
shield status

# pause waits a second, as long as all is well.
pause() {
	waited=$((${waited:-0} + 1))
	if test "$waited" -gt 600 || ! kill -0 $pid; then
		echo 'it does not get there' >&2
		shield list tasks --all >&2
		exit 1
	fi
	sleep 1
}

# count STATUS prints how many archives have it.
count() { shield --json list archives --status "$1" | grep -c '"uuid"' || true; }

echo '# Waiting for the job to run twice'
while test "$(shield --json list runs --status succeeded | grep -c '"uuid"' || true)" -lt 2; do pause; done
shield list runs
echo '# Waiting for retention to purge what has expired'
while test "$(count purged)" -lt 1; do pause; done
shield list archives --all

echo '# The job is paused; all archives but the last valid one go'
shield pause job files
while test "$(count valid)" -gt 1; do pause; done
echo '# Another look of retention, and the last one, which has expired too, is still there'
sleep 65
shield list archives
test "$(count valid)" -eq 1
shield retention preview second
archive=$(shield --json list archives | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
rm "$dir/files/note"
shield restore archive "$archive" --confirm files --wait
cat "$dir/files/note"
