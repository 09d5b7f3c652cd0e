//go:build linux

package testserver

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Mongo is a running server that speaks MongoDB's protocol.
type Mongo struct {
	*Process
	Dir      string
	Addr     string // host:port on loopback
	Port     int
	User     string // defined in the database admin
	Password string
	Tools    string // the folder of mongodump and mongorestore
}

// StartMongo runs an empty FerretDB. More settings are given as on its
// command line.
func StartMongo(t testing.TB, settings ...string) *Mongo {
	t.Helper()
	path := Built(t, "ferretdb")
	m := &Mongo{Dir: MemoryDir(t), Port: Port(t), User: "root", Password: "mongo-pw:/@#é", Tools: filepath.Dir(Built(t, "mongodump"))}
	m.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(m.Port))
	data := filepath.Join(m.Dir, "db")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{
		"--handler=sqlite", "--sqlite-url=file:" + data + "/", "--state-dir=" + m.Dir, "--listen-addr=" + m.Addr, "--debug-addr=-",
		"--telemetry=disable", "--log-level=error", "--test-enable-new-auth",
		"--setup-username=" + m.User, "--setup-password=" + m.Password, "--setup-database=admin",
	}, settings...)...)
	cmd.Env = append(os.Environ(), "DO_NOT_TRACK=1")
	m.Process = Start(t, cmd, Listening("tcp", m.Addr))
	return m
}
