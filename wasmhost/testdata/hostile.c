// A guest that does harm, as far as it can. What, the endpoint says.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>
#include "shield.h"

static const char *endpoint = "";
static void *volatile kept; // else the compiler leaves the memory out
static unsigned char block[4 << 20];

static int does(const char *what) {
	char want[64];
	snprintf(want, sizeof want, "\"do\":\"%s\"", what);
	return strstr(endpoint, want) != NULL;
}

// field copies the value of a field that has no escapes.
static char *field(const char *name) {
	static char value[512];
	char key[64];
	snprintf(key, sizeof key, "\"%s\":\"", name);
	const char *from = strstr(endpoint, key);
	if (!from) return "";
	from += strlen(key);
	size_t n = strcspn(from, "\"");
	if (n >= sizeof value) n = sizeof value - 1;
	memcpy(value, from, n);
	value[n] = 0;
	return value;
}

static int fail(const char *text) {
	fprintf(stderr, "%s\n", text);
	return 4;
}

// lie calls every function with memory and handles that it does not have.
static int lie(void) {
	char *wild[] = {(char *)0xfffffff0, (char *)0x7fffffff, 0};
	for (int k = 0; k < 3; k++) {
		if (sh_open(wild[k], 0x10000) >= 0) return fail("open believed a pointer");
		if (k < 2 && sh_read(0, wild[k], 0xffffffff, 1) >= 0) return fail("read believed a length");
		if (k < 2 && sh_write(1, wild[k], 0xffffffff, 0) >= 0) return fail("write believed a length");
		if (sh_poll(wild[k], 0x20000000, 0) >= 0) return fail("poll believed a count");
		if (k < 2 && sh_stat(-1, wild[k], 0xffffffff) >= 0) return fail("stat believed a length");
	}
	if (sh_read(99, "", 0, 0) >= 0 || sh_close(-7) >= 0 || sh_close(0) >= 0 || sh_copy(5, 6, -1) >= 0 || sh_shut(77) >= 0)
		return fail("a handle that is not there was taken");
	if (sh_read(1, "x", 1, 0) >= 0 || sh_write(0, "x", 1, 0) >= 0) return fail("a stream went the wrong way");
	if (sh_open("{\"tcp\":{\"addr\":7}}", 18) >= 0 || sh_open("[", 1) >= 0 || sh_open("{}", 2) >= 0 ||
	    sh_open("{\"tcp\":{},\"exec\":{}}", 20) >= 0)
		return fail("nonsense was opened");
	puts("no lie was believed");
	return 0;
}

static int dial(void) {
	char d[700];
	int n = snprintf(d, sizeof d, "{\"tcp\":{\"addr\":\"%s\"}}", field("use"));
	return sh_open(d, n) >= 0 ? fail("connected") : 4;
}

static int command(void) {
	char d[700];
	int n = snprintf(d, sizeof d, "{\"exec\":{\"cmd\":\"%s\"}}", field("use"));
	int32_t h = sh_open(d, n);
	if (h < 0) return 4;
	while (sh_copy(1, h, 1 << 20) > 0) {}
	return 0;
}

// handles opens until the host has enough.
static int handles(void) {
	char d[700];
	int n = snprintf(d, sizeof d, "{\"tcp\":{\"addr\":\"%s\",\"async\":true}}", field("addr"));
	for (int k = 0; k < 100000; k++) {
		int32_t h = sh_open(d, n);
		if (h >= 0) continue;
		char text[200] = "";
		sh_stat(-1, text, sizeof text - 1);
		printf("after %d: %s\n", k, text);
		return -h == EMFILE ? 0 : 4;
	}
	return fail("there was no limit");
}

// put opens a request whose body lies in memory.
static int32_t put(uint32_t at, int64_t length) {
	char d[700];
	int n = snprintf(d, sizeof d, "{\"http\":{\"method\":\"PUT\",\"url\":\"%s\",\"memory\":%u,\"length\":%lld}}", field("url"), at, (long long)length);
	return sh_open(d, n);
}

// bodies lends memory that it does not have, and changes and leaves what it
// has lent.
static int bodies(void) {
	uint32_t at = (uint32_t)(uintptr_t)block;
	if (put(0xfffffff0, 64) >= 0 || put(at, 0xffffffff) >= 0 || put(at, 1LL << 40) >= 0 || put(at, 0) >= 0 || put(at, -1) >= 0)
		return fail("a body was believed");
	int32_t h = put(at, sizeof block);
	if (h < 0) return fail("nothing was sent");
	if (sh_write(h, "x", 1, 1) != -EBADF || sh_shut(h) != -EBADF) return fail("there were two bodies");
	puts("sending");
	for (int k = 0; k < 1000; k++) kept = memset(block, k, sizeof block);
	return 0;
}

static int readFile(void) {
	int fd = open(field("use"), O_RDONLY);
	char b[64];
	if (fd < 0) return fail(strerror(errno));
	printf("%.*s", (int)read(fd, b, sizeof b), b);
	return 0;
}

static int linkOut(void) {
	char path[600];
	snprintf(path, sizeof path, "%s/out", field("dir"));
	if (symlink("../../../../../../../../etc/hostname", path) == 0) return fail("a way out was made");
	return 4;
}

__attribute__((noinline)) static unsigned long fib(unsigned long n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

int main(int argc, char **argv) {
	if (argc > 1 && !strcmp(argv[1], "info")) {
		puts("{\"name\":\"hostile\",\"author\":\"tests\",\"version\":\"1\",\"features\":{\"target\":\"yes\",\"store\":\"no\"},"
		     "\"fields\":[{\"mode\":\"target\",\"name\":\"do\",\"type\":\"string\"},{\"mode\":\"target\",\"name\":\"addr\",\"type\":\"string\"},"
		     "{\"mode\":\"target\",\"name\":\"use\",\"type\":\"string\"},{\"mode\":\"target\",\"name\":\"url\",\"type\":\"url\"},{\"mode\":\"target\",\"name\":\"dir\",\"type\":\"abspath\"}],"
		     "\"capabilities\":{\"tcp\":[\"{addr}\"],\"http\":[\"{url}\"],\"write\":[\"{dir}\"],\"exec\":[\"cat\"],\"memory\":\"32MiB\"},\"new\":{\"things\":[]}}");
		return 0;
	}
	for (int k = 1; k + 1 < argc; k++)
		if (!strcmp(argv[k], "--endpoint")) endpoint = argv[k + 1];
	if (does("loop")) for (volatile int x = 0;; x++) {}
	if (does("fib")) return (int)fib(60);
	if (does("fill")) for (;;) kept = memset(block, 1, sizeof block);
	if (does("random")) while (__wasi_random_get(block, sizeof block) == 0) {}
	if (does("alloc")) {
		long n = 0;
		for (char *p; (p = malloc(1 << 20)); n++) kept = memset(p, 1, 1 << 20);
		fprintf(stderr, "malloc failed after %ld MiB\n", n);
		abort();
	}
	if (does("flood")) for (;;) fputs("a line of diagnostics that says nothing at all\n", stderr);
	if (does("long")) for (;;) fputs("no line ever ends ", stderr);
	if (does("sleep")) { sleep(3600); return 0; }
	if (does("input")) { char c; return read(0, &c, 1) == 1 ? 0 : 0; }
	if (does("recurse")) { volatile char b[1 << 16]; b[0] = 1; return main(argc, argv) + b[0]; }
	if (does("late")) {
		if (sh_shut(1) < 0) return 3;
		return write(1, "x", 1) == 1 ? 0 : fail("writing after the end failed, as it has to");
	}
	if (does("escapes")) return fail("\x1b]0;owned\x07\x1b[31mred\x1b[0m \xe2\x80\xae" "bad\xff\rshown");
	if (does("lie")) return lie();
	if (does("dial")) return dial();
	if (does("exec")) return command();
	if (does("handles")) return handles();
	if (does("bodies")) return bodies();
	if (does("read")) return readFile();
	if (does("symlink")) return linkOut();
	if (does("unreachable")) __builtin_trap();
	if (does("nothing")) return 0;
	return fail("what?");
}
