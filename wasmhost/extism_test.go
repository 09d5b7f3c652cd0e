package wasmhost_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
)

// TestExtismHandles uses each handle function of extism:host/user.
func TestExtismHandles(t *testing.T) {
	addr := serve(t, "127.0.0.1:0", echo)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Method", r.Method)
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(bytes.ToUpper(b))
	}))
	t.Cleanup(web.Close)
	o := open(t, newHost(t, nil), "handles-extism.c", nil)
	for _, tt := range []struct {
		name   string
		fields map[string]any
		want   string
		stat   []string // what the handle tells of the other side
	}{
		{"tcp", map[string]any{"do": "tcp", "addr": addr}, "hello", []string{`"remote":"` + addr + `"`}},
		{"http", map[string]any{"do": "http", "url": web.URL + "/x"}, "HELLO", []string{`"status":418`, `"X-Method":["PUT"]`, `"length":5`}},
		{"exec", map[string]any{"do": "exec", "use": "rev"}, "olleh\n", []string{`"exit":0`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := backup(t, t.Context(), o, tt.fields)
			got, stat, _ := strings.Cut(out, " | ")
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v", out, err)
			}
			for _, want := range append(tt.stat, `"grease_`) {
				if !strings.Contains(stat, want) {
					t.Errorf("stat gives %s, want %s in it", stat, want)
				}
			}
		})
	}
	t.Run("errors", func(t *testing.T) {
		out, err := backup(t, t.Context(), o, map[string]any{"do": "errors"})
		const want = "open -28 told, read -8, write -8, no block 0, no descriptor -28, copy -8, shut -8, stat -8, close -8, close stdout -28"
		if err != nil || out != want {
			t.Errorf("got  %s, %v\nwant %s", out, err, want)
		}
	})
}

func TestExtismCopy(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	got := make(chan []byte, 1)
	out := serve(t, "127.0.0.1:0", func(c net.Conn) { _, _ = c.Write(content) })
	in := serve(t, "127.0.0.1:0", func(c net.Conn) {
		b, _ := io.ReadAll(c)
		got <- b
		_, _ = io.WriteString(c, "ok")
	})
	o := open(t, newHost(t, nil), "handles-extism.c", nil)
	text, err := backup(t, t.Context(), o, map[string]any{"do": "copy", "addr": out})
	if err != nil || text != string(content) {
		t.Errorf("backup: %d bytes, %v", len(text), err)
	}
	tg, err := o.OpenTarget(t.Context(), endpoint(t, map[string]any{"do": "copy", "addr": in}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Restore(t.Context(), bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if b := <-got; !bytes.Equal(b, content) {
		t.Errorf("restore: %d bytes came", len(b))
	}
	// What breaks off is not taken for the whole.
	broken := errors.New("broken")
	if err := tg.Restore(t.Context(), io.MultiReader(bytes.NewReader(content), errorReader{broken})); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
}

func TestExtismDenied(t *testing.T) {
	addr := serve(t, "127.0.0.1:0", echo)
	var j journal
	o := open(t, newHost(t, &wasmhost.Options{Audit: j.add}), "handles-extism.c", nil)
	for _, tt := range []struct {
		name, want string
		fields     map[string]any
	}{
		{"tcp", "the capability tcp does not allow it to connect to " + addr, map[string]any{"do": "other", "addr": "127.0.0.1:1", "use": addr}},
		{"ignored", "the capability tcp does not allow it to connect to " + addr, map[string]any{"do": "ignore", "addr": "127.0.0.1:1", "use": addr}},
		{"exec", `the capability exec does not allow it to run "id"`, map[string]any{"do": "exec", "use": "id"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := backup(t, t.Context(), o, tt.fields)
			wantError(t, err, shield.Forbidden, tt.want)
			if !strings.Contains(j.text(), tt.want) {
				t.Errorf("the audit has %s", j.text())
			}
		})
	}
	// Nor is what it asks for, where the operator has not granted it.
	o = open(t, newHost(t, nil), "handles-extism.c", &plugin.Grant{})
	_, err := backup(t, t.Context(), o, map[string]any{"do": "tcp", "addr": addr})
	wantError(t, err, shield.Forbidden, "the capability tcp")
}
