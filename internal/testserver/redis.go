//go:build linux

package testserver

import (
	"net"
	"os/exec"
	"strconv"
	"testing"
)

// Redis is a running redis-server.
type Redis struct {
	*Process
	Dir      string // its data
	Addr     string // host:port on loopback
	Port     int
	Password string
}

// StartRedis runs a Redis server that saves nothing by itself. More settings
// are given as on its command line.
func StartRedis(t testing.TB, settings ...string) *Redis {
	t.Helper()
	path := Tool(t, "redis-server")
	r := &Redis{Dir: Dir(t), Port: Port(t), Password: "redis-pw"}
	r.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(r.Port))
	cmd := exec.Command(path, append([]string{
		"--port", strconv.Itoa(r.Port), "--bind", "127.0.0.1", "--dir", r.Dir, "--dbfilename", "dump.rdb",
		"--save", "", "--appendonly", "no", "--requirepass", r.Password,
		"--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes",
	}, settings...)...)
	r.Process = Start(t, cmd, Listening("tcp", r.Addr))
	return r
}
