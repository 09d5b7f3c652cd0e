//go:build linux

package mysql_test

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

// ticks is the processor time of a process and of its children that ended.
func ticks(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var sum int64
	for _, f := range fields[11:15] {
		var n int64
		if _, err := fmt.Sscan(f, &n); err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	return time.Duration(sum) * (time.Second / 100)
}

// BenchmarkMySQL compares backup and restore with the bare pipe of the same
// tools. SHIELD_BENCH_SIZE is about how much the dump has, like 1GiB; the
// processor time is that of all but the server. Run it with -benchtime=3x.
func BenchmarkMySQL(b *testing.B) {
	size, err := plugin.ParseBytes(os.Getenv("SHIELD_BENCH_SIZE"))
	if err != nil {
		size = 64 << 20
	}
	m := testserver.StartMariaDB(b, "--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M", "--skip-log-bin", "--max-allowed-packet=1G")
	m.SQL(fmt.Sprintf(`CREATE DATABASE app; USE app; CREATE TABLE t (id INT PRIMARY KEY, kind INT, at DATETIME, sum CHAR(32), note VARCHAR(100));
INSERT INTO t SELECT seq, seq %% 1000, '2024-01-01' + INTERVAL seq * 7 SECOND, MD5(seq), CONCAT('the order of customer ', seq * 7919 %% 100003, ' was delivered') FROM seq_1_to_%d`, size/120))
	s := shieldtest.Start(b)
	s.Install(shieldtest.Module(b, "mysql"))
	dir := b.TempDir()
	s.Store("disk", "fs", `{"base_dir":"`+dir+`"}`)
	s.Target("app", "mysql", string(endpoint(b, m, map[string]any{"mysql_database": "app"})))
	s.Job("app", "app", "disk")
	run := func(b *testing.B, script string) time.Duration {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
		cmd.Env = append(os.Environ(), "MYSQL_PWD="+m.Password, "KEY="+filepath.Join(dir, "key"), "BLOB="+filepath.Join(dir, "blob"),
			fmt.Sprintf("TO=-h127.0.0.1 -P%d -uroot", m.Port))
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	run(b, "age-keygen -o $KEY 2>/dev/null")
	cli := func(b *testing.B, args ...string) time.Duration {
		before := ticks(b, s.Pid())
		cmd := s.Command(args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return ticks(b, s.Pid()) - before + cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	const dump = "mariadb-dump --no-defaults $TO --single-transaction --quick --routines --events --triggers --hex-blob --default-character-set=utf8mb4 --databases app"
	for _, c := range []struct {
		name string
		work func(b *testing.B) time.Duration
	}{
		{"backup/pipe", func(b *testing.B) time.Duration {
			return run(b, dump+` | zstd -1 -q | age -r "$(age-keygen -y $KEY)" >$BLOB`)
		}},
		{"backup/shield", func(b *testing.B) time.Duration { return cli(b, "run", "job", "app", "--wait") }},
		{"restore/pipe", func(b *testing.B) time.Duration {
			return run(b, "age -d -i $KEY $BLOB | zstd -d -q | mariadb --no-defaults $TO")
		}},
		{"restore/shield", func(b *testing.B) time.Duration {
			return cli(b, "restore", "archive", s.Archives()[0].UUID, "--wait")
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			syscall.Sync() // what others have written is not this one's
			var total time.Duration
			for b.Loop() {
				total += c.work(b)
			}
			b.ReportMetric(total.Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/op")
		})
	}
}
