// A guest that sends the file service the requests of its endpoint, byte for
// byte, and prints the answers, a line of hexadecimal digits each.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "shield.h"

static const char info[] =
    "{\"name\": \"requests\", \"author\": \"tests\", \"version\": \"1.0.0\","
    " \"features\": {\"target\": \"yes\", \"store\": \"no\"}, \"fields\": ["
    "{\"mode\": \"target\", \"name\": \"dir\", \"type\": \"abspath\", \"required\": true},"
    "{\"mode\": \"target\", \"name\": \"requests\", \"type\": \"text\"},"
    "{\"mode\": \"target\", \"name\": \"end\", \"type\": \"string\"}],"
    " \"capabilities\": {\"read\": [\"{dir}\"], \"write\": [\"{dir}\"], \"own\": [\"{dir}\"], \"memory\": \"16MiB\"}}";

static char *field(const char *endpoint, const char *name) {
	char key[64];
	snprintf(key, sizeof key, "\"%s\":\"", name);
	const char *from = strstr(endpoint, key);
	if (!from) return "";
	from += strlen(key);
	return strndup(from, strcspn(from, "\""));
}

// ask sends one request in hexadecimal digits.
static void ask(int32_t h, const char *hex, size_t n) {
	static unsigned char buf[1 << 20];
	for (size_t k = 0; k < n / 2; k++) {
		char pair[3] = {hex[2 * k], hex[2 * k + 1], 0};
		buf[k] = strtol(pair, 0, 16);
	}
	int32_t got = sh_write(h, buf, n / 2, 0);
	if (got < 0) printf("write %d", got);
	while ((got = sh_read(h, buf, sizeof buf, 0)) > 0)
		for (int32_t k = 0; k < got; k++) printf("%02x", buf[k]);
	puts("");
}

int main(int argc, char **argv) {
	const char *endpoint = "";
	for (int k = 2; k + 1 < argc; k++)
		if (!strcmp(argv[k], "--endpoint")) endpoint = argv[k + 1];
	if (argc < 2 || !strcmp(argv[1], "info")) return puts(info), 0;
	char descriptor[2048];
	snprintf(descriptor, sizeof descriptor, "{\"files\":{\"folder\":\"%s\"}}", field(endpoint, "dir"));
	int32_t h = sh_open(descriptor, strlen(descriptor));
	if (h < 0) return fprintf(stderr, "open: %d\n", h), 4;
	for (const char *from = field(endpoint, "requests"); *from; from += strcspn(from, ",") + (from[strcspn(from, ",")] == ','))
		ask(h, from, strcspn(from, ","));
	fflush(stdout);
	const char *end = field(endpoint, "end");
	if (!strcmp(end, "close")) return sh_close(h) ? 4 : 0;
	while (!strcmp(end, "wait")) {} // until somebody ends it
	return !strcmp(end, "fail") ? 4 : 0;
}
