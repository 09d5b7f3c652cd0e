package shield_test

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/shieldhq/shield"

// allowed is the policy of imports: for each package, the own packages that
// its code, tests aside, may import. A new package starts by adding its line.
// "*" allows all, for the places that wire.
var allowed = map[string][]string{
	"":                                      nil,
	"archive":                               {""},
	"catalog":                               {""},
	"catalog/catalogtest":                   {""},
	"scheduler":                             {"", "scheduler/retention", "scheduler/timespec"},
	"scheduler/retention":                   {"", "scheduler/timespec"},
	"scheduler/timespec":                    {""},
	"task":                                  {"", "archive", "internal/able", "plugin", "plugin/plugintest"},
	"plugin":                                {""},
	"plugin/exec":                           {"", "internal/calling", "plugin"},
	"plugin/pdk":                            {"", "plugin"},
	"plugin/library":                        {"", "internal/durable", "plugin"},
	"plugin/pdk/pdkhttp":                    {"internal/idle", "plugin/pdk"},
	"wasmhost":                              {"", "internal/calling", "internal/idle", "plugin", "plugin/exec", "plugin/pdk", "wasmhost/internal/interrupt"},
	"plugin/plugintest":                     {"", "internal/able", "plugin"},
	"plugins-wasm/fs":                       {"plugin/pdk", "plugins-wasm/fs/fs"},
	"plugins-wasm/fs/fs":                    {"", "plugin", "plugin/pdk", "plugins-wasm/internal/stream"}, // pdk for the sandbox only
	"plugins-wasm/fs/fstest":                {},
	"agent":                                 {"", "internal/able", "internal/durable", "internal/pki", "internal/storewire", "plugin"},
	"plugins-wasm/postgres":                 {"plugin/pdk", "plugins-wasm/postgres/postgres"},
	"plugins-wasm/postgres/postgres":        {"", "plugin", "plugin/pdk", "plugins-wasm/fs/fs", "plugins-wasm/internal/pg", "plugins-wasm/internal/tool"},
	"plugins-wasm/docker-postgres":          {"plugin/pdk", "plugins-wasm/docker-postgres/dockerpg"},
	"plugins-wasm/docker-postgres/dockerpg": {"", "plugin", "plugin/pdk", "plugins-wasm/internal/pg", "plugins-wasm/internal/tool"},
	"plugins-wasm/internal/pg":              {"", "plugin", "plugin/pdk", "plugins-wasm/internal/tool"},
	"plugins-wasm/azure":                    {"plugin/pdk", "plugins-wasm/azure/azure"},
	"plugins-wasm/azure/azure":              {"", "plugin", "plugins-wasm/internal/rest"},
	"plugins-wasm/google":                   {"plugin/pdk", "plugins-wasm/google/google"},
	"plugins-wasm/google/google":            {"", "plugin", "plugins-wasm/internal/rest", "plugins-wasm/s3/s3"},
	"plugins-wasm/internal/rest":            {"", "plugin", "plugin/pdk", "plugin/pdk/pdkhttp"},
	"plugins-wasm/internal/resttest":        {"*"}, // for tests
	"plugins-wasm/internal/stream":          {},
	"plugins-wasm/internal/tool":            {"", "plugin", "plugin/pdk"},
	"plugins-wasm/s3":                       {"plugin/pdk", "plugins-wasm/s3/s3"},
	"plugins-wasm/s3/s3":                    {"", "plugin", "plugin/pdk", "plugin/pdk/pdkhttp"},
	"plugins-wasm/scality":                  {"plugin/pdk", "plugins-wasm/s3/s3"},
	"plugins-wasm/sftp":                     {"plugin/pdk", "plugins-wasm/sftp/sftp"},
	"plugins-wasm/sftp/sftp":                {"", "plugin", "plugin/pdk", "plugins-wasm/internal/rest", "plugins-wasm/internal/stream"},
	"plugins-wasm/internal/child":           {"", "plugin"},
	"plugins-wasm/rclone":                   {"plugin/pdk", "plugins-wasm/rclone/rclone"},
	"plugins-wasm/rclone/rclone":            {"", "plugin", "plugins-wasm/internal/child", "plugins-wasm/internal/tool"},
	"plugins-wasm/restic":                   {"plugin/pdk", "plugins-wasm/restic/restic"},
	"plugins-wasm/restic/restic":            {"", "plugin", "plugins-wasm/internal/child"},
	"server":                                {"", "internal/password", "plugin", "scheduler/retention", "scheduler/timespec"}, // what only computes
	"server/ui":                             {},
	"daemon":                                {"*"},
	"internal/durable":                      nil,
	"internal/period":                       nil,
	"server/apply":                          {"", "internal/period", "plugin", "scheduler/timespec", "server"},
	"internal/agenthost":                    {"*"},
	"internal/pki":                          {""},
	"internal/storewire":                    {"", "internal/able", "plugin"},
	"internal/bundled":                      {},
	"internal/faultproxy":                   {},
	"internal/bundled/pack":                 {},
	"internal/calling":                      {"", "internal/able", "plugin", "plugin/pdk"},
	"internal/idle":                         {},
	"internal/keyring":                      {""},
	"internal/nativeplugins":                {"*"}, // of plugins
	"internal/password":                     {""},
	"internal/treecmp":                      {},
	"internal/storefault":                   {"", "internal/faultproxy", "plugin"},
	"internal/testserver":                   {},
	"internal/scaleseed":                    {},
	"internal/shieldtest":                   {"plugin", "wasmhost"},
	"internal/version":                      {},
	"cmd/shieldd":                           {"", "daemon", "internal/nativeplugins", "internal/version", "wasmhost"},
	"cmd/shield":                            {"", "internal/durable", "internal/endpointarg", "internal/nativeplugins", "internal/period", "internal/version", "plugin", "plugin/exec", "plugin/plugintest", "scheduler/timespec", "server", "server/apply", "wasmhost"},
	"cmd/shield-agent":                      {"*"},
	"cmd/shield-schema":                     {"catalog", "internal/version"},
	"examples/target-go":                    {"", "plugin", "plugin/pdk"},
	"examples/plugin-sh":                    {},
	"examples/quickstart":                   {"", "internal/treecmp", "server"},
	"bench":                                 {"*"},
	"plugins-wasm/redis":                    {"plugin/pdk", "plugins-wasm/redis/redis"},
	"plugins-wasm/redis/redis":              {"", "plugin", "plugin/pdk", "plugins-wasm/internal/stream", "plugins-wasm/redis/rdb"},
	"plugins-wasm/redis/rdb":                {},
	"plugins-wasm/rabbitmq":                 {"plugin/pdk", "plugins-wasm/rabbitmq/rabbitmq"},
	"plugins-wasm/rabbitmq/rabbitmq":        {"", "plugin", "plugin/pdk", "plugin/pdk/pdkhttp", "plugins-wasm/internal/stream"},
	"wasmhost/internal/interrupt":           {},
	"internal/endpointarg":                  {""},
	"examples/target-go/lineserver":         {},
	"internal/able":                         {"plugin"},
	"plugins-wasm/internal/mysqlcli":        {"", "plugin", "plugins-wasm/internal/tool"},
	"plugins-wasm/mysql":                    {"plugin/pdk", "plugins-wasm/mysql/mysql"},
	"plugins-wasm/mysql/mysql":              {"", "plugin", "plugins-wasm/internal/mysqlcli", "plugins-wasm/internal/tool"},
	"plugins-wasm/xtrabackup":               {"plugin/pdk", "plugins-wasm/xtrabackup/xtrabackup"},
	"plugins-wasm/xtrabackup/xtrabackup":    {"", "plugin", "plugin/pdk", "plugins-wasm/internal/mysqlcli", "plugins-wasm/internal/tool"},
	"plugins-wasm/webdav":                   {"plugin/pdk", "plugins-wasm/webdav/webdav"},
	"plugins-wasm/webdav/webdav":            {"", "plugin", "plugins-wasm/internal/rest", "plugins-wasm/internal/stream"},
	"plugins-wasm/mongo":                    {"plugin/pdk", "plugins-wasm/mongo/mongo"},
	"plugins-wasm/mongo/mongo":              {"", "plugin", "plugin/pdk", "plugins-wasm/internal/tool"},
}

// A pkg is what the go command says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []pkg
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// own returns the path of one of our packages below the module's root.
func own(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name, _ := own(p.ImportPath)
		seen[name] = true
		may, listed := allowed[name]
		if !listed {
			t.Errorf("package %q is not in the policy of imports: add its line", name)
		}
		for _, i := range p.Imports {
			if dep, ok := own(i); ok && !slices.Contains(may, dep) && !slices.Contains(may, "*") {
				t.Errorf("%q must not import %q", name, dep)
			}
			if name == "" && strings.Contains(strings.Split(i, "/")[0], ".") {
				t.Errorf("the root package must import the standard library only, not %q", i)
			}
		}
	}
	for name := range allowed {
		if !seen[name] {
			t.Errorf("the policy of imports lists %q, which does not exist", name)
		}
	}
}

func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && !documented(t, p) {
			t.Errorf("package %s has no package comment", p.ImportPath)
		}
	}
}

func documented(t *testing.T, p pkg) bool {
	t.Helper()
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil {
			return true
		}
	}
	return false
}
