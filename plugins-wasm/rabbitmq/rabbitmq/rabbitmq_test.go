//go:build linux

package rabbitmq_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/rabbitmq/rabbitmq"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

// setup makes objects of all kinds, in virtual hosts of their own.
func setup(t testing.TB, b *testserver.RabbitMQ) {
	t.Helper()
	for _, c := range [][3]string{
		{"PUT", "/api/vhosts/shop", `{}`},
		{"PUT", "/api/vhosts/odd%20ü", `{}`},
		{"PUT", "/api/users/clerk", `{"password":"clerk-pw","tags":"monitoring"}`},
		{"PUT", "/api/permissions/shop/clerk", `{"configure":"^c","write":".*","read":".*"}`},
		{"PUT", "/api/permissions/shop/shield", `{"configure":".*","write":".*","read":".*"}`},
		{"PUT", "/api/topic-permissions/shop/clerk", `{"exchange":"events","write":"^a","read":".*"}`},
		{"PUT", "/api/policies/shop/ttl", `{"pattern":"^temp","definition":{"message-ttl":60000},"priority":1,"apply-to":"queues"}`},
		{"PUT", "/api/global-parameters/motto", `{"value":{"text":"backups"}}`},
		{"PUT", "/api/exchanges/shop/events", `{"type":"topic","durable":true,"arguments":{"alternate-exchange":"lost"}}`},
		{"PUT", "/api/exchanges/shop/lost", `{"type":"fanout","durable":true}`},
		{"PUT", "/api/queues/shop/orders", `{"durable":true,"arguments":{"x-max-priority":5}}`},
		{"PUT", "/api/queues/shop/votes", `{"durable":true,"arguments":{"x-queue-type":"quorum"}}`},
		{"PUT", "/api/queues/shop/limited", `{"durable":true,"arguments":{"x-queue-type":"quorum","x-delivery-limit":3}}`},
		{"PUT", "/api/queues/shop/history", `{"durable":true,"arguments":{"x-queue-type":"stream"}}`},
		{"PUT", "/api/queues/odd%20ü/k%20ü", `{"durable":true}`},
		{"POST", "/api/bindings/shop/e/events/q/orders", `{"routing_key":"orders.#","arguments":{"x":1}}`},
		{"POST", "/api/bindings/shop/e/events/e/lost", `{"routing_key":"#"}`},
		{"PUT", "/api/permissions/odd%20ü/shield", `{"configure":".*","write":".*","read":".*"}`},
	} {
		b.Call(t, c[0], c[1], c[2])
	}
}

// destroy removes what setup has made.
func destroy(t testing.TB, b *testserver.RabbitMQ) {
	t.Helper()
	for _, p := range []string{"/api/vhosts/shop", "/api/vhosts/odd%20ü", "/api/users/clerk", "/api/global-parameters/motto"} {
		b.Call(t, "DELETE", p, "")
	}
}

// definitions are what the broker exports, in an order of their own.
func definitions(t testing.TB, b *testserver.RabbitMQ) map[string]any {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal([]byte(b.Call(t, "GET", "/api/definitions", "")), &d); err != nil {
		t.Fatal(err)
	}
	for _, v := range d {
		if list, ok := v.([]any); ok {
			slices.SortFunc(list, func(a, b any) int {
				x, _ := json.Marshal(a)
				y, _ := json.Marshal(b)
				return bytes.Compare(x, y)
			})
		}
	}
	return d
}

func endpoint(b *testserver.RabbitMQ, more ...string) shield.Endpoint {
	m := map[string]any{"url": b.API, "username": b.User, "password": b.Password}
	for n := 0; n < len(more); n += 2 {
		m[more[n]] = more[n+1]
	}
	e, _ := json.Marshal(m) // of strings
	return e
}

// each runs a test natively and in the sandbox.
func each(t *testing.T, f func(t *testing.T, o plugin.Opener)) {
	t.Helper()
	shieldtest.Both(t, "rabbitmq", rabbitmq.Plugin(), f)
}

func openTarget(t testing.TB, o plugin.Opener, e shield.Endpoint) plugin.Target {
	t.Helper()
	target, err := o.OpenTarget(t.Context(), e, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func backup(t testing.TB, o plugin.Opener, e shield.Endpoint) ([]byte, error) {
	t.Helper()
	var b bytes.Buffer
	err := openTarget(t, o, e).Backup(t.Context(), &b)
	return b.Bytes(), err
}

func restore(t testing.TB, o plugin.Opener, e shield.Endpoint, archive []byte) error {
	t.Helper()
	return openTarget(t, o, e).Restore(t.Context(), bytes.NewReader(archive))
}

func wantError(t testing.TB, err error, code shield.Code, text string) {
	t.Helper()
	if shield.CodeOf(err) != code || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("got %v (%s), want %s with %q", err, shield.CodeOf(err), code, text)
	}
}

// connect opens a channel to a virtual host.
func connect(t testing.TB, b *testserver.RabbitMQ, vhost string) *amqp.Channel {
	t.Helper()
	c, err := amqp.DialConfig(b.AMQP, amqp.Config{Vhost: vhost, SASL: []amqp.Authentication{&amqp.PlainAuth{Username: b.User, Password: b.Password}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ch, err := c.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// properties are of all kinds.
func properties(n int) amqp.Publishing {
	return amqp.Publishing{
		Headers: amqp.Table{
			"text": "ü", "binary": []byte{0, 255}, "small": int8(-1), "short": int16(-2), "int": int32(3), "long": int64(1) << 40,
			"float": float32(1.5), "double": 2.5, "yes": true, "none": nil, "when": time.Unix(1e9, 0),
			"price": amqp.Decimal{Scale: 2, Value: 1999}, "table": amqp.Table{"x": "y"}, "list": []any{"a", int32(1)}, "bad": "\xff",
		},
		ContentType: "text/plain", ContentEncoding: "identity", DeliveryMode: amqp.Persistent, Priority: uint8(n % 3),
		CorrelationId: "c", ReplyTo: "r", MessageId: fmt.Sprint(n), Timestamp: time.Unix(1.7e9, 0), Type: "t", UserId: "shield", AppId: "a",
		Body: []byte(strings.Repeat("message \x00\xff ", n*10) + fmt.Sprint(n)),
	}
}

func publish(t testing.TB, b *testserver.RabbitMQ, vhost, queue string, count int) {
	t.Helper()
	ch := connect(t, b, vhost)
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	for n := range count {
		d, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "", queue, true, false, properties(n))
		if err != nil {
			t.Fatal(err)
		}
		if n == count-1 {
			d.Wait()
		}
	}
}

// drain takes all messages out of a queue.
func drain(t testing.TB, b *testserver.RabbitMQ, vhost, queue string) []amqp.Delivery {
	t.Helper()
	ch := connect(t, b, vhost)
	var all []amqp.Delivery
	for {
		d, ok, err := ch.Get(queue, true)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		d.Acknowledger, d.DeliveryTag, d.MessageCount, d.Redelivered = nil, 0, 0, false
		d.Exchange, d.RoutingKey = "", ""
		delete(d.Headers, "x-delivery-count")
		all = append(all, d)
	}
}

// A broker takes long to start: all stories share one.
func TestBroker(t *testing.T) {
	b := testserver.StartRabbitMQ(t)
	setup(t, b)
	want := definitions(t, b)
	t.Run("definitions", func(t *testing.T) { testDefinitions(t, b, want) })
	t.Run("conformance", func(t *testing.T) {
		each(t, func(t *testing.T, o plugin.Opener) {
			plugintest.Run(t, o, plugintest.Config{TargetEndpoint: endpoint(b), ReadsAll: true, Equal: sameDefinitions})
		})
	})
	t.Run("messages", func(t *testing.T) { testMessages(t, b) })
	t.Run("faults", func(t *testing.T) { testFaults(t, b) })
	t.Run("story", func(t *testing.T) { testStory(t, b, want) })
	t.Run("damaged archive", func(t *testing.T) { testDamaged(t, b) })
	t.Run("example", func(t *testing.T) { testExample(t, b) })
	t.Run("broker dies", func(t *testing.T) { testBrokerDies(t, b) }) // the last one
}

func sameDefinitions(a, b []byte) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d and %d bytes", len(a), len(b))
	}
	return nil
}

func testDefinitions(t *testing.T, b *testserver.RabbitMQ, want map[string]any) {
	each(t, func(t *testing.T, o plugin.Opener) {
		archive, err := backup(t, o, endpoint(b))
		if err != nil {
			t.Fatal(err)
		}
		destroy(t, b)
		if err := restore(t, o, endpoint(b), archive); err != nil {
			t.Fatal(err)
		}
		if got := definitions(t, b); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
		p, err := openTarget(t, rabbitmq.Plugin(), endpoint(b)).(plugin.Prober).Probe(t.Context())
		if err != nil || p.Counts["queues"] != 5 || p.Counts["users"] != 2 || !strings.HasPrefix(p.Versions["server"], "RabbitMQ 3.") {
			t.Errorf("probe: %v, %v", p, err)
		}
	})
}

func testMessages(t *testing.T, b *testserver.RabbitMQ) {
	e := endpoint(b, "messages", "shop/orders, shop/votes, odd ü/*", "amqp_url", b.AMQP)
	each(t, func(t *testing.T, o plugin.Opener) {
		publish(t, b, "shop", "orders", 700)
		publish(t, b, "shop", "votes", 30)
		publish(t, b, "odd ü", "k ü", 3)
		archive, err := backup(t, o, e)
		if err != nil {
			t.Fatal(err)
		}
		// Nothing is lost by it, nor is the order.
		want := map[string][]amqp.Delivery{"orders": drain(t, b, "shop", "orders"), "votes": drain(t, b, "shop", "votes")}
		if len(want["orders"]) != 700 || len(want["votes"]) != 30 || len(drain(t, b, "odd ü", "k ü")) != 3 {
			t.Fatal("the backup lost messages")
		}
		destroy(t, b)
		if err := restore(t, o, e, archive); err != nil {
			t.Fatal(err)
		}
		// What is there twice is not wanted.
		wantError(t, restore(t, o, e, archive), shield.Conflict, `queue "k ü" in virtual host "odd ü" holds 3 messages`)
		for name, list := range want {
			got := drain(t, b, "shop", name)
			if name == "votes" { // a quorum queue puts what was given back at its end
				byID := func(x, y amqp.Delivery) int { return strings.Compare(x.MessageId, y.MessageId) }
				slices.SortFunc(got, byID)
				slices.SortFunc(list, byID)
			}
			if !reflect.DeepEqual(got, list) {
				t.Errorf("%s: got %d messages, want %d, or they differ: %+v, want %+v", name, len(got), len(list), got[:1], list[:1])
			}
		}
		if got := drain(t, b, "odd ü", "k ü"); len(got) != 3 {
			t.Errorf("%d messages, want 3", len(got))
		}
		if err := restore(t, o, endpoint(b, "messages", "shop/*", "amqp_url", b.AMQP, "existing", "add"), archive); err != nil {
			t.Fatal(err)
		}
		for _, q := range [][2]string{{"shop", "orders"}, {"shop", "votes"}, {"odd ü", "k ü"}} {
			drain(t, b, q[0], q[1])
		}
	})
}

func testFaults(t *testing.T, b *testserver.RabbitMQ) {
	for _, c := range []struct {
		name     string
		endpoint shield.Endpoint
		code     shield.Code
		text     string
	}{
		{"wrong password", endpoint(b, "password", "wrong-one"), shield.Unauthorized, "401"},
		{"no administrator", endpoint(b, "username", "clerk", "password", "clerk-pw"), shield.Unauthorized, "rabbitmqctl set_user_tags clerk administrator"},
		{"nobody listens", endpoint(b, "url", fmt.Sprintf("http://127.0.0.1:%d", testserver.Port(t))), shield.Unavailable, "refused"},
		{"no such virtual host", endpoint(b, "vhost", "nope"), shield.NotFound, `"nope"`},
		{"stream", endpoint(b, "messages", "shop/history", "amqp_url", b.AMQP), shield.Invalid, "is a stream"},
		{"delivery limit", endpoint(b, "messages", "shop/limited", "amqp_url", b.AMQP), shield.Invalid, "delivery limit"},
		{"no such queue", endpoint(b, "messages", "shop/nope", "amqp_url", b.AMQP), shield.NotFound, `"nope"`},
		{"AMQP does not listen", endpoint(b, "messages", "shop/orders", "amqp_url", fmt.Sprintf("amqp://127.0.0.1:%d", testserver.Port(t))), shield.Unavailable, "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(t *testing.T, o plugin.Opener) {
				_, err := backup(t, o, c.endpoint)
				wantError(t, err, c.code, c.text)
				if strings.Contains(fmt.Sprint(err), "wrong-one") {
					t.Error("the password is in the error")
				}
			})
		})
	}
	newer := strings.Replace(b.Call(t, "GET", "/api/definitions", ""), `"rabbitmq_version":"3.`, `"rabbitmq_version":"99.`, 1)
	wantError(t, restore(t, rabbitmq.Plugin(), endpoint(b), []byte(newer)), shield.Invalid, "RabbitMQ 99.")
	if err := openTarget(t, rabbitmq.Plugin(), endpoint(b, "messages", "shop/orders", "amqp_url", b.AMQP)).(plugin.Tester).Test(t.Context()); err != nil {
		t.Error(err)
	}
}

func testStory(t *testing.T, b *testserver.RabbitMQ, want map[string]any) {
	s := shieldtest.Start(t)
	s.Install(shieldtest.Module(t, "rabbitmq"))
	store := filepath.Join(s.Dir, "store")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "shop", "orders", 10)
	s.Store("disk", "fs", `{"base_dir":"`+store+`"}`)
	// The field names of earlier configurations are good, too.
	s.Target("broker", "rabbitmq", fmt.Sprintf(`{"rmq_url":%q,"rmq_username":%q,"rmq_password":%q,"messages":"shop/orders","amqp_url":%q}`, b.API, b.User, b.Password, b.AMQP))
	s.Target("wrong", "rabbitmq", fmt.Sprintf(`{"url":%q,"username":%q,"password":"not-it"}`, b.API, b.User))
	s.Job("nightly", "broker", "disk")
	s.Job("bad", "wrong", "disk")
	archive := s.Backup("nightly")
	destroy(t, b)
	s.Restore(archive.UUID, "")
	if got := definitions(t, b); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if n := len(drain(t, b, "shop", "orders")); n != 10 {
		t.Errorf("%d messages, want 10", n)
	}
	out, stderr, status := s.Try("run", "job", "bad", "--wait")
	if status == 0 || !strings.Contains(stderr, "target wrong") || !strings.Contains(stderr, "401") {
		t.Errorf("status %d: %s%s", status, out, stderr)
	}
	for _, secret := range []string{"not-it", b.Password} {
		if strings.Contains(out+stderr+s.Log(), secret) {
			t.Error("a password is shown")
		}
	}
	if n := len(s.Archives()); n != 1 {
		t.Errorf("%d archives, want 1", n)
	}
}

func testDamaged(t *testing.T, b *testserver.RabbitMQ) {
	publish(t, b, "shop", "orders", 20)
	e := endpoint(b, "messages", "shop/orders", "amqp_url", b.AMQP, "existing", "add")
	archive, err := backup(t, rabbitmq.Plugin(), e)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := backup(t, rabbitmq.Plugin(), endpoint(b))
	if err != nil {
		t.Fatal(err)
	}
	inspect := func(p []byte) error {
		_, err := openTarget(t, rabbitmq.Plugin(), e).(plugin.Inspector).Inspect(t.Context(), bytes.NewReader(p))
		return err
	}
	for _, a := range [][]byte{archive, plain} {
		if err := inspect(a); err != nil {
			t.Error(err)
		}
	}
	end := bytes.LastIndex(archive, []byte(`{"messages"`))
	for n := 0; n < end; n += len(archive)/300 + 1 {
		wantError(t, inspect(archive[:n]), shield.Corrupt, "not a whole archive")
	}
	for n := 0; n < len(plain)-2; n += len(plain)/100 + 1 {
		wantError(t, inspect(plain[:n]), shield.Corrupt, "not a whole archive")
	}
	wantError(t, inspect(append(bytes.Clone(archive), 'x')), shield.Corrupt, "behind the end")
	fewer := bytes.Replace(archive, []byte(`{"messages": 20}`), []byte(`{"messages": 21}`), 1)
	wantError(t, inspect(fewer), shield.Corrupt, "has 20 messages")
	broken := errors.New("broken")
	err = openTarget(t, rabbitmq.Plugin(), e).Restore(t.Context(), io.MultiReader(bytes.NewReader(archive[:end/2]), &failing{broken}))
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// A dying writer ends the broker in the middle of a backup.
type dying struct {
	end  func()
	left int
}

func (d *dying) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		d.end()
	}
	return len(p), nil
}

func testBrokerDies(t *testing.T, b *testserver.RabbitMQ) {
	for range 4 {
		publish(t, b, "shop", "orders", 300)
	}
	e := endpoint(b, "messages", "shop/orders", "amqp_url", b.AMQP)
	err := openTarget(t, rabbitmq.Plugin(), e).Backup(t.Context(), &dying{b.Kill, 1 << 20})
	wantError(t, err, shield.Unavailable, b.AMQP[len("amqp://"):])
}

// A server that answers wrongly is no broker, and no archive comes of it.
func TestLyingServer(t *testing.T) {
	for _, c := range []struct {
		name, overview, definitions string
		status                      int
		code                        shield.Code
		text                        string
	}{
		{"cut", `{"rabbitmq_version":"3.10.8"}`, `{"rabbit_version":"3.10.8","users":[{"name":"x"}],"vho`, 200, shield.TargetFailed, "no management API"},
		{"empty", `{"rabbitmq_version":"3.10.8"}`, `{"users":[],"vhosts":[],"queues":[],"exchanges":[],"bindings":[]}`, 200, shield.TargetFailed, "every broker has some"},
		{"something else", `{"rabbitmq_version":"3.10.8"}`, `{}`, 200, shield.TargetFailed, "it has no queues"},
		{"overloaded", ``, ``, 503, shield.Unavailable, "503"},
		{"redirects", ``, ``, 302, shield.TargetFailed, "redirects are not followed"},
		{"a web page", `<html>`, `<html>`, 200, shield.TargetFailed, "no management API"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(c.status)
				if strings.HasSuffix(r.URL.Path, "overview") {
					_, _ = io.WriteString(w, c.overview)
				} else {
					_, _ = io.WriteString(w, c.definitions)
				}
			}))
			defer s.Close()
			u, _ := url.Parse(s.URL)
			_, err := backup(t, rabbitmq.Plugin(), shield.Endpoint(fmt.Sprintf(`{"url":"http://%s","username":"u","password":"p"}`, u.Host)))
			wantError(t, err, c.code, c.text)
		})
	}
}

func TestEndpoint(t *testing.T) {
	for _, c := range []struct{ endpoint, text string }{
		{`{"username":"u","password":"p"}`, "endpoint.url: is missing"},
		{`{"url":"http://h","rmq_url":"http://h","username":"u","password":"p"}`, "endpoint.rmq_url"},
		{`{"url":"http://u:p@h","username":"u","password":"p"}`, "without credentials"},
		{`{"url":"http://h","username":"u","password":"p","messages":"orders"}`, "VHOST/QUEUE"},
		{`{"url":"http://h","username":"u","password":"p","messages":"a/[","amqp_url":"amqp://h"}`, "malformed"},
		{`{"url":"http://h","username":"u","password":"p","messages":"a/b"}`, "endpoint.amqp_url"},
		{`{"url":"http://h","username":"u","password":"p","cert":"x"}`, "endpoint.cert"},
	} {
		_, err := rabbitmq.Plugin().OpenTarget(t.Context(), shield.Endpoint(c.endpoint), nil)
		wantError(t, err, shield.Invalid, c.text)
	}
}

func FuzzInspect(f *testing.F) {
	f.Add([]byte(`{"rabbit_version":"3.10.8","queues":[],"exchanges":[],"bindings":[{"arguments":{"x":1}}]}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		target, err := rabbitmq.Plugin().OpenTarget(t.Context(), shield.Endpoint(`{"url":"http://h","username":"u","password":"p"}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := target.(plugin.Inspector).Inspect(t.Context(), bytes.NewReader(p)); err != nil && shield.CodeOf(err) != shield.Corrupt {
			t.Error(err)
		}
	})
}

// testExample runs the script that operators can read.
func testExample(t *testing.T, b *testserver.RabbitMQ) {
	for _, tool := range []string{"curl", "jq"} {
		testserver.Tool(t, tool)
	}
	cmd := exec.Command("../../../examples/targets/rabbitmq.sh", shieldtest.Module(t, "rabbitmq"))
	cmd.Env = append(os.Environ(), "PATH="+shieldtest.Programs(t)+":"+os.Getenv("PATH"),
		"RABBITMQ_API="+b.API, "RABBITMQ_USER="+b.User, "RABBITMQ_PASSWORD="+b.Password)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Every definition is back") {
		t.Errorf("%v: %s", err, out)
	}
	b.Call(t, "DELETE", "/api/vhosts/example", "")
}
