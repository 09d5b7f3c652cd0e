#!/bin/sh
# Backs up a folder, loses it, restores it and compares. It starts a daemon of
# its own on loopback and ends it again. Wanted on PATH: shieldd, shield.
# Usage: fs.sh
set -eu

dir=$(mktemp -d)
pid=
trap 'kill $pid 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

shieldd --data "$dir/data" --listen 127.0.0.1:0 >"$dir/shieldd.out" 2>"$dir/shieldd.err" &
pid=$!
until grep -q '^listening on' "$dir/shieldd.out"; do sleep 0.1; done
SHIELD_API=$(sed -n 's/^listening on //p' "$dir/shieldd.out")
SHIELD_TOKEN_FILE=$dir/data/admin-token
export SHIELD_API SHIELD_TOKEN_FILE

echo '# Some files: a program, a symlink, two names of one file, a hole, a FIFO'
mkdir "$dir/files" "$dir/files/empty" "$dir/store"
cp /bin/sh "$dir/files/program"
ln -s program "$dir/files/link"
ln "$dir/files/program" "$dir/files/twin"
truncate -s 10M "$dir/files/hole"
mkfifo -m 600 "$dir/files/fifo"
echo scratch >"$dir/files/left.tmp"
listing() { (cd "$1" && find . ! -name '*.tmp' -printf '%p %y %m %s %T@ %n %l\n' | sort && find . -type f ! -name '*.tmp' -exec sha256sum {} + | sort); }
listing "$dir/files" >"$dir/before"

echo '# Target, store and job'
shield create target --name files --plugin fs --endpoint "{\"base_dir\":\"$dir/files\",\"exclude\":\"*.tmp\",\"strict\":true}"
shield create target --name elsewhere --plugin fs --endpoint "{\"base_dir\":\"$dir/elsewhere\"}"
shield create store --name disk --plugin fs --endpoint "{\"base_dir\":\"$dir/store\",\"min_free\":\"100MiB\"}"
shield create schedule --name nightly --timespec 'daily 4am'
shield create retention policy --name month --expiry 31d
shield create job --name files --target files --store disk --schedule nightly --retention-policy month
shield probe target files

echo '# Backup, disaster, restore; then a second time into another folder'
shield run job files --wait
archive=$(shield --json list archives | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
rm -rf "$dir/files"
shield restore archive "$archive" --confirm files --wait
shield restore archive "$archive" --to elsewhere --confirm elsewhere --wait

listing "$dir/files" | diff "$dir/before" -
listing "$dir/elsewhere" | diff "$dir/before" -
echo '# Every file is back, twice'
