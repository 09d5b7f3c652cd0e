//go:build linux

package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/sftp/sftp"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	must(t, os.Mkdir(filepath.Join(s.Dir, "base"), 0o700))
	s.Own(filepath.Join(s.Dir, "base"))
	plugintest.Run(t, sftp.Plugin(), plugintest.Config{StoreEndpoint: endpoint(t, s, s.Addr, fields{"base_dir": "base", "prefix": "a b/c"})})
	if left := s.Left(); fmt.Sprint(left) != "[base]" {
		t.Errorf("left behind: %q", left)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	st := open(t, endpoint(t, s, s.Addr, nil))
	const block = 256 << 10
	for _, size := range []int{0, 1, 32<<10 + 1, block - 1, block, block + 1, 16*block + 7, 20 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			content := noise(size)
			put(t, st, key, content)
			info, err := os.Stat(filepath.Join(s.Dir, key))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			whole(t, st, content, s.Left)
		})
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	st := open(t, endpoint(t, s, s.Addr, fields{"prefix": "p"}))
	other := open(t, endpoint(t, s, s.Addr, nil))
	if got := keys(t, st, ""); got != "" {
		t.Errorf("listed: %s", got)
	}
	for _, key := range []string{"2026/01/a", "2026/01/b", "2026-x", "2027/c"} {
		put(t, st, key, []byte(key))
	}
	put(t, other, "pa/other", nil)
	must(t, os.WriteFile(filepath.Join(s.Dir, "p", ".x.partial"), nil, 0o644), os.Symlink("2026-x", filepath.Join(s.Dir, "p", "link")))
	for prefix, want := range map[string]string{
		"":          "2026/01/a 9, 2026/01/b 9, 2026-x 6, 2027/c 6",
		"2026/":     "2026/01/a 9, 2026/01/b 9",
		"2026":      "2026/01/a 9, 2026/01/b 9, 2026-x 6",
		"2026/01/b": "2026/01/b 9",
		"2026/01/c": "",
		"../":       "",
	} {
		if got := keys(t, st, prefix); got != want {
			t.Errorf("below %q are %s, want %s", prefix, got, want)
		}
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	st := open(t, endpoint(t, s, s.Addr, nil))
	put(t, st, key, []byte("first"))
	_, err := st.Put(t.Context(), key, strings.NewReader("second"))
	wantCode(t, err, shield.Conflict, "sftp.put", s.Addr, key, "exists already")
	// The name is taken while the blob is on its way.
	other := "2026/01/31/late"
	_, err = st.Put(t.Context(), other, readerFunc(func([]byte) (int, error) {
		return 0, errors.Join(os.WriteFile(filepath.Join(s.Dir, other), []byte("theirs"), 0o600), io.EOF)
	}))
	if shield.CodeOf(err) == "" {
		t.Errorf("a name that was taken was given to another")
	}
	if b, _ := os.ReadFile(filepath.Join(s.Dir, other)); string(b) != "theirs" {
		t.Errorf("the other's file has %q", b)
	}
	if got := keys(t, st, ""); got != key+" 5, "+other+" 6" {
		t.Errorf("listed: %s", got)
	}
}

// TestLeftovers: what a killed Put has left goes with the next Put or Delete of
// the same key, and nothing else does.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	st := open(t, endpoint(t, s, s.Addr, nil))
	token := strings.Repeat("a", 26)
	folder := filepath.Join(s.Dir, filepath.Dir(key))
	leave := func(names ...string) {
		must(t, os.MkdirAll(folder, 0o777), os.Chmod(folder, 0o777))
		for _, name := range names {
			must(t, os.WriteFile(filepath.Join(folder, name), []byte("half"), 0o600))
		}
	}
	left := func() (names []string) {
		for _, name := range s.Left() {
			if strings.HasSuffix(name, ".partial") {
				names = append(names, filepath.Base(name))
			}
		}
		return names
	}
	mine, others := ".blob."+token+".partial", ".blob.2."+token+".partial"
	leave(mine, others)
	put(t, st, key, []byte("x"))
	if got := fmt.Sprint(left()); got != "["+others+"]" {
		t.Errorf("after a put there are %s", got)
	}
	leave(mine)
	must(t, st.Delete(t.Context(), key))
	if got := fmt.Sprint(left()); got != "["+others+"]" {
		t.Errorf("after a delete there are %s", got)
	}
	must(t, st.Delete(t.Context(), key+".2"))
}

// TestPermissions: what the user may not do is told.
func TestPermissions(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		testserver.Missing(t, "making folders of another user needs root")
	}
	s := testserver.StartSSHD(t)
	for name, mode := range map[string]os.FileMode{"readonly": 0o555, "hidden": 0o700, "dropbox": 0o733} {
		must(t, os.Mkdir(filepath.Join(s.Dir, name), mode), os.Chmod(filepath.Join(s.Dir, name), mode))
	}
	readonly := open(t, endpoint(t, s, s.Addr, fields{"base_dir": "readonly"}))
	must(t, os.WriteFile(filepath.Join(s.Dir, "readonly", "there"), []byte("x"), 0o600))
	_, err := readonly.Put(t.Context(), key, strings.NewReader("x"))
	wantCode(t, err, shield.Forbidden, "sftp.put", s.Addr, "readonly", "the user "+s.User+" may not")
	_, err = readonly.Get(t.Context(), "there")
	wantCode(t, err, shield.Forbidden, "sftp.get", "there")
	wantCode(t, readonly.Delete(t.Context(), "there"), shield.Forbidden, "sftp.purge", "there")
	wantCode(t, readonly.(plugin.Tester).Test(t.Context()), shield.Forbidden, "may not write", "base_dir")
	hidden := open(t, endpoint(t, s, s.Addr, fields{"base_dir": "hidden"}))
	wantCode(t, hidden.(plugin.Lister).List(t.Context(), "", func(plugin.Object) error { return nil }), shield.Forbidden, "sftp.list", "hidden")
	wantCode(t, hidden.(plugin.Tester).Test(t.Context()), shield.Forbidden, "may not list")
	dropbox := open(t, endpoint(t, s, s.Addr, fields{"base_dir": "dropbox"}))
	put(t, dropbox, "a", []byte("x"))
	wantCode(t, dropbox.(plugin.Tester).Test(t.Context()), shield.Forbidden, "may not list")
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	must(t, os.WriteFile(filepath.Join(s.Dir, "file"), nil, 0o644))
	for base, want := range map[string]string{"missing": "does not exist", "file": "is not a folder"} {
		st := open(t, endpoint(t, s, s.Addr, fields{"base_dir": base}))
		_, putErr := st.Put(t.Context(), key, strings.NewReader("x"))
		_, getErr := st.Get(t.Context(), key)
		for _, err := range []error{putErr, getErr, st.Delete(t.Context(), key), st.(plugin.Tester).Test(t.Context())} {
			wantCode(t, err, shield.Invalid, "endpoint.base_dir", base, s.Addr, want)
		}
	}
	absolute := open(t, endpoint(t, s, s.Addr, fields{"base_dir": s.Dir}))
	put(t, absolute, key, []byte("x"))
	must(t, absolute.(plugin.Tester).Test(t.Context()))
	must(t, absolute.Delete(t.Context(), key))
	if left := s.Left(); fmt.Sprint(left) != "[file]" {
		t.Errorf("left behind: %q", left)
	}
}

// TestDiskFull fills a small file system.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		testserver.Missing(t, "a small file system needs root")
	}
	s := testserver.StartSSHD(t)
	if err := syscall.Mount("tmpfs", s.Dir, "tmpfs", 0, "size=8m,mode=0777"); err != nil {
		testserver.Missing(t, "no tmpfs: %v", err)
	}
	t.Cleanup(func() {
		s.Kill()
		_ = syscall.Unmount(s.Dir, syscall.MNT_DETACH)
	})
	st := open(t, endpoint(t, s, s.Addr, nil))
	_, err := st.Put(t.Context(), key, bytes.NewReader(noise(12<<20)))
	wantCode(t, err, shield.StoreFailed, "sftp.put", s.Addr, key, "no space is left on the server", "of 8.0 MiB")
	nothing(t, s.Left)
	put(t, st, key, noise(1<<20))
	must(t, st.Delete(t.Context(), key))
	if err := os.WriteFile(filepath.Join(s.Dir, "full"), noise(8<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = st.Put(t.Context(), key, strings.NewReader("x"))
	wantCode(t, err, shield.StoreFailed, "none of 8.0 MiB is free")
	wantCode(t, st.(plugin.Tester).Test(t.Context()), shield.StoreFailed, "sftp.test", "none of 8.0 MiB is free")
	if left := s.Left(); fmt.Sprint(left) != "[full]" {
		t.Errorf("left behind: %q", left)
	}
}

// TestHostKeys: only who is known is talked to.
func TestHostKeys(t *testing.T) {
	t.Parallel()
	rsa := filepath.Join(testserver.Dir(t), "rsa")
	if out, err := exec.Command(testserver.Tool(t, "ssh-keygen"), "-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "", "-f", rsa).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	public, err := os.ReadFile(rsa + ".pub")
	must(t, err)
	if os.Getuid() == 0 {
		testserver.As(t, exec.Command("true"), "postgres", rsa)
	}
	s := testserver.StartSSHD(t, "HostKey "+rsa)
	ours, theirs := fingerprint(t, s.HostKey), fingerprint(t, string(public))
	stranger := testserver.StartSSHD(t)
	file := filepath.Join(t.TempDir(), "known_hosts")
	name := fmt.Sprintf("[127.0.0.1]:%d ", s.Port)
	must(t, os.WriteFile(file, []byte("# hosts\n"+name+s.HostKey+"\n"), 0o644))
	for what, e := range map[string]fields{
		"key":                     {},
		"key of another type":     {"host_key": string(public)},
		"fingerprint":             {"host_key": ours},
		"as ssh-keygen -l writes": {"host_key": "256 " + ours + " no comment (ED25519)"},
		"fingerprint of another":  {"host_key": theirs},
		"several":                 {"host_key": stranger.HostKey + "\n" + theirs},
		"known_hosts line":        {"host_key": name + s.HostKey},
		"known_hosts file":        {"host_key": nil, "known_hosts_file": file},
	} {
		t.Run(what, func(t *testing.T) { must(t, open(t, endpoint(t, s, s.Addr, e)).(plugin.Tester).Test(t.Context())) })
	}
	wrong := fingerprint(t, stranger.HostKey)
	for what, e := range map[string]fields{
		"wrong key":         {"host_key": stranger.HostKey},
		"wrong fingerprint": {"host_key": wrong},
	} {
		t.Run(what, func(t *testing.T) {
			st := open(t, endpoint(t, s, s.Addr, e))
			_, err := st.Put(t.Context(), key, strings.NewReader("x"))
			wantCode(t, err, shield.Unauthorized, "sftp.put", "host key mismatch", wrong, ours, s.Addr)
			wantCode(t, st.Delete(t.Context(), key), shield.Unauthorized, "sftp.purge", "host key mismatch")
		})
	}
	t.Run("revoked", func(t *testing.T) {
		st := open(t, endpoint(t, s, s.Addr, fields{"host_key": name + s.HostKey + "\n@revoked " + name + s.HostKey}))
		wantCode(t, st.Delete(t.Context(), key), shield.Unauthorized, "revoked", ours)
	})
	t.Run("file of others", func(t *testing.T) {
		e := endpoint(t, stranger, stranger.Addr, fields{"host_key": nil, "known_hosts_file": file})
		wantCode(t, open(t, e).Delete(t.Context(), key), shield.Invalid, "endpoint.known_hosts_file", file, "has no key for")
	})
	nothing(t, s.Left)
}

// TestLogins: keys as text and as file, with and without a passphrase, and those
// that the server does not know.
func TestLogins(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	must(t, os.WriteFile(file, []byte(s.Key), 0o600))
	locked := filepath.Join(dir, "locked")
	must(t, os.WriteFile(locked, []byte(s.Key), 0o600))
	if out, err := exec.Command("ssh-keygen", "-p", "-q", "-a", "1", "-P", "", "-N", "open sesame", "-f", locked).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lockedText, err := os.ReadFile(locked)
	must(t, err)
	for what, e := range map[string]fields{
		"file":                     {"private_key": nil, "private_key_file": file},
		"passphrase":               {"private_key": string(lockedText), "passphrase": "open sesame"},
		"file with passphrase":     {"private_key": nil, "private_key_file": locked, "passphrase": "open sesame"},
		"key before password":      {"password": "not asked for"},
		"missing file is reported": {"private_key": nil, "private_key_file": "/no/such/key"},
	} {
		t.Run(what, func(t *testing.T) {
			err := open(t, endpoint(t, s, s.Addr, e)).(plugin.Tester).Test(t.Context())
			if e["private_key_file"] == "/no/such/key" {
				wantCode(t, err, shield.Invalid, "endpoint.private_key_file", "no such file")
				return
			}
			must(t, err)
		})
	}
	for says, phrase := range map[string]any{"is missing": nil, "does not open": "hunter2"} {
		_, err := sftp.Plugin().OpenStore(t.Context(), endpoint(t, s, s.Addr, fields{"private_key": string(lockedText), "passphrase": phrase}), nil)
		wantCode(t, err, shield.Invalid, "endpoint.passphrase", says)
		err = open(t, endpoint(t, s, s.Addr, fields{"private_key": nil, "private_key_file": locked, "passphrase": phrase})).Delete(t.Context(), key)
		wantCode(t, err, shield.Invalid, "endpoint.passphrase", says)
	}
	stranger := testserver.StartSSHD(t)
	for what, e := range map[string]fields{
		"another's key": {"private_key": stranger.Key},
		"another user":  {"user": "nobody"},
		"password":      {"private_key": nil, "password": "hunter2"},
	} {
		t.Run(what, func(t *testing.T) {
			st := open(t, endpoint(t, s, s.Addr, e))
			_, err := st.Put(t.Context(), key, strings.NewReader("x"))
			wantCode(t, err, shield.Unauthorized, "sftp.put", s.Addr, "does not accept")
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q tells the password", err)
			}
		})
	}
}

// TestCanceled: a Put that is stopped, or whose input fails, leaves nothing.
func TestCanceled(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	st := open(t, endpoint(t, s, s.Addr, nil))
	broken := errors.New("the input is broken")
	for what, end := range map[string]func(cancel func()) error{
		"canceled":            func(cancel func()) error { cancel(); return context.Canceled },
		"ends after a cancel": func(cancel func()) error { cancel(); return io.EOF },
		"broken":              func(func()) error { return broken },
		"ends early":          func(func()) error { return io.ErrUnexpectedEOF },
	} {
		for _, size := range []int{0, 100, 6 << 20} {
			t.Run(fmt.Sprint(what, " at ", size), func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				_, err := st.Put(ctx, key, io.MultiReader(bytes.NewReader(noise(size)), readerFunc(func([]byte) (int, error) { return 0, end(cancel) })))
				if err == nil || what == "broken" && !errors.Is(err, broken) {
					t.Errorf("error %v", err)
				}
				nothing(t, s.Left)
			})
		}
	}
}
