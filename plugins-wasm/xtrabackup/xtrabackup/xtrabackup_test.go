//go:build linux

package xtrabackup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/xtrabackup/xtrabackup"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

func endpoint(t testing.TB, m *testserver.MariaDB, fields map[string]any) shield.Endpoint {
	t.Helper()
	all := map[string]any{"mysql_socket": m.Socket, "mysql_user": "root", "mysql_password": m.Password, "mysql_datadir": m.Data}
	for name, value := range fields {
		all[name] = value
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func target(t testing.TB, e shield.Endpoint) plugin.Target {
	t.Helper()
	testserver.Tool(t, "mariabackup")
	x, err := xtrabackup.Plugin().OpenTarget(context.Background(), e, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func backup(t testing.TB, e shield.Endpoint) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := target(t, e).Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wantError(t testing.TB, err error, code shield.Code, text string) {
	t.Helper()
	if shield.CodeOf(err) != code || err == nil || !regexp.MustCompile(text).MatchString(err.Error()) {
		t.Errorf("got %s: %v; want %s: %s", shield.CodeOf(err), err, code, text)
	}
}

// emptied returns a server that does not run, with an empty data folder.
func emptied(t testing.TB, settings ...string) *testserver.MariaDB {
	t.Helper()
	m := testserver.NewMariaDB(t, settings...)
	if err := os.Mkdir(m.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	testserver.As(t, exec.Command("true"), "mysql", m.Data)
	return m
}

const accounts = `CREATE DATABASE bank; USE bank;
CREATE TABLE accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL) ENGINE=InnoDB;
INSERT INTO accounts SELECT seq, 1000 FROM seq_1_to_200;
CREATE TABLE transfers (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b INT, amount INT) ENGINE=InnoDB;
CREATE TABLE filler (id INT PRIMARY KEY, v VARBINARY(4000)) ENGINE=InnoDB; INSERT INTO filler SELECT seq, REPEAT(CHAR(seq & 255), 4000) FROM seq_1_to_2000;
CREATE TABLE old (id INT PRIMARY KEY, v TEXT) ENGINE=MyISAM; INSERT INTO old VALUES (1, 'ü');
`

// load moves money between accounts, a transaction at a time, until stop is
// called.
func load(t testing.TB, m *testserver.MariaDB) (stop func() int) {
	t.Helper()
	done := make(chan struct{})
	var group sync.WaitGroup
	made := make([]int, 2)
	for worker := range made {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				var b strings.Builder
				b.WriteString("USE bank;")
				for k := range 50 {
					from, to := (n*50+k*7+worker)%200+1, (n*31+k*13+worker*3)%200+1
					if from == to {
						continue
					}
					fmt.Fprintf(&b, "BEGIN; UPDATE accounts SET balance = balance - %[1]d WHERE id = %[2]d; UPDATE accounts SET balance = balance + %[1]d WHERE id = %[3]d;"+
						" INSERT INTO transfers (a, b, amount) VALUES (%[2]d, %[3]d, %[1]d); COMMIT;\n", k+1, from, to)
				}
				if _, err := m.Try(b.String()); err == nil { // two workers may lock each other out
					made[worker]++
				}
			}
		}()
	}
	return func() int {
		close(done)
		group.Wait()
		return made[0] + made[1]
	}
}

// consistent fails the test unless all transfers and balances are of one
// point in time, and returns how many transfers there are.
func consistent(t testing.TB, m *testserver.MariaDB) string {
	t.Helper()
	if got := m.SQL("SELECT SUM(balance) FROM bank.accounts"); got != "200000\n" {
		t.Errorf("the balances add up to %s instead of 200000", got)
	}
	const wrong = `SELECT COUNT(*) FROM bank.accounts a WHERE a.balance <> 1000
		+ COALESCE((SELECT SUM(t.amount) FROM bank.transfers t WHERE t.b = a.id), 0)
		- COALESCE((SELECT SUM(t.amount) FROM bank.transfers t WHERE t.a = a.id), 0)`
	if got := m.SQL(wrong); got != "0\n" {
		t.Errorf("%s balances do not fit the transfers", got)
	}
	if got := m.SQL("CHECK TABLE bank.accounts, bank.transfers, bank.filler, bank.old"); strings.Count(got, "\tOK\n") != 4 {
		t.Error(got)
	}
	return m.SQL("SELECT COUNT(*) FROM bank.transfers")
}

// TestHot backs up under load and restores twice.
func TestHot(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL(accounts)
	stop := load(t, m)
	archive := backup(t, endpoint(t, m, nil))
	if stop() == 0 {
		t.Error("there was no load")
	}
	if bytes.Contains(archive, []byte(m.Password)) {
		t.Error("the archive has the password")
	}
	p, err := target(t, endpoint(t, m, nil)).(plugin.Inspector).Inspect(t.Context(), bytes.NewReader(archive))
	if err != nil || p.Counts["databases"] != 1 || p.Counts["tables"] != 4 || p.Versions["tool"] == "" || p.Versions["server"] == "" {
		t.Errorf("%+v, %v", p, err)
	}
	m.Stop()
	if err := os.RemoveAll(m.Data); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(m.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	testserver.As(t, exec.Command("true"), "mysql", m.Data)
	transfers := ""
	for _, to := range []*testserver.MariaDB{m, emptied(t)} {
		if err := target(t, endpoint(t, to, nil)).Restore(t.Context(), bytes.NewReader(archive)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(to.Data, ".shield-restore")); err == nil {
			t.Error("the folder that the restore worked in is still there")
		}
		to.Run()
		got := consistent(t, to)
		if transfers != "" && got != transfers {
			t.Errorf("%s transfers, then %s", transfers, got)
		}
		transfers = got
	}
}
