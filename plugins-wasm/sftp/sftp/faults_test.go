//go:build linux

package sftp_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
)

// size is that of a blob of several blocks, more than is under way at once.
const size = 6 << 20

// A bench is a store behind a proxy, with a folder of its own.
type bench struct {
	t     *testing.T
	proxy *faultproxy.TCP
	store plugin.Store
	dir   string
	left  func() []string
	addr  string
}

func newBench(t *testing.T, s *testserver.SSHD) *bench {
	t.Helper()
	t.Parallel()
	dir, err := os.MkdirTemp(s.Dir, "b")
	must(t, err)
	s.Own(dir)
	b := &bench{t: t, dir: dir, proxy: faultproxy.StartTCP(t, s.Addr)}
	b.addr = b.proxy.Addr()
	b.store = open(t, endpoint(t, s, b.addr, fields{"base_dir": filepath.Base(dir), "host_key": s.HostKey}))
	b.left = func() (names []string) {
		err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
			if name != dir {
				names = append(names, strings.TrimPrefix(name, dir+"/"))
			}
			return err
		})
		must(t, err)
		return names
	}
	return b
}

func (b *bench) put() error {
	_, err := b.store.Put(b.t.Context(), key, bytes.NewReader(noise(size)))
	return err
}

func (b *bench) hit() {
	b.t.Helper()
	if b.proxy.Hits() == 0 {
		b.t.Error("the fault has not happened")
	}
}

// whole checks that the blob is there and can be removed without a trace.
func (b *bench) whole() {
	b.t.Helper()
	b.proxy.Set()
	whole(b.t, b.store, noise(size), b.left)
}

// TestFaults is the table of what goes wrong on the way: each fault happens to
// one connection, and then to all. Once it is survived where that is safe, and
// else told; nothing half-written stays.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	t.Run("put", func(t *testing.T) { faultsOfPut(t, s) })
	t.Run("get", func(t *testing.T) { faultsOfGet(t, s) })
	t.Run("delete", func(t *testing.T) { faultsOfDelete(t, s) })
	t.Run("endpoint", func(t *testing.T) { faultsOfEndpoint(t, s) })
}

func faultsOfPut(t *testing.T, s *testserver.SSHD) {
	for name, c := range map[string]struct {
		fault faultproxy.Fault
		says  string
		early bool // the connection is not made: once, that is survived
	}{
		"reset at once":                  {faultproxy.ResetRequest(0), "", true},
		"reset in the greeting":          {faultproxy.ResetResponse(10), "", true},
		"reset in the key exchange":      {faultproxy.ResetRequest(600), "", true},
		"reset half way":                 {faultproxy.ResetRequest(size / 2), "the connection was lost", false},
		"answers reset half way":         {faultproxy.ResetResponse(6000), "the connection was lost", false},
		"closed half way":                {faultproxy.CloseResponse(6000), "the connection was lost", false},
		"stalls at once":                 {faultproxy.StallResponse(0), "no byte moved for 2s", true},
		"stalls half way":                {faultproxy.StallRequest(size / 2), "no byte moved for 2s", false},
		"answers stall half way":         {faultproxy.StallResponse(6000), "no byte moved for 2s", false},
		"wrong bytes":                    {faultproxy.FlipRequest(size / 2), "the connection was lost", false},
		"wrong bytes in answers":         {faultproxy.FlipResponse(6000), "", false},
		"closed after the last byte":     {faultproxy.ResetRequest(size + 200_000), "", true},
		"slow server, 4 MiB of a second": {faultproxy.Slow(4 << 20), "", true},
	} {
		t.Run(name+"/once", func(t *testing.T) {
			b := newBench(t, s)
			b.proxy.Set(faultproxy.Rule{Times: 1, Fault: c.fault})
			err := b.put()
			b.hit()
			if c.early {
				must(t, err)
				b.whole()
				return
			}
			wantCode(t, err, shield.Unavailable, "sftp.put", b.addr, c.says)
			nothing(t, b.left)
		})
		if c.early && c.says == "" && !strings.HasPrefix(name, "reset") {
			continue // does no harm
		}
		t.Run(name+"/always", func(t *testing.T) {
			b := newBench(t, s)
			b.proxy.Set(faultproxy.Rule{Fault: c.fault})
			wantCode(t, b.put(), shield.Unavailable, "sftp.put", b.addr, c.says)
			b.hit()
			b.proxy.Set()
			must(t, b.store.Delete(t.Context(), key)) // as the host does; the connection for cleaning up had the fault, too
			nothing(t, b.left)
		})
	}
}

func faultsOfGet(t *testing.T, s *testserver.SSHD) {
	for name, c := range map[string]struct {
		fault faultproxy.Fault
		says  string
		once  bool // without end it does no harm
	}{
		"reset at once":    {faultproxy.ResetRequest(0), "", false},
		"reset half way":   {faultproxy.ResetResponse(size / 2), "the connection was lost", false},
		"closed half way":  {faultproxy.CloseResponse(size / 2), "the connection was lost", false},
		"stalls half way":  {faultproxy.StallResponse(size / 2), "no byte moved for 2s", false},
		"requests stall":   {faultproxy.StallRequest(2500), "no byte moved for 2s", false},
		"wrong bytes":      {faultproxy.FlipResponse(size / 2), "", false},
		"slow server":      {faultproxy.Slow(4 << 20), "", true},
		"truncated stream": {faultproxy.Shorten(size / 3), "", false},
	} {
		t.Run(name+"/once", func(t *testing.T) {
			b := newBench(t, s)
			must(t, b.put())
			b.proxy.Set(faultproxy.Rule{Times: 1, Fault: c.fault})
			got, err := get(t, b.store, key)
			if err != nil || !bytes.Equal(got, noise(size)) {
				t.Errorf("%d bytes of %d, %v", len(got), size, err)
			}
			b.hit()
			b.whole()
		})
		if c.once {
			continue
		}
		t.Run(name+"/always", func(t *testing.T) {
			b := newBench(t, s)
			must(t, b.put())
			b.proxy.Set(faultproxy.Rule{Fault: c.fault})
			got, err := get(t, b.store, key)
			if err == nil && !bytes.Equal(got, noise(size)) {
				t.Errorf("%d bytes of %d, and no error", len(got), size)
			}
			if err != nil { // each connection may get further than the one before, to the end
				wantCode(t, err, shield.Unavailable, "sftp.get", b.addr, c.says)
			}
			b.hit()
			b.whole()
		})
	}
}

func faultsOfDelete(t *testing.T, s *testserver.SSHD) {
	for name, fault := range map[string]faultproxy.Fault{
		"reset at once": faultproxy.ResetRequest(0), "reset in the login": faultproxy.ResetRequest(1600), "stalls": faultproxy.StallResponse(1600),
	} {
		t.Run(name+"/once", func(t *testing.T) {
			b := newBench(t, s)
			must(t, b.put())
			b.proxy.Set(faultproxy.Rule{Times: 1, Fault: fault})
			must(t, b.store.Delete(t.Context(), key))
			b.hit()
			nothing(t, b.left)
		})
		t.Run(name+"/always", func(t *testing.T) {
			b := newBench(t, s)
			must(t, b.put())
			b.proxy.Set(faultproxy.Rule{Fault: fault})
			wantCode(t, b.store.Delete(t.Context(), key), shield.Unavailable, "sftp.purge", b.addr)
			b.hit()
			b.whole()
		})
	}
}

func faultsOfEndpoint(t *testing.T, s *testserver.SSHD) {
	all := func(t *testing.T, st plugin.Store, says ...string) {
		t.Helper()
		_, err := st.Put(t.Context(), key, strings.NewReader("x"))
		wantCode(t, err, shield.Unavailable, append(says, "sftp.put")...)
		_, err = st.Get(t.Context(), key)
		wantCode(t, err, shield.Unavailable, append(says, "sftp.get")...)
		wantCode(t, st.Delete(t.Context(), key), shield.Unavailable, append(says, "sftp.purge")...)
		wantCode(t, st.(plugin.Lister).List(t.Context(), "", func(plugin.Object) error { return nil }), shield.Unavailable, append(says, "sftp.list")...)
		wantCode(t, st.(plugin.Tester).Test(t.Context()), shield.Unavailable, append(says, "sftp.test")...)
	}
	t.Run("connection refused", func(t *testing.T) {
		b := newBench(t, s)
		b.proxy.Down()
		all(t, b.store, b.addr, "refused")
	})
	t.Run("server says nothing", func(t *testing.T) {
		b := newBench(t, s)
		b.proxy.Set(faultproxy.Rule{Fault: faultproxy.StallResponse(0)})
		_, err := b.store.Get(t.Context(), key)
		wantCode(t, err, shield.Unavailable, b.addr, "no byte moved")
	})
	t.Run("no such host", func(t *testing.T) {
		t.Parallel()
		all(t, open(t, endpoint(t, s, s.Addr, fields{"host": "nowhere.invalid", "retries": 0})), "nowhere.invalid", "no such host")
	})
}

// TestResets cuts the answers of a small Put after each hundred bytes, so that
// each request of its loses its answer. What is not told as an error is there.
func TestResets(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	for at := int64(100); at < 5000; at += 100 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			b := newBench(t, s)
			b.proxy.Set(faultproxy.Rule{Times: 1, Fault: faultproxy.ResetResponse(at)})
			content := noise(1000)
			_, err := b.store.Put(t.Context(), key, bytes.NewReader(content))
			if err == nil {
				whole(t, b.store, content, b.left)
				return
			}
			wantCode(t, err, shield.Unavailable, "sftp.put", b.addr)
			nothing(t, b.left)
		})
	}
}

// TestServerDies ends the server in the middle of a Put and of a Get. What it
// has then goes when the key is purged.
func TestServerDies(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	st := open(t, endpoint(t, s, s.Addr, fields{"retries": 1}))
	_, err := st.Put(t.Context(), key, io.MultiReader(bytes.NewReader(noise(size)), readerFunc(func([]byte) (int, error) {
		s.Kill()
		return 0, io.EOF
	})))
	wantCode(t, err, shield.Unavailable, "sftp.put", s.Addr)
	if len(s.Left()) == 0 {
		t.Error("nothing is left, though the server died")
	}
	s.Up()
	if got := keys(t, st, ""); got != "" {
		t.Errorf("listed: %s", got)
	}
	must(t, st.Delete(t.Context(), key))
	nothing(t, s.Left)

	put(t, st, key, noise(20<<20))
	r, err := st.Get(t.Context(), key)
	must(t, err)
	_, err = io.CopyN(io.Discard, r, 1000)
	must(t, err)
	s.Kill()
	_, err = io.Copy(io.Discard, r)
	wantCode(t, err, shield.Unavailable, "sftp.get", s.Addr, "refused")
	must(t, r.Close())
}
