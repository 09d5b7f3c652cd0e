//go:build linux

package postgres_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
)

func BenchmarkPipe(b *testing.B) {
	server := testserver.StartPostgres(b, "max_wal_size=8GB", "checkpoint_timeout=1h", "wal_level=minimal", "max_wal_senders=0")
	server.SQL("postgres", "CREATE DATABASE app")
	server.SQL("app", fmt.Sprintf(`CREATE TABLE t AS SELECT n, n %% 1000 AS kind, timestamp '2024-01-01' + n * interval '7 seconds' AS at,
  md5(n::text) AS sum, 'the order of customer ' || (n::bigint * 7919) %% 100003 || ' was delivered' AS note FROM generate_series(1, %d) n`, shieldtest.BenchSize()/113))
	s := shieldtest.Start(b)
	s.Install(shieldtest.Module(b, "postgres"))
	s.Store("disk", "fs", `{"base_dir":"`+b.TempDir()+`"}`)
	s.Target("app", "postgres", string(endpoint(b, server, fields{"pg_database": "app"})))
	s.Target("copy", "postgres", string(endpoint(b, server, fields{"pg_database": "copy"})))
	s.Job("app", "app", "disk")
	p := shieldtest.Piped("pg_dump -Fc -Z0 app", "pg_restore -d copy --exit-on-error --single-transaction")
	p.System, p.Job = s, "app"
	p.To = "copy"
	p.Env = []string{
		"PATH=" + testserver.PostgresBin + ":" + os.Getenv("PATH"), "PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", server.Port),
		"PGUSER=" + server.User, "PGPASSWORD=" + server.Password,
	}
	p.Prepare = "dropdb --if-exists copy; createdb -T template0 copy"
	p.Bench(b)
}
