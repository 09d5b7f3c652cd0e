//go:build linux

package mysql_test

import (
	"fmt"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
)

func BenchmarkPipe(b *testing.B) {
	m := testserver.StartMariaDB(b, "--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M", "--skip-log-bin", "--max-allowed-packet=1G")
	m.SQL(fmt.Sprintf(`CREATE DATABASE app; USE app; CREATE TABLE t (id INT PRIMARY KEY, kind INT, at DATETIME, sum CHAR(32), note VARCHAR(100));
INSERT INTO t SELECT seq, seq %% 1000, '2024-01-01' + INTERVAL seq * 7 SECOND, MD5(seq), CONCAT('the order of customer ', seq * 7919 %% 100003, ' was delivered') FROM seq_1_to_%d`, shieldtest.BenchSize()/120))
	s := shieldtest.Start(b)
	s.Install(shieldtest.Module(b, "mysql"))
	s.Store("disk", "fs", `{"base_dir":"`+b.TempDir()+`"}`)
	s.Target("app", "mysql", string(endpoint(b, m, map[string]any{"mysql_database": "app"})))
	s.Job("app", "app", "disk")
	p := shieldtest.Piped("mariadb-dump --no-defaults $TO --single-transaction --quick --routines --events --triggers --hex-blob "+
		"--default-character-set=utf8mb4 --databases app", "mariadb --no-defaults $TO")
	p.System, p.Job = s, "app"
	p.Env = []string{"MYSQL_PWD=" + m.Password, fmt.Sprintf("TO=-h127.0.0.1 -P%d -uroot", m.Port)}
	p.Bench(b)
}
