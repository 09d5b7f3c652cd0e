//go:build linux

package sftp_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	pkgsftp "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/sftp/sftp"
)

// TestPasswords: as a password, by keyboard-interactive, and what cannot be
// answered.
func TestPasswords(t *testing.T) {
	t.Parallel()
	interactive := func(rounds ...[]string) func(*fake) {
		return func(f *fake) {
			f.config.PasswordCallback = nil
			f.config.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				for n, questions := range rounds {
					got, err := ask("", "", questions, make([]bool, len(questions)))
					if err != nil || n == 0 && len(questions) > 0 && got[0] != "right" {
						return nil, errors.New("wrong")
					}
				}
				return nil, nil
			}
		}
	}
	for name, c := range map[string]struct {
		server   func(*fake)
		password string
		says     string // of the error; empty if there is none
	}{
		"right":                     {func(*fake) {}, "right", ""},
		"wrong":                     {func(*fake) {}, "hunter2", "does not accept the password of u"},
		"interactive":               {interactive([]string{"Password: "}, nil), "right", ""},
		"interactive, wrong":        {interactive([]string{"Password: "}), "hunter2", "does not accept the password of u"},
		"interactive, two at once":  {interactive([]string{"Password: ", "Code: "}), "right", `the server asks ["Password: " "Code: "]`},
		"interactive, second round": {interactive([]string{"Password: "}, []string{"Code: "}), "right", `the server asks ["Code: "]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, c.server)
			err := open(t, f.endpoint(fields{"password": c.password})).(plugin.Tester).Test(t.Context())
			if c.says == "" {
				must(t, err)
				return
			}
			wantCode(t, err, shield.Unauthorized, "sftp.test", f.addr, c.says)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q tells the password", err)
			}
		})
	}
	t.Run("no sftp", func(t *testing.T) {
		t.Parallel()
		f := startFake(t, func(f *fake) { f.noSFTP = true })
		wantCode(t, open(t, f.endpoint(nil)).Delete(t.Context(), key), shield.Forbidden, "sftp.purge", "cannot use SFTP", "internal-sftp")
	})
	t.Run("no algorithm in common", func(t *testing.T) {
		t.Parallel()
		f := startFake(t, func(f *fake) { f.config.Ciphers = []string{"3des-cbc"} })
		wantCode(t, open(t, f.endpoint(nil)).Delete(t.Context(), key), shield.Invalid, "no algorithm in common", "3des-cbc")
	})
}

// TestPlainServer: one without any of OpenSSH's extensions passes, too.
func TestPlainServer(t *testing.T) { // not parallel: the extensions are the library's
	must(t, pkgsftp.SetSFTPExtensions())
	defer func() {
		must(t, pkgsftp.SetSFTPExtensions("hardlink@openssh.com", "posix-rename@openssh.com", "statvfs@openssh.com"))
	}()
	f := startFake(t)
	plugintest.Run(t, sftp.Plugin(), plugintest.Config{StoreEndpoint: f.endpoint(nil)})
	f.change(on("Rename", pkgsftp.ErrSSHFxOpUnsupported))
	_, err := open(t, f.endpoint(nil)).Put(t.Context(), key, strings.NewReader("x"))
	wantCode(t, err, shield.StoreFailed, "rename", "nsupported")
	nothing(t, f.left)
}

// on answers one kind of request with an error.
func on(method string, err error) func(f *fake) {
	return func(f *fake) {
		f.before = func(m, _ string) error {
			if m == method {
				return err
			}
			return nil
		}
	}
}

const half = 3 << 20

// halfWay answers the writes from there on with an error.
func halfWay(err error) func(f *fake) {
	return func(f *fake) {
		f.writing = func(at int64, _ []byte) error {
			if at >= half {
				return err
			}
			return nil
		}
	}
}

// TestPutAnswers: whatever the server says to a request of a Put, the blob is
// there, or nothing is and the error says why.
func TestPutAnswers(t *testing.T) {
	t.Parallel()
	// The code is a sum since the library does not export its type.
	const noSpace, quota = pkgsftp.ErrSSHFxFailure + 10, pkgsftp.ErrSSHFxFailure + 11
	for name, c := range map[string]struct {
		server func(*fake)
		code   shield.Code // none if the Put succeeds
		says   []string
	}{
		"no permission half way":         {halfWay(pkgsftp.ErrSSHFxPermissionDenied), shield.Forbidden, []string{"write", "the user u may not"}},
		"no space half way":              {halfWay(noSpace), shield.StoreFailed, []string{"no space is left"}},
		"quota half way":                 {halfWay(quota), shield.StoreFailed, []string{"the quota is exceeded"}},
		"failure half way":               {halfWay(pkgsftp.ErrSSHFxFailure), shield.StoreFailed, []string{"does not say why", "quota"}},
		"bytes that are dropped":         {halfWay(errSkip), shield.Corrupt, []string{"bytes, and", "were sent"}},
		"no room before":                 {func(f *fake) { f.full = true }, shield.StoreFailed, []string{"none of 4.0 GiB is free"}},
		"room is not told":               {on("StatVFS", pkgsftp.ErrSSHFxFailure), "", nil},
		"mode is refused":                {on("Setstat", pkgsftp.ErrSSHFxPermissionDenied), "", nil},
		"folders are refused":            {on("Mkdir", pkgsftp.ErrSSHFxPermissionDenied), shield.Forbidden, []string{"make the folders"}},
		"folders that are not made":      {on("Mkdir", errSkip), shield.StoreFailed, []string{"write"}},
		"open is refused":                {on("Write", pkgsftp.ErrSSHFxPermissionDenied), shield.Forbidden, []string{"write"}},
		"close fails":                    {on("Close", pkgsftp.ErrSSHFxFailure), shield.StoreFailed, []string{"close"}},
		"close finds the quota exceeded": {on("Close", quota), shield.StoreFailed, []string{"the quota is exceeded"}},
		"rename is refused":              {onRenames(pkgsftp.ErrSSHFxPermissionDenied), shield.Forbidden, []string{"rename"}},
		"plain rename is not there":      {on("Rename", pkgsftp.ErrSSHFxOpUnsupported), "", nil},
		"rename that is none":            {on("Rename", errSkip), shield.Corrupt, []string{"acknowledged"}},
		"list is refused":                {on("List", pkgsftp.ErrSSHFxPermissionDenied), "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, c.server)
			st := open(t, f.endpoint(nil))
			content := noise(2 * half)
			_, err := st.Put(t.Context(), key, bytes.NewReader(content))
			f.change(func(*fake) {})
			if c.code == "" {
				must(t, err)
				whole(t, st, content, f.left)
				return
			}
			wantCode(t, err, c.code, append(c.says, "sftp.put", f.addr)...)
			nothing(t, f.left)
		})
	}
}

func onRenames(err error) func(f *fake) {
	return func(f *fake) {
		f.before = func(m, _ string) error {
			if strings.HasSuffix(m, "Rename") {
				return err
			}
			return nil
		}
	}
}

// TestLostAnswers: a connection that ends before or after a request was carried
// out, at each kind of request.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Stat", "Lstat", "Mkdir", "List", "StatVFS", "Write", "Setstat", "Close", "Rename"} {
		for _, when := range []string{"before", "after"} {
			t.Run(method+", "+when, func(t *testing.T) {
				t.Parallel()
				f := startFake(t)
				var hit atomic.Bool
				lose := func(m, _ string) error {
					if m == method && hit.CompareAndSwap(false, true) {
						f.drop()
						return errors.New("nobody hears that")
					}
					return nil
				}
				f.change(func(f *fake) {
					if when == "before" {
						f.before = lose
					} else {
						f.after = lose
					}
				})
				st := open(t, f.endpoint(nil))
				content := noise(1000)
				_, err := st.Put(t.Context(), key, bytes.NewReader(content))
				if !hit.Load() {
					t.Error("the fault has not happened")
				}
				if err == nil {
					whole(t, st, content, f.left)
					return
				}
				if method == "Rename" && when == "after" {
					t.Errorf("the blob is there, and the error is %v", err)
				}
				wantCode(t, err, shield.Unavailable, "sftp.put", f.addr, "the connection was lost")
				nothing(t, f.left)
			})
		}
	}
	for _, method := range []string{"Lstat", "Remove", "List", "Rmdir"} {
		t.Run("delete, "+method, func(t *testing.T) {
			t.Parallel()
			f := startFake(t)
			st := open(t, f.endpoint(nil))
			put(t, st, key, []byte("x"))
			var hit atomic.Bool
			f.change(func(f *fake) {
				f.after = func(m, _ string) error {
					if m == method && hit.CompareAndSwap(false, true) {
						f.drop()
					}
					return nil
				}
			})
			must(t, st.Delete(t.Context(), key))
			if names := f.left(); len(names) > 0 && method != "Rmdir" {
				t.Errorf("left behind: %q", names)
			}
		})
	}
}

// TestOtherAnswers: those to what is not a Put.
func TestOtherAnswers(t *testing.T) {
	t.Parallel()
	t.Run("removal that is none", func(t *testing.T) {
		t.Parallel()
		f := startFake(t)
		st := open(t, f.endpoint(nil))
		put(t, st, key, []byte("x"))
		f.change(on("Remove", errSkip))
		wantCode(t, st.Delete(t.Context(), key), shield.StoreFailed, "sftp.purge", "is still there")
		wantCode(t, st.(plugin.Tester).Test(t.Context()), shield.StoreFailed, "is still there")
	})
	t.Run("trial without each permission", func(t *testing.T) {
		t.Parallel()
		for method, says := range map[string]string{"List": "may not list", "Write": "may not write", "Read": "may not read", "Remove": "may not delete"} {
			f := startFake(t, on(method, pkgsftp.ErrSSHFxPermissionDenied))
			wantCode(t, open(t, f.endpoint(nil)).(plugin.Tester).Test(t.Context()), shield.Forbidden, "sftp.test", says)
		}
	})
	t.Run("trial on a full disk", func(t *testing.T) {
		t.Parallel()
		f := startFake(t, func(f *fake) { f.full = true })
		wantCode(t, open(t, f.endpoint(nil)).(plugin.Tester).Test(t.Context()), shield.StoreFailed, "none of 4.0 GiB is free")
	})
	t.Run("a blob that is no file", func(t *testing.T) {
		t.Parallel()
		f := startFake(t)
		must(t, os.Mkdir(f.path("folder"), 0o755))
		_, err := open(t, f.endpoint(nil)).Get(t.Context(), "folder")
		wantCode(t, err, shield.NotFound, "folder")
		_, err = open(t, f.endpoint(nil)).Get(t.Context(), "missing")
		wantCode(t, err, shield.NotFound, "missing", f.addr)
	})
	t.Run("a blob that shrinks", func(t *testing.T) {
		t.Parallel()
		f := startFake(t)
		st := open(t, f.endpoint(nil))
		put(t, st, key, noise(12<<20))
		r, err := st.Get(t.Context(), key)
		must(t, err)
		_, err = io.CopyN(io.Discard, r, 1000)
		must(t, err, os.Truncate(f.path(key), 8<<20))
		n, err := io.Copy(io.Discard, r)
		wantCode(t, err, shield.Corrupt, "sftp.get", "no more than 8388608 bytes", "of 12582912")
		if n+1000 > 8<<20 {
			t.Errorf("%d bytes came of what was cut", n+1000)
		}
		must(t, r.Close())
	})
	t.Run("a blob that changes while the connection is lost", func(t *testing.T) {
		t.Parallel()
		f := startFake(t)
		st := open(t, f.endpoint(nil))
		put(t, st, key, noise(12<<20))
		r, err := st.Get(t.Context(), key)
		must(t, err)
		_, err = io.CopyN(io.Discard, r, 1000)
		must(t, err, os.WriteFile(f.path("another"), noise(13<<20), 0o600), os.Rename(f.path("another"), f.path(key)))
		f.drop()
		_, err = io.Copy(io.Discard, r)
		wantCode(t, err, shield.Corrupt, "changed while it was read")
		must(t, r.Close())
	})
}
