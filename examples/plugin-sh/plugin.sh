#!/bin/sh
# A target and a store for shield in POSIX shell, with jq to read and write
# JSON. The target is a directory, backed up as a tar stream; the store is a
# directory with one file a blob.
set -eu

fail() { # STATUS CODE FIELD MESSAGE: the last line of a failure is for shield
	jq -cn --arg c "$2" --arg f "$3" --arg m "$4" \
		'{code: $c, field: $f, message: $m} | del(.[] | select(. == ""))' |
		sed 's/^/shield-error: /' >&2
	exit "$1"
}

info() {
	cat <<'END'
{
  "name": "plugin-sh",
  "author": "shield",
  "version": "1.0.0",
  "summary": "a directory, as a target and as a store",
  "features": {"target": "yes", "store": "yes"},
  "endpoint": "fd",
  "naming": true,
  "actions": ["test", "list"],
  "fields": [
    {"mode": "both", "name": "dir", "type": "abspath", "required": true,
     "title": "Directory", "example": "/srv/data"},
    {"mode": "both", "name": "password", "type": "password",
     "help": "not used: it shows how a secret is declared"}
  ]
}
END
}

action=${1:-}
[ $# -eq 0 ] || shift
key= name= prefix=
while [ $# -gt 0 ]; do
	[ $# -gt 1 ] || fail 1 plugin_failed '' "$1 needs a value"
	case $1 in
	--key) key=$2 ;;
	--name) name=$2 ;;
	--prefix) prefix=$2 ;;
	--role) ;; # both roles have the same field and the same test
	*) fail 1 plugin_failed '' "unknown flag $1" ;;
	esac
	shift 2
done
[ "$action" != info ] || { info; exit 0; }

dir=$(jq -r '.dir // ""' <&3) || fail 10 invalid endpoint 'is not valid JSON'
[ -n "$dir" ] || fail 12 invalid endpoint.dir 'is missing: a directory is wanted'
[ -d "$dir" ] || fail 4 unavailable endpoint.dir "$dir is not a directory"

# A key becomes one file name, in base64 with "_" for "/": it cannot climb out
# of the directory, and no blob is called like an unfinished one.
path() { printf '%s/b.%s' "$dir" "$(printf %s "$1" | jq -sRr @base64 | tr /+ _-)"; }

store() {
	[ -n "$name" ] || name=$(date -u +%Y%m%dT%H%M%SZ)-$$
	file=$(path "$name")
	[ ${#file} -lt $((${#dir} + 255)) ] || fail 4 invalid key 'is too long for a file name'
	part=$(mktemp "$dir/unfinished.XXXXXX")
	# The blob gets its name only after the end of the input. When shield
	# stops this program instead, the traps remove what there is.
	trap 'rm -f "$part"' EXIT
	trap 'exit 4' TERM INT HUP
	cat >"$part"
	sync "$part"
	mv "$part" "$file"
	sync "$dir"
	jq -cn --arg k "$name" --argjson n "$(wc -c <"$file")" '{key: $k, size: $n, archive_size: $n}'
}

case $action in
backup)
	# Not left to "set -e": tar's own status 2 would mean something else here.
	tar -C "$dir" -cf - . || fail 4 target_failed '' 'tar has failed'
	;;
restore)
	tar -C "$dir" -xf - || fail 4 target_failed '' 'tar has failed'
	cat >/dev/null # tar may stop at its end mark; the input must be read to its end
	;;
store) store ;;
retrieve)
	[ -f "$(path "$key")" ] || fail 5 not_found key "there is no blob $key"
	cat "$(path "$key")"
	;;
purge) rm -f "$(path "$key")" ;;
test) [ -w "$dir" ] || fail 4 forbidden endpoint.dir "$dir cannot be written" ;;
list)
	for file in "$dir"/b.*; do
		[ -f "$file" ] || continue
		jq -cn --arg f "$(printf %s "${file##*/b.}" | tr _- /+)" --arg p "$prefix" \
			--argjson n "$(wc -c <"$file")" --arg t "$(date -u -r "$file" +%Y-%m-%dT%H:%M:%SZ)" \
			'{key: ($f | @base64d), size: $n, modified_at: $t} | select(.key | startswith($p))'
	done
	;;
*) fail 2 plugin_failed '' "the action '$action' is not supported" ;;
esac
