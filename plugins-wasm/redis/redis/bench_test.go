//go:build linux

package redis_test

import (
	"fmt"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
)

// BenchmarkPipe has no restore: redis-cli cannot load what it dumps.
func BenchmarkPipe(b *testing.B) {
	tool := testserver.Tool(b, "redis-cli")
	r := testserver.StartRedis(b)
	cli(b, r, "EVAL", "for n = 1, ARGV[1] do redis.call('SET', 'key:' .. n, string.rep(redis.sha1hex(n), 25)) end", "0", fmt.Sprint(shieldtest.BenchSize()/1000))
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
