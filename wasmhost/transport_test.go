package wasmhost_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
)

// certificate returns one for 127.0.0.1 and what it is checked with.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return &tls.Config{Certificates: s.TLS.Certificates}, string(ca)
}

func TestTLS(t *testing.T) {
	config, ca := certificate(t)
	o := open(t, newHost(t, nil), "probe", nil)
	plain := serve(t, "127.0.0.1:0", func(c net.Conn) {
		s := tls.Server(c, config)
		echo(s)
		_ = s.CloseWrite()
	})
	upgraded := serve(t, "127.0.0.1:0", func(c net.Conn) {
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "STARTTLS\n" {
			return
		}
		_, _ = io.WriteString(c, "go\n")
		s := tls.Server(c, config)
		echo(s)
		_ = s.CloseWrite()
	})
	for do, addr := range map[string]string{"tls": plain, "upgrade": upgraded} {
		out, err := backup(t, t.Context(), o, map[string]any{"do": do, "addr": addr, "ca": ca})
		if err != nil || len(out) != 4<<20 {
			t.Errorf("%s: %d bytes, %v", do, len(out), err)
		}
	}
	_, err := backup(t, t.Context(), o, map[string]any{"do": "tls", "addr": plain})
	wantError(t, err, shield.Unavailable, "certificate")
}

func TestExec(t *testing.T) {
	h := newHost(t, nil)
	o := open(t, h, "probe", nil)
	out, err := backup(t, t.Context(), o, map[string]any{"do": "exec", "use": "sh", "args": "-c\necho out; echo err >&2"})
	if err != nil || out != "out\n" {
		t.Errorf("%q, %v", out, err)
	}
	_, err = backup(t, t.Context(), o, map[string]any{"do": "exec", "use": "sh", "args": "-c\nexit 3"})
	wantError(t, err, shield.TargetFailed, "exit status 3")
	out, err = backup(t, t.Context(), o, map[string]any{"do": "filter", "use": "cat"})
	if err != nil || len(out) != 4<<20 {
		t.Errorf("filter: %d bytes, %v", len(out), err)
	}
	_, err = backup(t, t.Context(), o, map[string]any{"do": "exec", "use": "missing"})
	wantError(t, err, shield.NotFound, "the grant can name one")
	tg, err := o.OpenTarget(t.Context(), endpoint(t, map[string]any{"do": "x", "use": "cat"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Restore(t.Context(), strings.NewReader(strings.Repeat("row\n", 1<<20))); err != nil {
		t.Error(err)
	}
}

// A program that reads late, slowly, or only a part of its input.
func TestExecSlow(t *testing.T) {
	h := newHost(t, nil)
	o := open(t, h, "probe", nil)
	input := strings.Repeat("0123456789abcde\n", 1<<19)
	whole := fmt.Sprintf("test $(sha256sum | cut -c1-64) = %x", sha256.Sum256([]byte(input)))
	for script, ok := range map[string]bool{
		"sleep 0.2; " + whole: true,
		"(while dd bs=100k count=1 iflag=fullblock status=none | grep .; do sleep 0.01; done) | " + whole: true,
		"head -c 1000000 >/dev/null": false,
	} {
		tg, err := o.OpenTarget(t.Context(), endpoint(t, map[string]any{"do": "x", "use": "sh", "args": "-c\n" + script}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := tg.Restore(t.Context(), strings.NewReader(input)); ok != (err == nil) {
			t.Errorf("%s: %v", script, err)
		}
	}
}

// A program that does not end is killed with all that it has started.
func TestExecKilled(t *testing.T) {
	o := open(t, newHost(t, nil), "probe", nil)
	for _, script := range []string{"sleep 60", "sleep 60 & sleep 60", "trap '' TERM; sleep 60"} {
		err := endsSoon(t, func(ctx context.Context) error {
			_, err := backup(t, ctx, o, map[string]any{"do": "exec", "use": "sh", "args": "-c\n" + script})
			return err
		})
		wantError(t, err, shield.TimedOut, "")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := backup(t, ctx, o, map[string]any{"do": "exec", "use": "sh", "args": "-c\nsleep 60 & exit 0"}); err != nil {
		t.Errorf("a program that leaves another behind: %v", err)
	}
}

// A name that was granted must not lead to this host.
func TestNameLeadsElsewhere(t *testing.T) {
	_, port, _ := net.SplitHostPort(serve(t, "127.0.0.1:0", echo))
	var j journal
	h := newHost(t, &wasmhost.Options{Audit: j.add, Resolver: &net.Resolver{PreferGo: true, Dial: fakeDNS(t)}})
	o := open(t, h, "probe", nil)
	_, err := backup(t, t.Context(), o, map[string]any{"do": "echo", "addr": "evil.example:" + port})
	wantError(t, err, shield.Forbidden, "that name stands for 127.0.0.1")
	if !strings.Contains(j.text(), "evil.example") {
		t.Errorf("the audit has %s", j.text())
	}
}

// fakeDNS answers every question for an IPv4 address with 127.0.0.1.
func fakeDNS(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo(dnsAnswer(buf[:n]), from)
		}
	}()
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}
}

func dnsAnswer(question []byte) []byte {
	end := 12
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5
	a := append([]byte(nil), question[:end]...)
	a[2], a[3] = 0x81, 0x80
	binary.BigEndian.PutUint32(a[8:], 0)
	if binary.BigEndian.Uint16(question[end-4:]) != 1 {
		return a
	}
	binary.BigEndian.PutUint16(a[6:], 1)
	return append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_DAEMON", "x")
	o := open(t, newHost(t, nil), "probe", &plugin.Grant{Memory: 64 << 20})
	out, err := backup(t, t.Context(), o, map[string]any{"do": "stat"})
	if err != nil || strings.Contains(out, "SECRET") || !strings.Contains(out, "SHIELD_ABI=shield_v1") || !strings.Contains(out, "GOMEMLIMIT=58720256") {
		t.Errorf("%q, %v", out, err)
	}
}

// Nothing of a guest is left behind: goroutines, descriptors, memory.
func TestNothingIsLeft(t *testing.T) {
	addr := serve(t, "127.0.0.1:0", silent)
	h := newHost(t, nil)
	probe, hostile := open(t, h, "probe", nil), open(t, h, "hostile.c", nil)
	round := func() {
		_, _ = backup(t, t.Context(), probe, map[string]any{"do": "filter", "use": "cat"})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, _ = backup(t, ctx, hostile, map[string]any{"do": "handles", "addr": addr})
		_, _ = backup(t, ctx, probe, map[string]any{"do": "together", "addr": addr})
	}
	for _, o := range []plugin.Opener{probe, hostile} {
		if _, err := o.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	round()
	goroutines, files := count(t)
	for range 10 {
		round()
	}
	var g, f int
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if g, f = count(t); g <= goroutines+2 && f <= files+2 {
			return
		}
	}
	t.Errorf("goroutines: %d, then %d; descriptors: %d, then %d", goroutines, g, files, f)
}
