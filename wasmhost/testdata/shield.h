// The host functions of shield_v1, see docs/plugin-abi.md.
#include <stdint.h>
#define HOST(name) __attribute__((import_module("shield_v1"), import_name(#name)))
HOST(open) int32_t sh_open(const char *json, uint32_t len);
HOST(read) int32_t sh_read(int32_t h, void *p, uint32_t n, uint32_t flags);
HOST(write) int32_t sh_write(int32_t h, const void *p, uint32_t n, uint32_t flags);
HOST(shut) int32_t sh_shut(int32_t h);
HOST(copy) int64_t sh_copy(int32_t dst, int32_t src, int64_t max);
HOST(poll) int32_t sh_poll(void *subs, uint32_t n, int32_t ms);
HOST(stat) int32_t sh_stat(int32_t h, void *p, uint32_t cap);
HOST(close) int32_t sh_close(int32_t h);
