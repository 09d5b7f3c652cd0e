//go:build linux

package dockerpg_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/docker-postgres/dockerpg"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

type fields map[string]any

func endpoint(t testing.TB, d *testserver.Docker, more fields) shield.Endpoint {
	t.Helper()
	m := fields{"socket": d.Host}
	maps.Copy(m, more)
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, o plugin.Opener, e shield.Endpoint) plugin.Target {
	t.Helper()
	target, err := o.OpenTarget(t.Context(), e, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func mustBackup(t testing.TB, o plugin.Opener, e shield.Endpoint) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := open(t, o, e).Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wantError(t testing.TB, err error, code shield.Code, texts ...string) {
	t.Helper()
	if shield.CodeOf(err) != code {
		t.Errorf("got %q: %v, want %q", shield.CodeOf(err), err, code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("no %q in: %v", text, err)
		}
	}
}

// ready waits for the server in a container.
func ready(t testing.TB, d *testserver.Docker, names ...string) {
	t.Helper()
	for _, name := range names {
		for end := time.Now().Add(testserver.Patience); ; time.Sleep(50 * time.Millisecond) {
			if exec.Command("docker", "-H", d.Host, "exec", name, "pg_isready", "-q", "-h", "127.0.0.1").Run() == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s does not start: %s", name, d.Docker("logs", name))
			}
		}
	}
}

// two starts two containers with volumes, users and passwords of their own.
func two(t testing.TB, d *testserver.Docker) {
	t.Helper()
	d.Docker("run", "-d", "--name", "db1", "--network", "none", "-v", "db1-data:/var/lib/postgresql/data", "-e", "POSTGRES_PASSWORD=first-secret",
		"-l", "backup=yes", "--restart", "on-failure:3", "--memory", "512m", "--shm-size", "128m", testserver.PostgresImage, "-c", "work_mem=8MB")
	d.Docker("run", "-d", "--name", "db2.x", "--network", "none", "-v", "db2-data:/var/lib/postgresql/data", "-e", "POSTGRES_PASSWORD=second-secret",
		"-e", "POSTGRES_USER=chief", "--hostname", "second", "--ulimit", "nofile=2048:4096", "--cap-drop", "NET_RAW", testserver.PostgresImage)
	ready(t, d, "db1", "db2.x")
	d.SQL("db1", "postgres", "postgres", "CREATE ROLE app LOGIN PASSWORD 'app-pw'; CREATE DATABASE shop OWNER app")
	d.SQL("db1", "postgres", "shop", "CREATE TABLE orders AS SELECT n, md5(n::text) x FROM generate_series(1, 100000) n; SELECT lo_from_bytea(5, 'blob')")
	d.SQL("db2.x", "chief", "postgres", "CREATE DATABASE \"wiki ü\"")
	d.SQL("db2.x", "chief", "wiki ü", "CREATE TABLE page (t text); INSERT INTO page VALUES (E'\\\\.'), ('☃')")
}

var whatDiffers = regexp.MustCompile(`(?m)^(\\(un)?restrict .*|-- (Dumped|Started|Completed).*|ALTER ROLE (postgres|chief) WITH .*)\n`)

// content is all that the two hold.
func content(d *testserver.Docker) string {
	return whatDiffers.ReplaceAllString(d.Docker("exec", "db1", "pg_dumpall", "-U", "postgres")+d.Docker("exec", "db2.x", "pg_dumpall", "-U", "chief"), "")
}

// settings is how the two were created.
func settings(d *testserver.Docker) string {
	return d.Docker("inspect", "--format", "{{.Name}} {{.Config.Image}} {{.Config.Env}} {{.Config.Cmd}} {{.Config.Labels}} {{.HostConfig.Binds}} "+
		"{{.HostConfig.RestartPolicy}} {{.HostConfig.Memory}} {{.HostConfig.ShmSize}} {{.HostConfig.CapDrop}} {{.HostConfig.Ulimits}} {{.HostConfig.NetworkMode}}", "db1", "db2.x")
}

// destroy removes the two with their volumes.
func destroy(d *testserver.Docker) {
	d.Docker("rm", "-f", "-v", "db1", "db2.x")
	d.Docker("volume", "rm", "db1-data", "db2-data")
}

// TestDocker is the whole story with a real engine.
func TestDocker(t *testing.T) {
	d := testserver.StartDocker(t)
	two(t, d)
	t.Run("conformance", func(t *testing.T) { conformance(t, d) })
	want, made := content(d), settings(d)
	for name, o := range map[string]plugin.Opener{"native": dockerpg.Plugin(), "sandbox": shieldtest.Sandboxed(t, "docker-postgres")} {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, d, nil)
			if err := open(t, o, e).(plugin.Tester).Test(t.Context()); err != nil {
				t.Error(err)
			}
			b := mustBackup(t, o, e)
			destroy(d)
			if err := open(t, o, e).Restore(t.Context(), bytes.NewReader(b)); err != nil {
				t.Fatal(err)
			}
			if content(d) != want || settings(d) != made {
				t.Errorf("restored: %s, want %s; or the content differs", settings(d), made)
			}
			d.SQL("db1", "postgres", "shop", "DELETE FROM orders WHERE n % 2 = 0; CREATE TABLE more (n int)")
			d.Docker("stop", "db2.x")
			if err := open(t, o, e).Restore(t.Context(), bytes.NewReader(b)); err != nil {
				t.Fatal(err)
			}
			if content(d) != want {
				t.Error("restored into what is there: the content differs")
			}
		})
	}
	t.Run("story", func(t *testing.T) { story(t, d, want, made) })
	t.Run("example", func(t *testing.T) { example(t, d) })
	t.Run("faults", func(t *testing.T) { faults(t, d) })
}

func conformance(t *testing.T, d *testserver.Docker) {
	plugintest.Run(t, shieldtest.Sandboxed(t, "docker-postgres"), plugintest.Config{
		TargetEndpoint: endpoint(t, d, fields{"container": "db2.x"}),
		Equal: func(a, b []byte) error {
			// The restriction's key differs, and the members are padded alike.
			if x, y := normal(a), normal(b); x != y {
				return fmt.Errorf("they differ in more than what each dump has of its own")
			}
			return nil
		},
		ReadsAll: true, Timeout: 3 * time.Minute,
	})
}

var own = regexp.MustCompile(`(?m)^\\(un)?restrict .*$|"(Pid|StartedAt|FinishedAt|SandboxKey|SandboxID|LogPath|ResolvConfPath|RestartCount)":.*$|^ALTER ROLE chief.*$`)

func normal(b []byte) string {
	_, rest, _ := bytes.Cut(b, []byte("/cluster.sql/"))
	return own.ReplaceAllString(string(rest), "")
}

// story goes through daemon and command line.
func story(t *testing.T, d *testserver.Docker, want, made string) {
	s := shieldtest.Start(t)
	s.Install(shieldtest.Module(t, "docker-postgres"))
	store := filepath.Join(s.Dir, "store")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Store("disk", "fs", `{"base_dir":"`+store+`"}`)
	s.Target("host", "docker-postgres", string(endpoint(t, d, nil)))
	s.Job("host", "host", "disk")
	a := s.Backup("host")
	destroy(d)
	s.Restore(a.UUID, "")
	if content(d) != want || settings(d) != made {
		t.Errorf("restored: %s, want %s; or the content differs", settings(d), made)
	}
	s.Target("none", "docker-postgres", string(endpoint(t, d, fields{"image": "nothing-like-it"})))
	s.Job("none", "none", "disk")
	out, stderr, status := s.Try("run", "job", "none", "--wait")
	if status == 0 || !strings.Contains(stderr, "a backup of nothing is none") || len(s.Archives()) != 1 {
		t.Errorf("status %d: %s%s", status, out, stderr)
	}
	if text := out + stderr + s.Log(); strings.Contains(text, "first-secret") || strings.Contains(text, "second-secret") {
		t.Error("a password is shown")
	}
}

// example runs the script that operators can read.
func example(t *testing.T, d *testserver.Docker) {
	cmd := exec.Command("../../../examples/targets/docker-postgres.sh", shieldtest.Module(t, "docker-postgres"), testserver.PostgresImage)
	cmd.Env = append(os.Environ(), "PATH="+shieldtest.Programs(t)+":"+os.Getenv("PATH"), "DOCKER_HOST="+d.Host)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "The container and every row are back") {
		t.Errorf("%v: %s", err, out)
	}
}

func faults(t *testing.T, d *testserver.Docker) {
	o := dockerpg.Plugin()
	backup := func(more fields) error {
		return open(t, o, endpoint(t, d, more)).Backup(t.Context(), &bytes.Buffer{})
	}
	wantError(t, backup(fields{"image": "mysql"}), shield.TargetFailed, "a backup of nothing is none")
	wantError(t, backup(fields{"label": "backup=no"}), shield.TargetFailed, "the label backup=no")
	wantError(t, backup(fields{"container": "db1,db9"}), shield.Invalid, "endpoint.container", "db9")
	wantError(t, backup(fields{"socket": "unix:///nowhere/docker.sock"}), shield.Unavailable, "docker")
	wantError(t, backup(fields{"pg_user": "nobody"}), shield.Unauthorized, "container db1", "nobody")
	wantError(t, backup(fields{"docker_bindir": t.TempDir()}), shield.Invalid, "endpoint.docker_bindir", "docker.io")

	e := endpoint(t, d, fields{"container": "db1", "label": "backup=yes"})
	b := mustBackup(t, o, e)
	restore := func(more fields, b []byte) error {
		return open(t, o, endpoint(t, d, more)).Restore(t.Context(), bytes.NewReader(b))
	}
	for n := 1; n < len(b); n += len(b) / 5 {
		if err := restore(fields{"container": "db9"}, b[:n]); shield.CodeOf(err) != shield.Corrupt {
			t.Errorf("a stream cut after %d bytes: %v", n, err)
		}
		if _, err := open(t, o, e).(plugin.Inspector).Inspect(t.Context(), bytes.NewReader(b[:n])); shield.CodeOf(err) != shield.Corrupt {
			t.Errorf("inspecting a stream cut after %d bytes: %v", n, err)
		}
	}
	have, err := open(t, o, e).(plugin.Prober).Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	says, err := open(t, o, e).(plugin.Inspector).Inspect(t.Context(), bytes.NewReader(b))
	if err != nil || says.Counts["rows"] != have.Counts["rows"] || have.Counts["rows"] < 100000 || have.Counts["containers"] != 1 {
		t.Errorf("the containers have %v, the archive %v, %v", have.Counts, says.Counts, err)
	}

	d.Docker("stop", "db1")
	wantError(t, backup(fields{"container": "db1"}), shield.Unavailable, "does not run")
	d.Docker("rm", "-f", "-v", "db1")

	t.Log("the second half is missing: the container that was made is gone again")
	last := bytes.LastIndex(b, []byte("COPY public.orders"))
	if err := restore(nil, append(b[:last:last], strings.Repeat("\x00", 1024)...)); err == nil {
		t.Error("a stream that lacks its second half was restored")
	}
	if names := d.Docker("ps", "-a", "--format", "{{.Names}}"); strings.Contains(names, "db1") {
		t.Errorf("the container is still there: %s", names)
	}

	t.Log("a setting that the plugin cannot give: no container at all")
	odd := bytes.Replace(b, []byte(`"BlkioWeight": 0,`), []byte(`"BlkioWeight": 9,`), 1)
	wantError(t, restore(nil, odd), shield.TargetFailed, "db1 cannot be made again", "HostConfig.BlkioWeight")
	gone := bytes.Replace(b, []byte(`"Image": "shield-test/postgres:15"`), []byte(`"Image": "shield-test/postgres:99"`), 1)
	wantError(t, restore(fields{"pull": false}, gone), shield.Invalid, "db1 cannot be made again", "shield-test/postgres:99")
	if names := d.Docker("ps", "-a", "--format", "{{.Names}}"); strings.Contains(names, "db1") {
		t.Errorf("the container is still there: %s", names)
	}
	if err := restore(nil, b); err != nil {
		t.Error(err)
	}
	wantError(t, restore(fields{"pg_existing": "fail"}, b), shield.Conflict, "shop", "exists")
}
