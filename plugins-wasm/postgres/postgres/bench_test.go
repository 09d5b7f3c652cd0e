//go:build linux

package postgres_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
)

// cpu is the processor time of a process and of those that it has waited for.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	var ticks int64
	for _, n := range f[11:15] { // utime, stime, cutime, cstime
		var v int64
		if _, err := fmt.Sscan(n, &v); err != nil {
			b.Fatal(err)
		}
		ticks += v
	}
	return time.Duration(ticks) * time.Second / 100
}

// used is the processor time of a command that has ended and of its children.
func used(cmd *exec.Cmd) time.Duration {
	u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDump compares a backup and a restore with the bare pipe of the
// same programs. SHIELD_BENCH_SIZE is how much the dump has, like 1GiB; the
// processor time is that of all but the server. Run it with -benchtime=3x.
func BenchmarkDump(b *testing.B) {
	size, err := plugin.ParseBytes(os.Getenv("SHIELD_BENCH_SIZE"))
	if err != nil {
		size = 64 << 20
	}
	p := testserver.StartPostgres(b, "max_wal_size=8GB", "checkpoint_timeout=1h", "wal_level=minimal", "max_wal_senders=0")
	p.SQL("postgres", "CREATE DATABASE app")
	p.SQL("app", fmt.Sprintf(`CREATE TABLE t AS SELECT n, n %% 1000 AS kind, timestamp '2024-01-01' + n * interval '7 seconds' AS at,
  md5(n::text) AS sum, 'the order of customer ' || (n::bigint * 7919) %% 100003 || ' was delivered' AS note FROM generate_series(1, %d) n`, size/113))
	s := shieldtest.Start(b)
	s.Install(shieldtest.Module(b, "postgres"))
	dir := b.TempDir()
	s.Store("disk", "fs", `{"base_dir":"`+dir+`"}`)
	s.Target("app", "postgres", string(endpoint(b, p, fields{"pg_database": "app"})))
	s.Target("copy", "postgres", string(endpoint(b, p, fields{"pg_database": "copy"})))
	s.Job("app", "app", "disk")
	key, blob := filepath.Join(dir, "key"), filepath.Join(dir, "blob")
	run := func(b *testing.B, script string) time.Duration {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
		cmd.Env = append(os.Environ(), "PATH="+testserver.PostgresBin+":"+os.Getenv("PATH"), "PGHOST=127.0.0.1",
			fmt.Sprintf("PGPORT=%d", p.Port), "PGUSER="+p.User, "PGPASSWORD="+p.Password, "KEY="+key, "BLOB="+blob)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return used(cmd)
	}
	run(b, "age-keygen -o $KEY 2>/dev/null")
	shield := func(b *testing.B, args ...string) time.Duration {
		before := cpu(b, s.Pid())
		cmd := s.Command(args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return cpu(b, s.Pid()) - before + used(cmd)
	}
	var archive string
	for _, c := range []struct {
		name string
		prep func(b *testing.B)
		work func(b *testing.B) time.Duration
	}{
		{"backup/pipe", func(*testing.B) {}, func(b *testing.B) time.Duration {
			return run(b, `pg_dump -Fc -Z0 app | zstd -1 -q | age -r "$(age-keygen -y $KEY)" >$BLOB`)
		}},
		{"backup/shield", func(*testing.B) {}, func(b *testing.B) time.Duration { return shield(b, "run", "job", "app", "--wait") }},
		{"restore/pipe", func(b *testing.B) { run(b, "dropdb --if-exists copy; createdb -T template0 copy") }, func(b *testing.B) time.Duration {
			return run(b, `age -d -i $KEY $BLOB | zstd -d -q | pg_restore -d copy --exit-on-error --single-transaction`)
		}},
		{"restore/shield", func(b *testing.B) {
			run(b, "dropdb --if-exists copy")
			archive = s.Archives()[0].UUID
		}, func(b *testing.B) time.Duration {
			return shield(b, "restore", "archive", archive, "--to", "copy", "--wait")
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var total time.Duration
			for b.Loop() {
				b.StopTimer()
				c.prep(b)
				b.StartTimer()
				total += c.work(b)
			}
			b.ReportMetric(total.Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/op")
		})
	}
}
