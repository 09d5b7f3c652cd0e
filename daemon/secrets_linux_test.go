package daemon_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/internal/bundled"
	"github.com/shieldhq/shield/internal/nativeplugins"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/azure/azure"
	"github.com/shieldhq/shield/plugins-wasm/docker-postgres/dockerpg"
	"github.com/shieldhq/shield/plugins-wasm/google/google"
	"github.com/shieldhq/shield/plugins-wasm/mongo/mongo"
	"github.com/shieldhq/shield/plugins-wasm/mysql/mysql"
	"github.com/shieldhq/shield/plugins-wasm/postgres/postgres"
	"github.com/shieldhq/shield/plugins-wasm/rabbitmq/rabbitmq"
	"github.com/shieldhq/shield/plugins-wasm/redis/redis"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
	"github.com/shieldhq/shield/plugins-wasm/webdav/webdav"
	"github.com/shieldhq/shield/plugins-wasm/xtrabackup/xtrabackup"
	"github.com/shieldhq/shield/server"
)

// bundledPlugins are all that come with shield, as they are compiled in, but fs,
// which is there and has no secrets, and those of nativeplugins.
func bundledPlugins() map[string]plugin.Opener {
	return map[string]plugin.Opener{
		"azure": azure.Plugin(), "docker-postgres": dockerpg.Plugin(), "google": google.Plugin(), "mongo": mongo.Plugin(),
		"mysql": mysql.Plugin(), "postgres": postgres.Plugin(), "rabbitmq": rabbitmq.Plugin(), "redis": redis.Plugin(),
		"s3": s3.Plugin(nil), "scality": s3.Plugin(s3.Scality()), "webdav": webdav.Plugin(), "xtrabackup": xtrabackup.Plugin(),
	}
}

// fakeTools are programs that plugins run. They note what everybody on the host
// can see of them and of who runs them, and fail.
var fakeTools = []string{"pg_dump", "pg_dumpall", "pg_restore", "psql", "pg_basebackup", "mysql", "mysqldump", "mariadb", "mariadb-dump", "mysqladmin",
	"mongodump", "mongorestore", "docker", "rclone", "restic", "xtrabackup", "mariabackup", "mariadb-backup", "mbstream", "xbstream"}

// A hunt looks for planted secrets.
type hunt struct {
	t       *testing.T
	dir     string
	data    string            // folder of the daemon
	port    int               // where plugins find somebody who hangs up
	secrets map[string]string // what to look for → the field that has it
	url     string
	token   shield.Secret
	answers strings.Builder

	mu   sync.Mutex
	pid  int             // of the daemon
	seen strings.Builder // arguments and environments of children
}

// TestSecretsStaySecret plants a secret in every secret field of every bundled
// plugin, has the plugins used, and looks for the secrets wherever somebody
// could see them: with the plugins as they are compiled in.
func TestSecretsStaySecret(t *testing.T) {
	h := newHunt(t)
	native, err := nativeplugins.Open()
	if err != nil {
		t.Fatal(err)
	}
	log := &logText{}
	d := run(t, daemon.Config{
		Data: h.data, Listen: "127.0.0.1:0", Plugins: bundledPlugins(), Native: native, Sandbox: daemon.SandboxNever,
		Limit: 20, Timeout: 2 * time.Second, Grace: time.Second, Attempts: 1, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	h.watch(os.Getpid())
	h.search(d.URL(), d.Token(), log.String)
}

// TestSandboxedSecretsStaySecret does the same with shieldd as it is delivered:
// the plugins are modules in the sandbox, all but those that cannot be.
func TestSandboxedSecretsStaySecret(t *testing.T) {
	if modules, err := bundled.Modules(); err != nil || len(modules) == 0 {
		t.Skipf("the modules are not built in: %v", err)
	}
	h := newHunt(t)
	s := shieldtest.Start(t, "--sandbox", "--log-level", "debug", "--limit", "20", "--attempts", "1", "--timeout", "1m", "--grace", "1s")
	h.data = s.Data()
	token, err := os.ReadFile(filepath.Join(h.data, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	h.watch(s.Pid())
	h.search(s.URL(), shield.Secret(strings.TrimSpace(string(token))), s.Log)
}

func newHunt(t *testing.T) *hunt {
	t.Helper()
	h := &hunt{t: t, dir: t.TempDir(), secrets: map[string]string{}}
	h.data = filepath.Join(h.dir, "data")
	h.tools()
	h.listen()
	return h
}

// search does all that it takes with a daemon.
func (h *hunt) search(url string, token shield.Secret, log func() string) {
	h.t.Helper()
	h.url, h.token = url, token
	api, err := server.NewClient(url, token)
	if err != nil {
		h.t.Fatal(err)
	}
	h.plant(api)
	h.use(api)
	h.look(log())
}

// tools makes the programs that plugins run.
func (h *hunt) tools() {
	bin := filepath.Join(h.dir, "bin")
	if err := errors.Join(os.Mkdir(bin, 0o755), os.Mkdir(filepath.Join(h.dir, "seen"), 0o755)); err != nil {
		h.t.Fatal(err)
	}
	// Of its own environment a program may have its password; nobody but its
	// user sees that.
	script := `#!/bin/sh
{ echo "argv of $0"; tr '\0' '\n' </proc/$$/cmdline; echo "argv above $0"; tr '\0' '\n' </proc/$PPID/cmdline
  echo "env above $0"; tr '\0' '\n' </proc/$PPID/environ; } >` + h.dir + `/seen/$$ 2>/dev/null
exit 1
`
	for _, name := range fakeTools {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			h.t.Fatal(err)
		}
	}
	h.t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// listen takes connections of plugins, looks at the processes that there are
// meanwhile, and hangs up.
func (h *hunt) listen() {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			pid := h.pid
			h.mu.Unlock()
			h.children(pid)
			c.Close()
		}
	}()
	h.port = l.Addr().(*net.TCPAddr).Port
}

// watch says whose children to look at.
func (h *hunt) watch(pid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pid = pid
}

// children notes what can be seen of the children of a process: their arguments
// and, of plugins, the environments. Programs that plugins run may have their
// passwords there, where nobody but their user sees them.
func (h *hunt) children(pid int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(text)) {
			id, err := strconv.Atoi(child)
			if err != nil {
				continue
			}
			argv, _ := os.ReadFile("/proc/" + child + "/cmdline")
			env, _ := os.ReadFile("/proc/" + child + "/environ")
			h.mu.Lock()
			h.seen.Write(argv)
			if strings.Contains(string(argv), "plugin-native") {
				h.seen.Write(env)
			}
			h.mu.Unlock()
			h.children(id)
		}
	}
}

// endpoints have, together, every secret field of every plugin. What the marks
// stand for, words tells.
var endpoints = []struct{ plugin, role, endpoint string }{
	{"azure", "stores", `{"account":"name","container":"backups","endpoint":"http://127.0.0.1:{port}","retries":0,"key":"{b64}"}`},
	{"azure", "stores", `{"account":"name","container":"backups","endpoint":"https://127.0.0.1:{port}","retries":0,"sas":"sv=2024&sig={secret}","ca":"{cert}"}`},
	{"azure", "stores", `{"account":"name","container":"backups","endpoint":"http://127.0.0.1:{port}","retries":0,"connection_string":"AccountName=name;AccountKey={b64};BlobEndpoint=http://127.0.0.1:{port}"}`},
	{"docker-postgres", "targets", `{"container":"name","pg_password":"{secret}"}`},
	{"google", "stores", `{"bucket":"name","endpoint":"http://127.0.0.1:{port}","token_url":"http://127.0.0.1:{port}/","retries":0,"json_key":"{account}"}`},
	{"google", "stores", `{"bucket":"name","endpoint":"https://127.0.0.1:{port}","retries":0,"access_id":"name","secret":"{secret}","ca":"{cert}"}`},
	{"mongo", "targets", `{"mongo_host":"127.0.0.1","mongo_port":"{port}","mongo_user":"name","mongo_password":"{secret}"}`},
	{"mongo", "targets", `{"mongo_host":"127.0.0.1","mongo_port":"{port}","mongo_tls":"verify-full","mongo_tls_ca":"{cert}","mongo_tls_cert":"{cert}","mongo_tls_key":"{key}"}`},
	{"mysql", "targets", `{"mysql_host":"127.0.0.1","mysql_port":"{port}","mysql_user":"name","mysql_password":"{secret}"}`},
	{"mysql", "targets", `{"mysql_host":"127.0.0.1","mysql_port":"{port}","mysql_user":"name","mysql_password":"{secret}","mysql_tls":"verify-full","mysql_tls_ca":"{cert}","mysql_tls_cert":"{cert}","mysql_tls_key":"{key}"}`},
	{"postgres", "targets", `{"pg_host":"127.0.0.1","pg_port":"{port}","pg_user":"name","pg_password":"{secret}"}`},
	{"postgres", "targets", `{"pg_host":"127.0.0.1","pg_port":"{port}","pg_user":"name","pg_password":"{secret}","pg_sslmode":"verify-full","pg_sslrootcert":"{cert}","pg_sslcert":"{cert}","pg_sslkey":"{key}"}`},
	{"rabbitmq", "targets", `{"url":"http://127.0.0.1:{port}/","username":"name","password":"{secret}"}`},
	{"rabbitmq", "targets", `{"rmq_url":"http://127.0.0.1:{port}/","rmq_username":"name","rmq_password":"{secret}"}`},
	{"rabbitmq", "targets", `{"url":"https://127.0.0.1:{port}/","username":"name","password":"{secret}","ca":"{cert}","cert":"{cert}","key":"{key}"}`},
	{"rclone", "stores", `{"remote":"off:x","config":"[off]\ntype = sftp\nhost = 127.0.0.1\npass = {secret}\n"}`},
	{"rclone", "stores", `{"remote":"off:x","config":"# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\n{secret}\n","password":"{secret}"}`},
	{"redis", "targets", `{"host":"127.0.0.1","port":"{port}","username":"name","password":"{secret}"}`},
	{"redis", "targets", `{"host":"127.0.0.1","port":"{port}","tls":"verify","ca":"{cert}","cert":"{cert}","key":"{key}"}`},
	{"restic", "stores", `{"repository":"rest:http://127.0.0.1:{port}/","password":"{secret}","rest_user":"name","rest_password":"{secret}","env":"AWS_SECRET_ACCESS_KEY={secret}"}`},
	{"restic", "stores", `{"repository":"rest:https://127.0.0.1:{port}/","password":"{secret}","ca":"{cert}"}`},
	{"s3", "stores", `{"url":"http://127.0.0.1:{port}","bucket":"name","retries":1,"access_key_id":"name","secret_access_key":"{secret}","session_token":"{secret}"}`},
	{"s3", "stores", `{"url":"https://127.0.0.1:{port}","bucket":"name","retries":1,"access_key_id":"name","secret_access_key":"{secret}","ca_cert":"{cert}","sse":"c","sse_customer_key":"{b64}"}`},
	{"scality", "stores", `{"url":"http://127.0.0.1:{port}","bucket":"name","retries":1,"access_key_id":"name","secret_access_key":"{secret}","session_token":"{secret}"}`},
	{"scality", "stores", `{"url":"https://127.0.0.1:{port}","bucket":"name","retries":1,"access_key_id":"name","secret_access_key":"{secret}","ca_cert":"{cert}","sse":"c","sse_customer_key":"{b64}"}`},
	{"sftp", "stores", `{"host":"127.0.0.1","port":"{port}","user":"name","host_key":"{hostkey}","retries":0,"password":"{secret}"}`},
	{"sftp", "stores", `{"host":"127.0.0.1","port":"{port}","user":"name","host_key":"{hostkey}","retries":0,"private_key":"{sealedkey}","passphrase":"{passphrase}"}`},
	{"webdav", "stores", `{"url":"http://127.0.0.1:{port}/","retries":0,"username":"name","password":"{secret}"}`},
	{"webdav", "stores", `{"url":"http://127.0.0.1:{port}/","retries":0,"token":"{secret}"}`},
	{"webdav", "stores", `{"url":"https://127.0.0.1:{port}/","retries":0,"token":"{secret}","ca":"{cert}","cert":"{cert}","key":"{key}"}`},
	{"xtrabackup", "targets", `{"mysql_host":"127.0.0.1","mysql_port":"{port}","mysql_user":"name","mysql_password":"{secret}"}`},
	{"xtrabackup", "targets", `{"mysql_host":"127.0.0.1","mysql_port":"{port}","mysql_user":"name","mysql_password":"{secret}","mysql_tls":"verify-full","mysql_tls_ca":"{cert}","mysql_tls_cert":"{cert}","mysql_tls_key":"{key}"}`},
}

// words returns what the marks in an endpoint stand for, and remembers which of
// it is secret. A certificate is none, though its field may be.
func (h *hunt) words(name string) *strings.Replacer {
	h.t.Helper()
	cert, key := testserver.NewCA(h.t).Issue("127.0.0.1")
	var pairs []string
	add := func(mark, value, secret string) {
		pairs = append(pairs, "{"+mark+"}", value)
		if secret != "" {
			h.secrets[secret] = name + ", " + mark
		}
	}
	word, binary := strings.ToLower(rand.Text()), make([]byte, 32)
	_, _ = rand.Read(binary)
	b64 := base64.StdEncoding.EncodeToString(binary)
	add("secret", word, word)
	add("b64", b64, b64)
	add("cert", cert, "")
	add("key", key, strings.Split(key, "\n")[1])
	add("hostkey", "SHA256:"+strings.Repeat("A", 43), "")
	add("port", strconv.Itoa(h.port), "")
	if strings.HasPrefix(name, "sftp") {
		sealed, passphrase := h.sealedKey()
		add("sealedkey", sealed, strings.Split(sealed, "\n")[2])
		add("passphrase", passphrase, passphrase)
	}
	if strings.HasPrefix(name, "google") {
		account, line := h.account()
		add("account", account, line)
	}
	return strings.NewReplacer(pairs...)
}

// sealedKey returns a private key and the passphrase that opens it.
func (h *hunt) sealedKey() (key, passphrase string) {
	h.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	passphrase = strings.ToLower(rand.Text())
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), passphrase
}

// account returns the key of a service account, and a line of it.
func (h *hunt) account() (text, line string) {
	h.t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		h.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		h.t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	b, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "a@example.com", "private_key_id": "1", "private_key": key})
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b), strings.Split(key, "\n")[1]
}

// plant makes the endpoints, and checks that no secret field was forgotten.
func (h *hunt) plant(api *server.Client) {
	h.t.Helper()
	planted := map[string]bool{}
	for n, e := range endpoints {
		name := fmt.Sprintf("%s-%d", e.plugin, n)
		words := h.words(name)
		var endpoint map[string]any
		if err := json.Unmarshal([]byte(e.endpoint), &endpoint); err != nil {
			h.t.Fatalf("%s: %v", name, err)
		}
		for field, v := range endpoint {
			if text, ok := v.(string); ok {
				endpoint[field] = words.Replace(text)
			}
			planted[e.plugin+" "+e.role+" "+field] = true
		}
		h.create(e.role, name, e.plugin, endpoint)
	}
	offers, err := api.Plugins(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, o := range offers {
		for role, path := range map[plugin.Role]string{plugin.RoleTarget: "targets", plugin.RoleStore: "stores"} {
			if o.Info == nil || slices.Contains([]string{"redis-broker", "rabbitmq-broker"}, o.Name) { // the latter are other names
				continue
			}
			for _, field := range o.Info.Secrets(role) {
				if !planted[o.Name+" "+path+" "+field] {
					h.t.Errorf("no secret is planted in the field %s of %s as one of the %s", field, o.Name, path)
				}
			}
		}
	}
}

func (h *hunt) create(path, name, plugin string, endpoint map[string]any) {
	h.t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "plugin": plugin, "endpoint": endpoint})
	if err != nil {
		h.t.Fatal(err)
	}
	if status := h.ask("POST", "/v1/"+path, string(body)); status != http.StatusCreated {
		a := h.answers.String()
		h.t.Errorf("%s is not made: %d, %s", name, status, a[strings.LastIndex(a, "{\"title\""):])
	}
	h.ask("POST", "/v1/"+path, string(body)) // there is one
	h.ask("PATCH", "/v1/"+path+"/"+name, `{"summary":"x"}`)
	endpoint["no_such_field"] = 1
	body, _ = json.Marshal(map[string]any{"endpoint": endpoint})
	h.ask("PATCH", "/v1/"+path+"/"+name, string(body))
	h.ask("PATCH", "/v1/"+path+"/"+name, string(body)+"x")
}

// ask sends a request and keeps the answer.
func (h *hunt) ask(method, path, body string) int {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	h.answers.Write(text)
	return resp.StatusCode
}

// use has all that was made tested and backed up, and waits for the end.
func (h *hunt) use(api *server.Client) {
	h.t.Helper()
	h.create("stores", "here", "fs", map[string]any{"base_dir": h.t.TempDir()})
	for path, body := range map[string]string{"schedules": `{"name":"x","timespec":"daily 4am"}`, "retention": `{"name":"x","expiry":86400}`} {
		h.ask("POST", "/v1/"+path, body)
	}
	ctx := h.t.Context()
	targets, err := api.Targets().List(ctx, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, t := range targets {
		h.ask("POST", "/v1/targets/"+t.Name+"/test", "")
		h.ask("POST", "/v1/jobs", fmt.Sprintf(`{"name":%q,"target":%q,"store":"here","schedule":"x","retention_policy":"x"}`, t.Name, t.Name))
		h.ask("POST", "/v1/jobs/"+t.Name+"/run", "")
	}
	stores, err := api.Stores().List(ctx, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range stores {
		h.ask("POST", "/v1/stores/"+s.Name+"/test", "")
	}
	tasks, err := api.Tasks().List(ctx, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, t := range tasks {
		if _, err := api.Wait(ctx, t.UUID, func(*server.FollowAnswer) {}); err != nil {
			h.t.Fatal(err)
		}
		h.ask("GET", "/v1/tasks/"+t.UUID, "")
		h.ask("GET", "/v1/tasks/"+t.UUID+"/follow", "")
	}
	for _, path := range []string{"targets", "stores", "jobs", "tasks", "runs", "archives", "events", "audit", "status", "plugins", "openapi.json", "users", "tokens"} {
		if status := h.ask("GET", "/v1/"+path, ""); status != http.StatusOK {
			h.t.Errorf("%s: %d", path, status)
		}
	}
}

// look looks for the secrets everywhere.
func (h *hunt) look(log string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	places := map[string]string{
		"the answers of the API": h.answers.String(), "the log": log, "the children's arguments and environments": h.seen.String(),
		"the catalog": h.read(h.data, "catalog.db*"), "the tools' arguments, or the environments of who runs them": h.read(filepath.Join(h.dir, "seen"), "*"),
	}
	for place, text := range places {
		if text == "" {
			h.t.Errorf("%s: there is nothing to look at", place)
		}
		for word, field := range h.secrets {
			if strings.Contains(text, word) {
				at := strings.Index(text, word)
				h.t.Errorf("the secret of %s is in %s: %q", field, place, text[max(0, at-200):at])
			}
		}
	}
	if !strings.Contains(places["the catalog"], "$sealed") {
		h.t.Error("the catalog has no sealed field: this test looks at the wrong place")
	}
	if !strings.Contains(places["the children's arguments and environments"], "plugin-native") {
		h.t.Error("no plugin was seen in a process of its own")
	}
}

// read returns all files of a folder that match.
func (h *hunt) read(folder, pattern string) string {
	h.t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil {
		h.t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			h.t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
