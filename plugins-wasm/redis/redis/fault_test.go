//go:build linux

package redis_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/redis/redis"
)

func wantError(t testing.TB, err error, code shield.Code, text string) {
	t.Helper()
	if shield.CodeOf(err) != code || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("got %v (%s), want %s with %q", err, shield.CodeOf(err), code, text)
	}
}

func TestEndpoint(t *testing.T) {
	for _, c := range []struct{ endpoint, text string }{
		{`{"mode":"local"}`, "endpoint.data_dir: is missing"},
		{`{"port":0}`, "port"},
		{`{"mode":"magic"}`, "network, local"},
		{`{"tls":"verify","cert":"x"}`, "certificate and key"},
		{`{"tls_name":"x"}`, "endpoint.tls"},
		{`{"username":"u"}`, "endpoint.password"},
		{`{"hots":"x"}`, "hots"},
	} {
		_, err := redis.Plugin().OpenTarget(t.Context(), shield.Endpoint(c.endpoint), nil)
		wantError(t, err, shield.Invalid, c.text)
	}
}

func TestWrongPassword(t *testing.T) {
	each(t, func(t *testing.T, o plugin.Opener) {
		s := testserver.StartRedis(t)
		_, err := backup(t, o, endpoint(s, "password", "wrong"))
		wantError(t, err, shield.Unauthorized, "WRONGPASS")
		_, err = backup(t, o, endpoint(s, "password", ""))
		wantError(t, err, shield.Unauthorized, "NOAUTH")
	})
}

func TestNobodyListens(t *testing.T) {
	each(t, func(t *testing.T, o plugin.Opener) {
		_, err := backup(t, o, shield.Endpoint(fmt.Sprintf(`{"host":"127.0.0.1","port":%d}`, testserver.Port(t))))
		wantError(t, err, shield.Unavailable, "refused")
	})
}

// A user who lacks a permission is told which.
func TestMissingPermission(t *testing.T) {
	s := testserver.StartRedis(t)
	cli(t, s, "acl", "setuser", "shield", "on", ">pw", "~*", "+info", "+ping", "+acl|dryrun", "+select", "+replconf")
	e := endpoint(s, "username", "shield", "password", "pw")
	target, err := redis.Plugin().OpenTarget(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = target.(plugin.Tester).Test(t.Context())
	wantError(t, err, shield.Forbidden, "ACL SETUSER shield +psync +restore")
	_, err = backup(t, redis.Plugin(), e)
	wantError(t, err, shield.Forbidden, "NOPERM")
	// What the README says is enough.
	cli(t, s, "acl", "setuser", "shield", "+psync", "+restore", "+function|load", "+flushall")
	if err := target.(plugin.Tester).Test(t.Context()); err != nil {
		t.Error(err)
	}
	archive, err := backup(t, redis.Plugin(), e)
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(t, redis.Plugin(), e, archive); err != nil {
		t.Error(err)
	}
}

// A killer kills the server when so many bytes have passed.
type killer struct {
	s    *testserver.Redis
	left int
}

func (k *killer) Write(p []byte) (int, error) {
	k.left -= len(p)
	if k.left < 0 {
		k.s.Kill()
	}
	return len(p), nil
}

func TestServerDiesDuringBackup(t *testing.T) {
	each(t, func(t *testing.T, o plugin.Opener) {
		s := testserver.StartRedis(t, "--rdbcompression", "no")
		cli(t, s, "debug", "populate", "60000", "key", "1000")
		target, err := o.OpenTarget(t.Context(), endpoint(s), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = target.Backup(t.Context(), &killer{s, 1 << 20})
		wantError(t, err, shield.Unavailable, "the connection broke")
	})
}

// A dying is a reader in whose middle the server is killed.
type dying struct {
	r    io.Reader
	s    *testserver.Redis
	left int
}

func (d *dying) Read(p []byte) (int, error) {
	n, err := d.r.Read(p[:min(len(p), 64<<10)])
	if d.left -= n; d.left < 0 {
		d.s.Kill()
	}
	return n, err
}

func TestServerDiesDuringRestore(t *testing.T) {
	each(t, func(t *testing.T, o plugin.Opener) {
		a, b := testserver.StartRedis(t), testserver.StartRedis(t)
		cli(t, a, "debug", "populate", "100000", "key", "100")
		archive, err := backup(t, redis.Plugin(), endpoint(a))
		if err != nil {
			t.Fatal(err)
		}
		target, err := o.OpenTarget(t.Context(), endpoint(b), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = target.Restore(t.Context(), &dying{bytes.NewReader(archive), b, len(archive) / 2})
		wantError(t, err, shield.Unavailable, "the connection broke")
	})
}

// Every cut and a flip of any bit is found, at the latest by the checksum.
func TestDamagedArchive(t *testing.T) {
	s, b := testserver.StartRedis(t), testserver.StartRedis(t)
	fill(t, s)
	archive, err := backup(t, redis.Plugin(), endpoint(s))
	if err != nil {
		t.Fatal(err)
	}
	inspect := func(p []byte) error {
		target, err := redis.Plugin().OpenTarget(t.Context(), endpoint(s), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = target.(plugin.Inspector).Inspect(t.Context(), bytes.NewReader(p))
		return err
	}
	if err := inspect(archive); err != nil {
		t.Fatal(err)
	}
	step := max(1, len(archive)/500)
	for n := 0; n < len(archive); n += step {
		wantError(t, inspect(archive[:n]), shield.Corrupt, "not a whole RDB file")
		flipped := bytes.Clone(archive)
		flipped[n] ^= 1 << (n % 8)
		if err := inspect(flipped); err == nil {
			t.Errorf("a flip of byte %d was not found", n)
		}
	}
	wantError(t, inspect(append(bytes.Clone(archive), 'x')), shield.Corrupt, "behind the end")
	flipped := bytes.Clone(archive)
	flipped[len(archive)-1] ^= 1
	wantError(t, restore(t, redis.Plugin(), endpoint(b), flipped), shield.Corrupt, "checksum")
	wantError(t, restore(t, redis.Plugin(), endpoint(b), archive[:len(archive)/2]), shield.Corrupt, "unexpected EOF")
	wantError(t, restore(t, redis.Plugin(), endpoint(b), []byte("no")), shield.Corrupt, "not a whole RDB file")
}

var errBroken = errors.New("the archive broke")

// The error of the stream is returned as it is, and not taken for the server's.
func TestBrokenStreams(t *testing.T) {
	s := testserver.StartRedis(t)
	fill(t, s)
	archive, err := backup(t, redis.Plugin(), endpoint(s))
	if err != nil {
		t.Fatal(err)
	}
	target, err := redis.Plugin().OpenTarget(t.Context(), endpoint(s), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := io.MultiReader(bytes.NewReader(archive[:len(archive)/2]), &failing{})
	if err := target.Restore(t.Context(), r); !errors.Is(err, errBroken) {
		t.Errorf("restore: %v", err)
	}
	target, err = redis.Plugin().OpenTarget(t.Context(), endpoint(s), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Backup(t.Context(), &failing{}); !errors.Is(err, errBroken) {
		t.Errorf("backup: %v", err)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error)  { return 0, errBroken }
func (*failing) Write([]byte) (int, error) { return 0, errBroken }

func TestRestoreIntoReplica(t *testing.T) {
	a, b := testserver.StartRedis(t), testserver.StartRedis(t)
	cli(t, a, "set", "k", "v")
	archive, err := backup(t, redis.Plugin(), endpoint(a))
	if err != nil {
		t.Fatal(err)
	}
	cli(t, b, "config", "set", "masterauth", a.Password)
	cli(t, b, "replicaof", "127.0.0.1", fmt.Sprint(a.Port))
	wantError(t, restore(t, redis.Plugin(), endpoint(b), archive), shield.Invalid, fmt.Sprintf("is a replica of 127.0.0.1:%d", a.Port))
}

// A server that cannot read the archive is not emptied for it.
func TestNewerArchive(t *testing.T) {
	s := testserver.StartRedis(t)
	cli(t, s, "set", "k", "v")
	archive, err := backup(t, redis.Plugin(), endpoint(s))
	if err != nil {
		t.Fatal(err)
	}
	newer := append([]byte("REDIS0099"), archive[9:]...)
	err = restore(t, redis.Plugin(), endpoint(s, "existing", "flush"), newer)
	wantError(t, err, shield.Invalid, "written by Redis 7.")
	wantError(t, err, shield.Invalid, "RDB version 99")
	if got := cli(t, s, "get", "k"); got != "v" {
		t.Errorf("k is %q", got)
	}
}

func TestRestoreRunsOutOfMemory(t *testing.T) {
	a, b := testserver.StartRedis(t), testserver.StartRedis(t, "--maxmemory", "8mb")
	cli(t, a, "debug", "populate", "20000", "key", "1000")
	archive, err := backup(t, redis.Plugin(), endpoint(a))
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, restore(t, redis.Plugin(), endpoint(b), archive), shield.TargetFailed, "maxmemory is too small")
}

// A server stops while it answers: the plugin is ended by its context.
func TestHungServer(t *testing.T) {
	s := testserver.StartRedis(t)
	cli(t, s, "debug", "populate", "1000", "key", "100")
	s.Signal(syscall.SIGSTOP)
	defer s.Signal(syscall.SIGCONT)
	each(t, func(t *testing.T, o plugin.Opener) {
		ctx, cancel := contextWithCause(t)
		target, err := o.OpenTarget(ctx, endpoint(s), nil)
		if err != nil {
			t.Fatal(err)
		}
		go cancel(errBroken)
		if err := target.Backup(ctx, io.Discard); !errors.Is(err, errBroken) {
			t.Errorf("got %v", err)
		}
	})
}

// emptyRDB is a whole file without keys and without a checksum.
const emptyRDB = "REDIS0009\xff\x00\x00\x00\x00\x00\x00\x00\x00"

// liar is a server that has keys, and gives none of them.
func liar(t *testing.T, dump string) *net.TCPAddr {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	answer := map[string]string{
		"PING":     "+PONG\r\n",
		"REPLCONF": "+OK\r\n",
		"PSYNC":    "+FULLRESYNC x 0\r\n" + dump,
	}
	text := "# x\r\nredis_version:7.0.0\r\nloading:0\r\ndb0:keys=5,expires=0,avg_ttl=0\r\n"
	answer["INFO"] = fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c, answer)
		}
	}()
	return l.Addr().(*net.TCPAddr)
}

func serve(c net.Conn, answer map[string]string) {
	defer c.Close()
	for in := bufio.NewScanner(c); in.Scan(); {
		if a, ok := answer[in.Text()]; ok {
			if _, err := io.WriteString(c, a); err != nil || in.Text() == "PSYNC" {
				return
			}
		}
	}
}

func TestLyingServer(t *testing.T) {
	for _, c := range []struct {
		name, dump string
		code       shield.Code
		text       string
	}{
		{"no keys", fmt.Sprintf("$%d\r\n%s", len(emptyRDB), emptyRDB), shield.TargetFailed, "had 5 keys, but has given none"},
		{"shorter than told", fmt.Sprintf("$%d\r\n%s", len(emptyRDB)+5, emptyRDB), shield.Unavailable, "the connection broke"},
		{"no mark", "$EOF:" + strings.Repeat("m", 40) + "\r\n" + emptyRDB, shield.Unavailable, "the connection broke"},
		{"ends early", "$5\r\nREDIS", shield.Unavailable, "the connection broke"},
		{"rubbish", "$20\r\n01234567890123456789", shield.TargetFailed, "not an RDB file"},
		{"refuses", "-ERR cannot fork\r\n", shield.TargetFailed, "cannot fork"},
		{"speaks nonsense", "hello\r\n", shield.TargetFailed, "does not announce"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := liar(t, c.dump)
			_, err := backup(t, redis.Plugin(), shield.Endpoint(fmt.Sprintf(`{"host":"127.0.0.1","port":%d}`, a.Port)))
			wantError(t, err, c.code, c.text)
		})
	}
}
