//go:build linux

package testserver

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// SSHD is a running OpenSSH server that gives SFTP to one user, who is never
// root, so that permissions mean something.
type SSHD struct {
	*Process
	Dir     string // where the user is after login, and may write
	Addr    string // host:port on loopback
	Port    int
	User    string
	Key     string // private, of the user: a PEM text
	HostKey string // public, of the server: ssh-ed25519 AAAA...
	run     func()
}

// StartSSHD runs an OpenSSH server. More lines of its configuration come before
// its own.
func StartSSHD(t testing.TB, settings ...string) *SSHD {
	t.Helper()
	path, keygen := Tool(t, "/usr/sbin/sshd", "sshd"), Tool(t, "ssh-keygen")
	home := Dir(t)
	s := &SSHD{Dir: filepath.Join(home, "data"), Port: Port(t), User: "postgres"}
	s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
	if os.Getuid() != 0 {
		u, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		s.User = u.Username
	}
	if err := os.Mkdir(s.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"host", "user"} {
		file := filepath.Join(home, name)
		if out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	s.Key, s.HostKey = read(t, home, "user"), strings.TrimSpace(read(t, home, "host.pub"))
	config := strings.Join(append(settings,
		fmt.Sprintf("Port %d", s.Port), "ListenAddress 127.0.0.1", "HostKey "+filepath.Join(home, "host"),
		"AuthorizedKeysFile "+filepath.Join(home, "user.pub"), "StrictModes no", "UsePAM no", "PidFile none",
		"PasswordAuthentication no", "MaxStartups 100", "Subsystem sftp internal-sftp", "ForceCommand internal-sftp -d "+s.Dir, ""), "\n")
	if err := os.WriteFile(filepath.Join(home, "config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	s.run = func() {
		t.Helper()
		cmd := exec.Command(path, "-D", "-e", "-f", filepath.Join(home, "config"))
		As(t, cmd, s.User, home, s.Dir, filepath.Join(home, "host"))
		s.Process = Start(t, cmd, Listening("tcp", s.Addr))
		t.Cleanup(s.Kill) // before that of the process, which waits for sessions
	}
	s.run()
	return s
}

// Kill ends the server and its sessions, which have left its process group, as
// kill -9 does.
func (s *SSHD) Kill() {
	_ = s.cmd.Process.Signal(syscall.SIGSTOP) // so that there are no new ones
	for _, pid := range descendants(strconv.Itoa(s.Pid())) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone already, perhaps
	}
	s.Process.Kill()
}

// descendants returns the processes that a process has started, and those that
// they have.
func descendants(pid string) (all []int) {
	text, _ := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children")) // none if it has ended
	for _, child := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(child); err == nil {
			all = append(append(all, n), descendants(child)...)
		}
	}
	return all
}

// Up starts the server again after Kill, at the same address.
func (s *SSHD) Up() { s.run() }

func read(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Own gives files to the user of the server.
func (s *SSHD) Own(names ...string) {
	s.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup(s.User)
	if err != nil {
		s.t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, name := range names {
		if err := os.Chown(name, uid, gid); err != nil {
			s.t.Fatal(err)
		}
	}
}

// Left lists all files and folders below Dir.
func (s *SSHD) Left() []string {
	s.t.Helper()
	var names []string
	err := filepath.WalkDir(s.Dir, func(name string, _ fs.DirEntry, err error) error {
		if name != s.Dir {
			names = append(names, strings.TrimPrefix(name, s.Dir+"/"))
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}
