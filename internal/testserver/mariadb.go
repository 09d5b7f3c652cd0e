//go:build linux

package testserver

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// MariaDB is a running mariadbd.
type MariaDB struct {
	*Process
	Dir      string // has all of it
	Data     string // its data folder
	Socket   string
	Addr     string // host:port on loopback
	Port     int
	User     string // may do everything
	Password string

	t        testing.TB
	settings []string
}

// StartMariaDB runs a MariaDB server with an empty data folder. More settings
// are given as on its command line.
func StartMariaDB(t testing.TB, settings ...string) *MariaDB {
	t.Helper()
	m := NewMariaDB(t, settings...)
	install := exec.Command(Tool(t, "mariadb-install-db"), "--no-defaults", "--datadir="+m.Data,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M", "--tmpdir="+m.Dir)
	As(t, install, "mysql", m.Dir)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	m.Password = ""
	m.Run()
	m.Password = "root-pw"
	m.sql("", "SET PASSWORD FOR root@'127.0.0.1' = PASSWORD('root-pw'); SET PASSWORD FOR root@localhost = PASSWORD('root-pw');")
	return m
}

// NewMariaDB prepares a server without a data folder, to be started by Run
// when there is one.
func NewMariaDB(t testing.TB, settings ...string) *MariaDB {
	t.Helper()
	Tool(t, "mariadbd", "/usr/sbin/mariadbd")
	m := &MariaDB{t: t, Dir: MemoryDir(t), Port: Port(t), User: "root", Password: "root-pw", settings: settings}
	m.Data, m.Socket = filepath.Join(m.Dir, "data"), filepath.Join(m.Dir, "s")
	m.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(m.Port))
	As(t, exec.Command("true"), "mysql", m.Dir)
	return m
}

// Run starts the server on its data folder.
func (m *MariaDB) Run() {
	m.t.Helper()
	cmd := exec.Command(Tool(m.t, "mariadbd", "/usr/sbin/mariadbd"), append([]string{
		"--no-defaults", "--datadir=" + m.Data, "--socket=" + m.Socket, "--port=" + strconv.Itoa(m.Port),
		"--bind-address=127.0.0.1", "--pid-file=" + filepath.Join(m.Dir, "pid"), "--tmpdir=" + m.Dir, "--skip-name-resolve",
		"--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync",
		"--log-bin=" + filepath.Join(m.Data, "binlog"), "--log-bin-trust-function-creators=1", "--server-id=" + strconv.Itoa(m.Port),
	}, m.settings...)...)
	As(m.t, cmd, "mysql", m.Dir)
	m.Process = Start(m.t, cmd, Listening("unix", m.Socket))
}

// SQL runs statements as root and returns what the client prints, without
// names of columns.
func (m *MariaDB) SQL(statements string) string {
	m.t.Helper()
	return m.sql(m.Password, statements)
}

func (m *MariaDB) sql(password, statements string) string {
	m.t.Helper()
	out, err := m.try(password, statements)
	if err != nil {
		m.t.Fatalf("mariadb: %v\n%s\n%.2000s", err, out, statements)
	}
	return out
}

// Try is SQL for statements that may fail.
func (m *MariaDB) Try(statements string) (string, error) { return m.try(m.Password, statements) }

func (m *MariaDB) try(password, statements string) (string, error) {
	cmd := exec.Command(Tool(m.t, "mariadb"), "--no-defaults", "--user=root", "--socket="+m.Socket,
		"--batch", "--skip-column-names", "--default-character-set=utf8mb4")
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+password)
	cmd.Stdin = strings.NewReader(statements)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
