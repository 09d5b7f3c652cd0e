//go:build linux

package testserver

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Docker is a running Docker engine with an image of PostgreSQL.
type Docker struct {
	*Process
	t    testing.TB
	Dir  string
	Host string // unix:// and its socket
}

// PostgresImage is the name of the image: like the official one it makes its
// cluster on first use, with POSTGRES_USER and POSTGRES_PASSWORD.
const PostgresImage = "shield-test/postgres:15"

// StartDocker runs an engine of its own, which touches no network of the
// host, and imports the image, made of the host's files.
func StartDocker(t testing.TB) *Docker {
	t.Helper()
	if os.Getuid() != 0 {
		Missing(t, "a Docker engine needs root")
	}
	d := &Docker{t: t, Dir: Dir(t)}
	socket := filepath.Join(d.Dir, "docker.sock")
	d.Host = "unix://" + socket
	Tool(t, "docker")
	cmd := exec.Command(Tool(t, "dockerd", "/usr/sbin/dockerd"),
		"--data-root", filepath.Join(d.Dir, "data"), "--exec-root", filepath.Join(d.Dir, "exec"), "-H", d.Host,
		"--pidfile", filepath.Join(d.Dir, "pid"), "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false", "--bridge=none")
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	t.Cleanup(d.unmount)
	d.Process = Start(t, cmd, func(ctx context.Context) error {
		return exec.CommandContext(ctx, "docker", "-H", d.Host, "version").Run()
	})
	t.Cleanup(d.end)
	d.image()
	return d
}

// Docker runs the command docker and returns what it printed.
func (d *Docker) Docker(args ...string) string {
	d.t.Helper()
	out, err := exec.Command("docker", append([]string{"-H", d.Host}, args...)...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("docker %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// SQL runs SQL in a database of a container and returns what it prints.
func (d *Docker) SQL(container, user, database, sql string) string {
	d.t.Helper()
	cmd := exec.Command("docker", "-H", d.Host, "exec", "-i", container, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", database, "-f", "-")
	cmd.Stdin = strings.NewReader(sql)
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s\n%v: %s", sql, err, out)
	}
	return strings.TrimSpace(string(out))
}

// end removes the containers, whose processes are not the engine's children,
// and stops the engine.
func (d *Docker) end() {
	out, err := exec.Command("docker", "-H", d.Host, "ps", "-a", "-q").Output()
	if ids := strings.Fields(string(out)); err == nil && len(ids) > 0 {
		_ = exec.Command("docker", append([]string{"-H", d.Host, "rm", "-f", "-v"}, ids...)...).Run() // best effort
	}
	d.Stop()
}

// unmount releases what the engine has mounted in its folder.
func (d *Docker) unmount() {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 4 && strings.HasPrefix(fields[4], d.Dir+"/") {
			_ = syscall.Unmount(fields[4], syscall.MNT_DETACH) // or the folder stays
		}
	}
}

// image imports a file system of PostgreSQL's programs and what they need.
func (d *Docker) image() {
	d.t.Helper()
	cmd := exec.Command("sh", "-euc", imageScript, "sh", d.Dir, PostgresImage)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.Host, "PG="+filepath.Dir(PostgresBin))
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("the image: %v\n%s", err, out)
	}
}

const imageScript = `
root=$1/root
share=/usr/share/postgresql
mkdir -p $root/usr/bin $root/usr/lib $root/usr/lib64 $root/usr/sbin $root/run/postgresql $root/var/lib/postgresql/data $root/etc $root/tmp $root/usr/share $root/proc $root/dev $root/sys
for d in bin sbin lib lib64; do ln -s usr/$d $root/$d; done
ln -s ../run $root/var/run
chmod 1777 $root/tmp
tar -C / -c --exclude='*/bitcode' --exclude='*/llvmjit*' --exclude='usr/share/zoneinfo/right' --exclude='usr/share/zoneinfo/posix' \
	${PG#/} ${share#/} usr/share/zoneinfo | tar -C $root -x
programs='sh bash cat ls mkdir chmod chown rm sleep id env locale'
for p in $programs; do cp -L "$(command -v $p)" $root/usr/bin/; done
for p in $PG/bin/*; do ln -s $p $root/usr/bin/${p##*/}; done
{ for p in $programs; do ldd "$(command -v $p)" || true; done; ldd $PG/bin/* $PG/lib/*.so || true; } 2>/dev/null |
	sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^\t\(\/[^ ]*\) .*/\1/p' | grep -v llvm | sort -u | while read -r lib; do
	mkdir -p "$root$(dirname "$lib" | sed 's,^/lib,/usr/lib,')"
	cp -L "$lib" "$root$(echo "$lib" | sed 's,^/lib,/usr/lib,')"
done
echo 'postgres:x:101:104::/var/lib/postgresql:/bin/bash' >$root/etc/passwd
echo 'postgres:x:104:' >$root/etc/group
echo 'passwd: files' >$root/etc/nsswitch.conf
cat >$root/entry.sh <<'EOF'
#!/bin/bash
set -e
if test ! -s "$PGDATA/PG_VERSION"; then
	initdb -D "$PGDATA" -U "${POSTGRES_USER:-postgres}" --auth-local=trust --auth-host=scram-sha-256 \
		--pwfile=<(printf %s "$POSTGRES_PASSWORD") -N -E UTF8 --no-locale >/dev/null
fi
exec postgres -c fsync=off -c shared_buffers=16MB "$@"
EOF
chmod 755 $root/entry.sh
chown -R 101:104 $root/var/lib/postgresql $root/run/postgresql
tar -C $root -c . | docker import -c 'USER 101:104' -c 'ENV PATH=/usr/bin:/bin PGDATA=/var/lib/postgresql/data' \
	-c 'VOLUME /var/lib/postgresql/data' -c 'ENTRYPOINT ["/entry.sh"]' - $2
rm -rf $root
`
