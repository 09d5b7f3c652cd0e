// A target in plain C, without an SDK: it runs a command that prints what is
// to be backed up, and another that reads it back. The bytes go from the
// command to shield by sh_copy and never enter this program.
//
// clang --target=wasm32-wasi -O2 -o target.wasm target.c
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define HOST(name) __attribute__((import_module("shield_v1"), import_name(#name)))
HOST(open) int32_t sh_open(const char *json, uint32_t len);
HOST(read) int32_t sh_read(int32_t h, void *p, uint32_t n, uint32_t flags);
HOST(shut) int32_t sh_shut(int32_t h);
HOST(copy) int64_t sh_copy(int32_t dst, int32_t src, int64_t max);
HOST(stat) int32_t sh_stat(int32_t h, void *p, uint32_t cap);

enum { STDIN = 0, STDOUT = 1 };

static const char info[] =
    "{\"name\": \"commands\", \"author\": \"you\", \"version\": \"1.0.0\","
    " \"summary\": \"a file, by the commands cat and cp\","
    " \"features\": {\"target\": \"yes\", \"store\": \"no\"},"
    " \"fields\": [{\"mode\": \"target\", \"name\": \"file\", \"type\": \"abspath\", \"required\": true,"
    "   \"title\": \"File\", \"example\": \"/srv/state.db\"}],"
    " \"capabilities\": {\"exec\": [\"cat\", \"cp\"], \"memory\": \"1MiB\"}}";

// fail tells shield what went wrong: the last error of the host.
static int fail(const char *what) {
	char text[512];
	int32_t n = sh_stat(-1, text, sizeof text);
	if (n > (int32_t)sizeof text) n = sizeof text;
	fprintf(stderr, "%s: %.*s\n", what, n > 0 ? (int)n : 0, text);
	return 1;
}

// field finds a text in the endpoint. Paths with quotes or backslashes are
// refused rather than misread.
static int field(const char *json, const char *name, char *out, size_t cap) {
	char key[64];
	snprintf(key, sizeof key, "\"%s\":\"", name);
	const char *from = strstr(json, key);
	if (!from) return -1;
	from += strlen(key);
	size_t n = strcspn(from, "\"\\");
	if (from[n] != '"' || n >= cap) return -1;
	memcpy(out, from, n);
	out[n] = 0;
	return 0;
}

// run starts a command with its arguments, as JSON.
static int32_t run(const char *command, const char *args, const char *file) {
	char json[2048];
	int n = snprintf(json, sizeof json, "{\"exec\":{\"cmd\":\"%s\",\"args\":[%s\"%s\"]}}", command, args, file);
	return sh_open(json, n);
}

// ended reports whether the command exited with 0.
static int ended(int32_t h) {
	char text[512];
	int32_t n = sh_stat(h, text, sizeof text - 1);
	if (n < 0 || n >= (int32_t)sizeof text) return 0;
	text[n] = 0;
	return strstr(text, "\"exit\":0,") || strstr(text, "\"exit\":0}");
}

static int backup(const char *file) {
	int32_t h = run("cat", "", file);
	if (h < 0) return fail("cat");
	int64_t n;
	while ((n = sh_copy(STDOUT, h, 1 << 30)) > 0) {}
	if (n < 0) return fail("cat");
	return ended(h) ? 0 : 3;
}

static int restore(const char *file) {
	int32_t h = run("cp", "\"/dev/stdin\",", file);
	if (h < 0) return fail("cp");
	int64_t n;
	while ((n = sh_copy(h, STDIN, 1 << 30)) > 0) {}
	if (n < 0 || sh_shut(h) < 0) return fail("cp");
	return ended(h) ? 0 : 3;
}

int main(int argc, char **argv) {
	char file[1024];
	if (argc > 1 && !strcmp(argv[1], "info")) return puts(info) < 0;
	const char *endpoint = argc > 3 && !strcmp(argv[2], "--endpoint") ? argv[3] : "{}";
	if (field(endpoint, "file", file, sizeof file)) {
		fprintf(stderr, "file is missing, or has quotes in it\n");
		return 12;
	}
	if (argc > 1 && !strcmp(argv[1], "backup")) return backup(file);
	if (argc > 1 && !strcmp(argv[1], "restore")) return restore(file);
	fprintf(stderr, "the action is not supported\n");
	return 2;
}
