// A target as an Extism module, in plain C: functions named after the
// actions, the request as JSON in, the answer as JSON out. The blob goes
// through standard input and output, since Extism's own memory is slow.
// Extism's kits for other languages wrap the imports below.
//
// clang --target=wasm32-wasi -O2 -mexec-model=reactor -o target.wasm extism.c
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXTISM(name) __attribute__((import_module("extism:host/env"), import_name(#name)))
EXTISM(input_length) uint64_t input_length(void);
EXTISM(input_load_u8) uint32_t input_load_u8(uint64_t at);
EXTISM(alloc) uint64_t extism_alloc(uint64_t n);
EXTISM(store_u8) void store_u8(uint64_t at, uint32_t v);
EXTISM(output_set) void output_set(uint64_t at, uint64_t n);
EXTISM(error_set) void error_set(uint64_t at);
#define ACTION(name) __attribute__((export_name(#name))) int32_t name##_action(void)

static uint64_t block(const char *text) {
	uint64_t n = strlen(text), at = extism_alloc(n);
	for (uint64_t k = 0; k < n; k++) store_u8(at + k, text[k]);
	return at;
}

// fail reports an error: a line as executables write it keeps its code.
static int32_t fail(const char *code, const char *message) {
	char line[512];
	snprintf(line, sizeof line, "shield-error: {\"code\":\"%s\",\"message\":\"%s\"}", code, message);
	error_set(block(line));
	return 4;
}

// folder finds the folder in the request.
static int folder(char *out, size_t cap) {
	static char request[8192];
	uint64_t n = input_length();
	if (n >= sizeof request) return -1;
	for (uint64_t k = 0; k < n; k++) request[k] = input_load_u8(k);
	request[n] = 0;
	const char *from = strstr(request, "\"folder\":\"");
	if (!from) return -1;
	from += strlen("\"folder\":\"");
	size_t len = strcspn(from, "\"\\");
	if (from[len] != '"' || len >= cap) return -1;
	memcpy(out, from, len);
	out[len] = 0;
	return 0;
}

static int missing(void) { return fail("invalid", "the field folder is missing"); }

static FILE *content(const char *dir, const char *suffix, const char *mode, char *path, size_t cap) {
	snprintf(path, cap, "%s/content%s", dir, suffix);
	return fopen(path, mode);
}

// copy returns 0 only if all of it was read and written.
static int copy(FILE *from, FILE *to) {
	static char buf[256 << 10];
	size_t n;
	while ((n = fread(buf, 1, sizeof buf, from)) > 0)
		if (fwrite(buf, 1, n, to) != n) return -1;
	return ferror(from) || fflush(to) ? -1 : 0;
}

ACTION(info) {
	static const char text[] =
	    "{\"name\": \"extism-file\", \"author\": \"you\", \"version\": \"1.0.0\","
	    " \"features\": {\"target\": \"yes\", \"store\": \"no\"},"
	    " \"fields\": [{\"mode\": \"target\", \"name\": \"folder\", \"type\": \"abspath\", \"required\": true}],"
	    " \"actions\": [\"probe\"],"
	    " \"capabilities\": {\"write\": [\"{folder}\"], \"memory\": \"16MiB\"}}";
	output_set(block(text), strlen(text));
	return 0;
}

ACTION(backup) {
	char dir[900], path[1024];
	if (folder(dir, sizeof dir)) return missing();
	FILE *f = content(dir, "", "r", path, sizeof path);
	if (!f) return fail("target_failed", "there is no file content in the folder");
	int bad = copy(f, stdout);
	fclose(f);
	return bad ? fail("target_failed", "reading the file") : 0;
}

ACTION(probe) {
	char dir[900], path[1024], answer[100];
	if (folder(dir, sizeof dir)) return missing();
	FILE *f = content(dir, "", "r", path, sizeof path);
	if (!f) return fail("target_failed", "there is no file content in the folder");
	int bad = fseek(f, 0, SEEK_END);
	snprintf(answer, sizeof answer, "{\"counts\": {\"bytes\": %ld}}", ftell(f));
	fclose(f);
	if (bad) return fail("target_failed", "measuring the file");
	output_set(block(answer), strlen(answer));
	return 0;
}

ACTION(restore) {
	char dir[900], part[1024], path[1024];
	if (folder(dir, sizeof dir)) return missing();
	FILE *f = content(dir, ".part", "w", part, sizeof part);
	if (!f) return fail("target_failed", "the folder cannot be written");
	int bad = copy(stdin, f);
	if (fclose(f) || bad) return remove(part), fail("target_failed", "writing the file");
	memcpy(path, part, sizeof path);
	path[strlen(path) - strlen(".part")] = 0;
	return rename(part, path) ? fail("target_failed", "renaming the file") : 0;
}
