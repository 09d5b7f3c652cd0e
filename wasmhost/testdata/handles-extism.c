// An Extism module that uses the handles of extism:host/user as its endpoint
// tells it to.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ENV(name) __attribute__((import_module("extism:host/env"), import_name(#name)))
#define USER(name) __attribute__((import_module("extism:host/user"), import_name("shield_" #name)))
ENV(input_length) uint64_t input_length(void);
ENV(input_load_u8) uint32_t input_load_u8(uint64_t at);
ENV(alloc) uint64_t extism_alloc(uint64_t n);
ENV(free) void extism_free(uint64_t at);
ENV(length) uint64_t extism_length(uint64_t at);
ENV(load_u8) uint32_t load_u8(uint64_t at);
ENV(store_u8) void store_u8(uint64_t at, uint32_t v);
ENV(output_set) void output_set(uint64_t at, uint64_t n);
ENV(error_set) void error_set(uint64_t at);
USER(open) int64_t host_open(uint64_t descriptor);
USER(read) int64_t host_read(int64_t h, uint64_t max);
USER(write) int64_t host_write(int64_t h, uint64_t block);
USER(copy) int64_t host_copy(int64_t dst, int64_t src, uint64_t max);
USER(shut) int64_t host_shut(int64_t h);
USER(stat) int64_t host_stat(int64_t h);
USER(close) int64_t host_close(int64_t h);
#define ACTION(name) __attribute__((export_name(#name))) int32_t name##_action(void)

static uint64_t block_of(const char *p, uint64_t n) {
	uint64_t at = extism_alloc(n);
	for (uint64_t k = 0; k < n; k++) store_u8(at + k, p[k]);
	return at;
}

static uint64_t block(const char *text) { return block_of(text, strlen(text)); }

// text returns the content of a block.
static const char *text(int64_t at, char *out, size_t cap) {
	uint64_t n = at > 0 ? extism_length(at) : 0;
	if (n >= cap) n = cap - 1;
	for (uint64_t k = 0; k < n; k++) out[k] = load_u8(at + k);
	out[n] = 0;
	return out;
}

static int32_t fail(const char *what) {
	char buf[1024], line[2048];
	snprintf(line, sizeof line, "%s: %s", what, text(host_stat(-1), buf, sizeof buf));
	error_set(block(line));
	return 4;
}

// field finds a field of the request.
static const char *field(const char *name, char *out, size_t cap) {
	static char request[8192], key[64];
	uint64_t n = input_length();
	if (n >= sizeof request) n = sizeof request - 1;
	for (uint64_t k = 0; k < n; k++) request[k] = input_load_u8(k);
	request[n] = 0;
	snprintf(key, sizeof key, "\"%s\":\"", name);
	const char *from = strstr(request, key);
	out[0] = 0;
	if (!from) return out;
	from += strlen(key);
	size_t len = strcspn(from, "\"");
	if (len >= cap) len = cap - 1;
	memcpy(out, from, len);
	out[len] = 0;
	return out;
}

static int64_t open_as(const char *format, const char *name) {
	char value[1024], descriptor[2048];
	snprintf(descriptor, sizeof descriptor, format, field(name, value, sizeof value));
	return host_open(block(descriptor));
}

// drain writes all that can be read to standard output, max bytes at a time.
static int drain(int64_t h, uint64_t max) {
	for (;;) {
		int64_t at = host_read(h, max);
		if (at <= 0) return at < 0 ? -1 : fflush(stdout);
		uint64_t n = extism_length(at);
		if (n > max) return -1;
		for (uint64_t k = 0; k < n; k++) putchar(load_u8(at + k));
		extism_free(at);
	}
}

// talk writes a text, ends the writing side, and takes what comes back.
static int32_t talk(int64_t h, const char *say) {
	if (h < 0) return fail("open");
	if (host_write(h, block(say)) != (int64_t)strlen(say)) return fail("write");
	if (host_shut(h)) return fail("shut");
	if (drain(h, 7)) return fail("read");
	char buf[1024];
	printf(" | %s", text(host_stat(h), buf, sizeof buf));
	fflush(stdout);
	return host_close(h) ? fail("close") : 0;
}

// errors uses everything wrong, and says what came of it.
static int32_t errors(void) {
	char buf[1024];
	printf("open %lld", (long long)host_open(block("nonsense")));
	printf(" %s", *text(host_stat(-1), buf, sizeof buf) ? "told" : "mute");
	printf(", read %lld", (long long)host_read(77, 10));
	printf(", write %lld", (long long)host_write(77, block("x")));
	printf(", no block %lld", (long long)host_write(1, 1ull << 60));
	printf(", no descriptor %lld", (long long)host_open(1ull << 60));
	printf(", copy %lld", (long long)host_copy(1, 77, 10));
	printf(", shut %lld", (long long)host_shut(77));
	printf(", stat %lld", (long long)host_stat(77));
	printf(", close %lld", (long long)host_close(77));
	printf(", close stdout %lld", (long long)host_close(1));
	return fflush(stdout);
}

ACTION(info) {
	uint64_t at = block(
	    "{\"name\": \"handles\", \"author\": \"tests\", \"version\": \"1.0.0\","
	    " \"features\": {\"target\": \"yes\", \"store\": \"no\"}, \"fields\": ["
	    "{\"mode\": \"target\", \"name\": \"do\", \"type\": \"string\", \"required\": true},"
	    "{\"mode\": \"target\", \"name\": \"addr\", \"type\": \"string\"},"
	    "{\"mode\": \"target\", \"name\": \"url\", \"type\": \"url\"},"
	    "{\"mode\": \"target\", \"name\": \"use\", \"type\": \"string\"}],"
	    " \"capabilities\": {\"tcp\": [\"{addr}\"], \"http\": [\"{url}\"], \"exec\": [\"rev\"], \"memory\": \"16MiB\"}}");
	output_set(at, extism_length(at));
	return 0;
}

ACTION(backup) {
	char what[64];
	field("do", what, sizeof what);
	if (!strcmp(what, "tcp")) return talk(open_as("{\"tcp\":{\"addr\":\"%s\"}}", "addr"), "hello");
	if (!strcmp(what, "http")) return talk(open_as("{\"http\":{\"method\":\"PUT\",\"url\":\"%s\",\"length\":-1}}", "url"), "hello");
	if (!strcmp(what, "exec")) return talk(open_as("{\"exec\":{\"cmd\":\"%s\"}}", "use"), "hello\n");
	if (!strcmp(what, "other")) return talk(open_as("{\"tcp\":{\"addr\":\"%s\"}}", "use"), "hello");
	if (!strcmp(what, "ignore")) return open_as("{\"tcp\":{\"addr\":\"%s\"}}", "use") == -63 ? 0 : fail("open");
	if (!strcmp(what, "errors")) return errors();
	if (strcmp(what, "copy")) return fail("nothing to do");
	// All that a connection gives, without any of it entering this module.
	int64_t n, h = open_as("{\"tcp\":{\"addr\":\"%s\"}}", "addr");
	if (h < 0) return fail("open");
	while ((n = host_copy(1, h, 1 << 20)) > 0) {}
	return n < 0 ? fail("copy") : 0;
}

ACTION(restore) {
	int64_t n, h = open_as("{\"tcp\":{\"addr\":\"%s\"}}", "addr");
	if (h < 0) return fail("open");
	while ((n = host_copy(h, 0, 1 << 20)) > 0) {}
	if (n < 0) return fail("copy");
	if (host_shut(h)) return fail("shut");
	int64_t at = host_read(h, 2);
	char buf[8];
	return strcmp(text(at, buf, sizeof buf), "ok") ? fail("the other side") : 0;
}
