//go:build linux

package redis_test

import (
	"fmt"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
)

// values sets so many keys to texts of a size that are taken from 32 MiB of
// hexadecimal digits here and there. Redis compresses values that repeat
// themselves before it sends them, and then there would be little to back up.
const (
	values = `local hashes = {}
for n = 1, 32 * 1024 * 1024 / 40 do hashes[n] = redis.sha1hex(n) end
local digits, size = table.concat(hashes), tonumber(ARGV[2])
for n = 1, tonumber(ARGV[1]) do
  local at = n * 7919 * 641 % (#digits - size)
  redis.call('SET', 'key:' .. n, string.sub(digits, at + 1, at + size))
end`
	valueSize = 1000
)

// BenchmarkPipe has no restore: redis-cli cannot load what it dumps.
func BenchmarkPipe(b *testing.B) {
	tool := testserver.Tool(b, "redis-cli")
	r := testserver.StartRedis(b)
	cli(b, r, "EVAL", values, "0", fmt.Sprint(shieldtest.BenchSize()/valueSize), fmt.Sprint(valueSize))
	s := shieldtest.Start(b)
	s.Install(shieldtest.Module(b, "redis"))
	s.Store("disk", "fs", `{"base_dir":"`+b.TempDir()+`"}`)
	s.Target("cache", "redis", string(endpoint(r)))
	s.Job("cache", "cache", "disk")
	p := shieldtest.Piped(tool+" -p $PORT --rdb - 2>/dev/null", "")
	p.System, p.Job = s, "cache"
	p.Env = []string{"REDISCLI_AUTH=" + r.Password, fmt.Sprintf("PORT=%d", r.Port)}
	p.Bench(b)
}
