//go:build linux

package testserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// RabbitMQ is a running broker with its management API.
type RabbitMQ struct {
	*Process
	Dir      string
	API      string // base URL of the management API
	AMQP     string // URL for clients
	User     string
	Password string
	env      []string
}

// StartRabbitMQ runs a broker. It takes some ten seconds, on a busy machine
// more than a minute: one a test binary is enough.
func StartRabbitMQ(t testing.TB) *RabbitMQ {
	t.Helper()
	path := Tool(t, "/usr/lib/rabbitmq/bin/rabbitmq-server")
	r := &RabbitMQ{Dir: Dir(t), User: "shield", Password: "rabbit-pw"}
	amqp, api, dist, epmd := Port(t), Port(t), Port(t), Port(t)
	r.AMQP, r.API = fmt.Sprintf("amqp://127.0.0.1:%d", amqp), fmt.Sprintf("http://127.0.0.1:%d", api)
	conf := fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %d\n"+
		"loopback_users = none\ndefault_user = %s\ndefault_pass = %s\ncollect_statistics_interval = 500\n", amqp, api, r.User, r.Password)
	r.write(t, "rabbitmq.conf", conf)
	r.write(t, "enabled_plugins", "[rabbitmq_management].\n")
	cookie := filepath.Base(r.Dir)
	r.env = append(os.Environ(),
		"HOME="+r.Dir, "RABBITMQ_NODENAME="+cookie+"@localhost", "RABBITMQ_CONFIG_FILE="+r.Dir+"/rabbitmq.conf",
		"RABBITMQ_MNESIA_BASE="+r.Dir+"/mnesia", "RABBITMQ_LOG_BASE="+r.Dir+"/log",
		"RABBITMQ_ENABLED_PLUGINS_FILE="+r.Dir+"/enabled_plugins", fmt.Sprintf("RABBITMQ_DIST_PORT=%d", dist),
		fmt.Sprintf("ERL_EPMD_PORT=%d", epmd), "ERL_EPMD_ADDRESS=127.0.0.1", "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_PID_FILE="+r.Dir+"/pid", "RABBITMQ_ERLANG_COOKIE="+cookie,
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}")
	cmd := exec.Command(path)
	cmd.Env, cmd.Dir = r.env, r.Dir
	As(t, cmd, "rabbitmq", r.Dir, r.Dir+"/rabbitmq.conf", r.Dir+"/enabled_plugins")
	// Erlang's name server detaches itself and stays behind.
	t.Cleanup(func() {
		kill := exec.Command("epmd", "-port", fmt.Sprint(epmd), "-kill")
		kill.Env = append(r.env, "ERL_EPMD_RELAXED_COMMAND_CHECK=true")
		_ = kill.Run()
	})
	r.Process = Start(t, cmd, r.ready)
	return r
}

func (r *RabbitMQ) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.Dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r *RabbitMQ) ready(ctx context.Context) error {
	_, err := r.call(ctx, http.MethodGet, "/api/overview", "")
	return err
}

// Call sends a request to the management API and returns the answer. Any but
// one of success fails the test.
func (r *RabbitMQ) Call(t testing.TB, method, path, body string) string {
	t.Helper()
	text, err := r.call(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (r *RabbitMQ) call(ctx context.Context, method, path, body string) (string, error) {
	q, err := http.NewRequestWithContext(ctx, method, r.API+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	q.SetBasicAuth(r.User, r.Password)
	q.Header.Set("Content-Type", "application/json")
	x, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer x.Body.Close()
	text, err := io.ReadAll(x.Body)
	if err == nil && x.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, x.Status, text)
	}
	return string(text), err
}
