//go:build linux

package redis_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/redis/redis"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

// cli runs redis-cli against a server and returns what it printed.
func cli(t testing.TB, s *testserver.Redis, args ...string) string {
	t.Helper()
	return cliInput(t, s, "", args...)
}

func cliInput(t testing.TB, s *testserver.Redis, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(testserver.Tool(t, "redis-cli"), append([]string{"-p", fmt.Sprint(s.Port), "--no-auth-warning", "-e"}, args...)...)
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+s.Password)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// digest is the server's own of all that it holds.
func digest(t testing.TB, s *testserver.Redis) string {
	t.Helper()
	return cli(t, s, "debug", "digest")
}

// fill makes keys of all types and encodings, in several databases, with and
// without a time to live.
func fill(t testing.TB, s *testserver.Redis) {
	t.Helper()
	cliInput(t, s, `
SET plain value
SET number 12345
SET empty ""
SET "odd key \xff\x00 ü" "bytes \x00\xff"
SET soon gone PX 900000000
SET compressible aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
PFADD log a b c d
SETBIT bits 100000 1
RPUSH list 1 2 three
SADD ints 1 2 3 70000
SADD texts a b c
ZADD scores 1 a 2.5 b -inf c
HSET hash f1 v1 f2 v2
GEOADD places 13.36 38.11 Palermo
XADD stream 1-1 a b
XADD stream 2-1 c d
XADD stream 3-1 e f
XDEL stream 2-1
XGROUP CREATE stream readers 0
XREADGROUP GROUP readers alice COUNT 1 STREAMS stream >
SELECT 3
SET other database
EXPIRE other 90000
SELECT 15
SET last one
FUNCTION LOAD "#!lua name=lib\nredis.register_function('hello', function() return 'hi' end)"
`)
	cli(t, s, "eval", `
for i = 1, 2000 do
  redis.call('RPUSH', 'biglist', 'element ' .. i)
  redis.call('HSET', 'bighash', 'field' .. i, string.rep('x', i % 100))
  redis.call('ZADD', 'bigzset', i / 3, 'member' .. i)
  redis.call('SADD', 'bigset', 'member' .. i)
  redis.call('XADD', 'bigstream', i .. '-1', 'n', i)
end
redis.call('SET', 'big', string.rep('0123456789', 100000))`, "0")
}

func endpoint(s *testserver.Redis, more ...string) shield.Endpoint {
	m := map[string]any{"host": "127.0.0.1", "port": s.Port, "password": s.Password}
	for n := 0; n < len(more); n += 2 {
		m[more[n]] = more[n+1]
	}
	e, _ := json.Marshal(m) // of strings and a number
	return e
}

// each runs a test natively and in the sandbox.
func each(t *testing.T, f func(t *testing.T, o plugin.Opener)) {
	t.Helper()
	shieldtest.Both(t, "redis", redis.Plugin(), f)
}

func backup(t testing.TB, o plugin.Opener, e shield.Endpoint) ([]byte, error) {
	t.Helper()
	target, err := o.OpenTarget(t.Context(), e, func(line string) { t.Log(line) })
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = target.Backup(t.Context(), &b)
	return b.Bytes(), err
}

func restore(t testing.TB, o plugin.Opener, e shield.Endpoint, archive []byte) error {
	t.Helper()
	target, err := o.OpenTarget(t.Context(), e, func(line string) { t.Log(line) })
	if err != nil {
		return err
	}
	return target.Restore(t.Context(), bytes.NewReader(archive))
}

func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, o plugin.Opener) {
		s := testserver.StartRedis(t)
		fill(t, s)
		plugintest.Run(t, o, plugintest.Config{
			TargetEndpoint: endpoint(s),
			Equal:          func(a, b []byte) error { return nil }, // times differ: TestRoundTrip compares content
		})
	})
}

// All that a server holds comes back, in another server and in the same.
func TestRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, o plugin.Opener) {
		a, b := testserver.StartRedis(t), testserver.StartRedis(t)
		fill(t, a)
		want := digest(t, a)
		ttl := cli(t, a, "-n", "3", "expiretime", "other")
		archive, err := backup(t, o, endpoint(a))
		if err != nil {
			t.Fatal(err)
		}
		cli(t, a, "flushall")
		for _, s := range []*testserver.Redis{a, b} {
			if err := restore(t, o, endpoint(s), archive); err != nil {
				t.Fatal(err)
			}
			if got := digest(t, s); got != want {
				t.Errorf("digest %s, want %s", got, want)
			}
			if got := cli(t, s, "-n", "3", "expiretime", "other"); got != ttl {
				t.Errorf("expires at %s, want %s", got, ttl)
			}
			if got := cli(t, s, "fcall", "hello", "0"); got != "hi" {
				t.Errorf("the function says %q", got)
			}
			if got := cli(t, s, "xpending", "stream", "readers"); !strings.Contains(got, "alice") {
				t.Errorf("pending: %s", got)
			}
		}
	})
}

// A server that writes its RDB file to disk first tells the length; one that
// does not ends with a mark.
func TestReplicationFromDisk(t *testing.T) {
	s, b := testserver.StartRedis(t, "--repl-diskless-sync", "no"), testserver.StartRedis(t)
	fill(t, s)
	archive, err := backup(t, redis.Plugin(), endpoint(s))
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(t, redis.Plugin(), endpoint(b), archive); err != nil {
		t.Fatal(err)
	}
	if got, want := digest(t, b), digest(t, s); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

// The archive is what Redis itself takes for an RDB file.
func TestArchiveIsAnRDBFile(t *testing.T) {
	s := testserver.StartRedis(t)
	fill(t, s)
	archive, err := backup(t, redis.Plugin(), endpoint(s))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(name, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(testserver.Tool(t, "redis-check-rdb"), name).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestExisting(t *testing.T) {
	a := testserver.StartRedis(t)
	cli(t, a, "set", "k", "archived")
	archive, err := backup(t, redis.Plugin(), endpoint(a))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		existing, k, other string
		code               shield.Code
	}{
		{"replace", "archived", "stays", ""},
		{"flush", "archived", "", ""},
		{"refuse", "old", "stays", shield.Conflict},
	} {
		t.Run(c.existing, func(t *testing.T) {
			b := testserver.StartRedis(t)
			cli(t, b, "mset", "k", "old", "other", "stays")
			err := restore(t, redis.Plugin(), endpoint(b, "existing", c.existing), archive)
			if shield.CodeOf(err) != c.code {
				t.Fatal(err)
			}
			if got := cli(t, b, "get", "k"); got != c.k {
				t.Errorf("k is %q, want %q", got, c.k)
			}
			if got := cli(t, b, "get", "other"); got != c.other {
				t.Errorf("other is %q, want %q", got, c.other)
			}
		})
	}
}

// The whole way: shieldd, the module and the command line.
func TestStory(t *testing.T) {
	a, b := testserver.StartRedis(t), testserver.StartRedis(t)
	fill(t, a)
	want := digest(t, a)
	s := shieldtest.Start(t)
	s.Install(shieldtest.Module(t, "redis"))
	store := filepath.Join(s.Dir, "store")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Store("disk", "fs", `{"base_dir":"`+store+`"}`)
	s.Target("a", "redis", string(endpoint(a, "existing", "flush")))
	s.Target("b", "redis", string(endpoint(b)))
	s.Target("wrong", "redis", `{"host":"127.0.0.1","port":`+fmt.Sprint(a.Port)+`,"password":"not-it"}`)
	s.Job("nightly", "a", "disk")
	s.Job("bad", "wrong", "disk")
	archive := s.Backup("nightly")
	cli(t, a, "flushall")
	cli(t, a, "set", "new", "key")
	s.Restore(archive.UUID, "")
	s.Restore(archive.UUID, "b")
	for _, r := range []*testserver.Redis{a, b} {
		if got := digest(t, r); got != want {
			t.Errorf("digest %s, want %s", got, want)
		}
	}
	out, stderr, status := s.Try("run", "job", "bad", "--wait")
	if status == 0 || !strings.Contains(stderr, "target wrong") || !strings.Contains(stderr, "WRONGPASS") {
		t.Errorf("status %d: %s%s", status, out, stderr)
	}
	if strings.Contains(out+stderr+s.Log(), "not-it") || strings.Contains(out+stderr+s.Log(), a.Password) {
		t.Error("a password is shown")
	}
	if n := len(s.Archives()); n != 1 {
		t.Errorf("%d archives, want 1", n)
	}
}

// So does the one with an agent beside the server, which restores by placing
// the file.
func TestExampleOfAgent(t *testing.T) {
	testserver.Tool(t, "redis-server")
	testserver.Tool(t, "setsid")
	cmd := exec.Command("../../../examples/agent/run.sh", shieldtest.Module(t, "redis"))
	cmd.Env = append(os.Environ(), "PATH="+shieldtest.Agent(t)+":"+os.Getenv("PATH"), fmt.Sprintf("REDIS_PORT=%d", testserver.Port(t)))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Every key is back") {
		t.Errorf("%v: %s", err, out)
	}
}

// The script that operators can read works.
func TestExample(t *testing.T) {
	testserver.Tool(t, "redis-server")
	cmd := exec.Command("../../../examples/targets/redis.sh", shieldtest.Module(t, "redis"))
	cmd.Env = append(os.Environ(), "PATH="+shieldtest.Programs(t)+":"+os.Getenv("PATH"), fmt.Sprintf("REDIS_PORT=%d", testserver.Port(t)))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Every key is back") {
		t.Errorf("%v: %s", err, out)
	}
}
