//go:build !portable

package wasmhost_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// The operations of the file service that these tests send, and numbers of
// errors, as docs/plugin-abi.md has them.
const (
	opWalk, opTake, opSymlink, opRename, opChown = 1, 12, 21, 24, 26
	opOwner, opUndo, opForget, opMake, opSync    = 32, 33, 34, 35, 36

	ebadf, eexist, einval, eloop, enoent, enotdir, eperm, erofs, etoolong = 8, 20, 28, 32, 44, 54, 63, 69, 37
)

// A wire makes requests, and takes answers apart.
type wire struct{ bytes.Buffer }

func (w *wire) u32(v uint32) { _ = binary.Write(w, binary.LittleEndian, v) }

// request makes one: a byte slice is taken as it is, a string with its length.
func request(op, flags byte, folder uint32, rest ...any) string {
	w := &wire{}
	w.Write([]byte{op, flags, 0, 0})
	w.u32(folder)
	for _, v := range rest {
		switch v := v.(type) {
		case int:
			w.u32(uint32(v))
		case int64:
			_ = binary.Write(w, binary.LittleEndian, v)
		case string:
			w.u32(uint32(len(v)))
			w.WriteString(v)
		case []byte:
			w.Write(v)
		}
	}
	return hex.EncodeToString(w.Bytes())
}

// make returns the request for a whole new file of this process's owner.
func makeRequest(folder uint32, name, content string, mode int, attrs ...string) string {
	rest := []any{os.Getuid(), os.Getgid(), mode, int64(1e9), 123456789, len(attrs) / 2}
	for _, a := range attrs {
		rest = append(rest, a)
	}
	return request(opMake, 0, folder, append(rest, name, content)...)
}

// ask lets the guest send requests and returns the answers, or what the call
// failed with.
func ask(t testing.TB, o plugin.Opener, dir, end string, requests ...string) ([]*wire, error) {
	t.Helper()
	out, err := backup(t, t.Context(), o, map[string]any{"dir": dir, "requests": strings.Join(requests, ","), "end": end})
	var answers []*wire
	for line := range strings.Lines(out) {
		b, bad := hex.DecodeString(strings.TrimSpace(line))
		if bad != nil {
			t.Fatalf("the guest printed %q", line)
		}
		w := &wire{}
		w.Write(b)
		answers = append(answers, w)
	}
	return answers, err
}

func (w *wire) next32() uint32 {
	if b := w.Next(4); len(b) == 4 {
		return binary.LittleEndian.Uint32(b)
	}
	return 0xdeadbeef
}

// An entry is the part of an entry that the tests look at.
type entry struct {
	mode, uid uint32
	links     uint64
	size      uint64
	attrs     []string
}

func (w *wire) text() string { return string(w.Next(int(w.next32()))) }

func (w *wire) entry() (e entry) {
	b := w.Next(84)
	if len(b) < 84 {
		return e
	}
	e.mode, e.uid = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	e.links, e.size = binary.LittleEndian.Uint64(b[12:]), binary.LittleEndian.Uint64(b[44:])
	w.text()
	w.text()
	for n := w.next32(); n > 0 && w.Len() > 0; n-- {
		e.attrs = append(e.attrs, w.text(), w.text())
	}
	return e
}

// errorsOf returns the error numbers that the answers begin with.
func errorsOf(answers []*wire) []uint32 {
	var numbers []uint32
	for _, a := range answers {
		numbers = append(numbers, a.next32())
	}
	return numbers
}

func wantErrors(t *testing.T, answers []*wire, err error, want ...uint32) {
	t.Helper()
	if got := errorsOf(answers); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the answers are %d, %v, want %d", got, err, want)
	}
}

// tree makes a folder with a secret outside of it, to which symlinks lead.
func tree(t testing.TB) (dir, outside string) {
	t.Helper()
	dir, outside = t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(outside, "secret"), []byte("the secret"))
	writeFile(t, filepath.Join(dir, "file"), []byte("content"))
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.Symlink(outside, filepath.Join(dir, "away")),
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "out")), mkfifo(filepath.Join(dir, "fifo")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir, outside
}

// untouched fails if something outside of the folder has changed.
func untouched(t *testing.T, outside string) {
	t.Helper()
	entries, err := os.ReadDir(outside)
	b, _ := os.ReadFile(filepath.Join(outside, "secret"))
	fi, _ := os.Stat(filepath.Join(outside, "secret"))
	if err != nil || len(entries) != 1 || string(b) != "the secret" || fi.Mode() != 0o600 {
		t.Errorf("outside there are now %v, the secret is %q, %v", entries, b, err)
	}
}

func TestFilesTake(t *testing.T) {
	o := open(t, newHost(t, nil), "requests.c", nil)
	dir, outside := tree(t)
	attrs := unix.Setxattr(filepath.Join(dir, "file"), "user.note", []byte("x"), 0) == nil
	for name, err := range map[string]error{
		"linked": os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "sub", "linked")),
		"small":  os.WriteFile(filepath.Join(dir, "small"), []byte("content"), 0o640), "empty": os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600),
		"holes": func() error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "holes"), nil, 0o600), os.Truncate(filepath.Join(dir, "holes"), 100_000))
		}(),
	} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	answers, err := ask(t, o, dir, "", request(opTake, 4, 0, 100, "small"), request(opTake, 0, 0, 0, "empty"), request(opTake, 4, 0, 100, "file"),
		request(opTake, 0, 0, 6, "small"), request(opTake, 0, 0, 1<<20, "holes"))
	if err != nil || len(answers) != 5 {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	for n, content := range []string{"content", ""} {
		a := answers[n]
		if e, h := a.next32(), a.next32(); e != 0 || h != 0 {
			t.Fatalf("answer %d: error %d, handle %d, want a whole file", n, e, h)
		}
		before, got, after := a.entry(), a.text(), a.entry()
		if got != content || before.size != uint64(len(content)) || after.size != before.size || a.Len() != 0 {
			t.Errorf("answer %d: %q, %+v, %+v, and %d bytes more", n, got, before, after, a.Len())
		}
	}
	for n, links := range map[int]uint64{2: 2, 3: 1, 4: 1} { // two names, too large, holes
		a := answers[n]
		e, h, got := a.next32(), a.next32(), a.entry()
		if e != 0 || h < 3 || got.links != links || a.Len() != 0 {
			t.Errorf("answer %d: error %d, handle %d, %+v, and %d bytes more, want an open file", n, e, h, got, a.Len())
		}
		if n == 2 && attrs && !reflect.DeepEqual(got.attrs, []string{"user.note", "x"}) {
			t.Errorf("the attributes are %q", got.attrs)
		}
	}
	answers, err = ask(t, o, dir, "", request(opTake, 0, 0, 100, "out"), request(opTake, 0, 0, 100, "away"), request(opTake, 0, 0, 100, "fifo"),
		request(opTake, 0, 0, 100, "sub"), request(opTake, 0, 0, 100, "missing"), request(opTake, 0, 0, 100, "away/secret"),
		request(opTake, 0, 0, 100, ".."), request(opTake, 0, 0, 100, ""), request(opTake, 0, 0, 100, strings.Repeat("x", 256)), request(opTake, 0, 7, 100, "file"))
	wantErrors(t, answers, err, eloop, eloop, eloop, eloop, enoent, einval, einval, einval, etoolong, ebadf)
	untouched(t, outside)
}

func TestFilesMake(t *testing.T) {
	o := open(t, newHost(t, nil), "requests.c", nil)
	dir, outside := tree(t)
	probe := filepath.Join(dir, "sub", "probe")
	writeFile(t, probe, nil)
	kv := []string{"user.note", "x\x00y"}
	if unix.Setxattr(probe, "user.note", nil, 0) != nil {
		kv = nil
	}
	answers, err := ask(t, o, dir, "", makeRequest(0, "new", "whole", 0o4751, kv...), makeRequest(0, "none", "", 0o600),
		request(opWalk, 0, 0, "sub"), makeRequest(1, "below", "x", 0o600))
	wantErrors(t, answers, err, 0, 0, 0, 0)
	if err == nil && answers[0].Len() != 0 {
		t.Errorf("steps failed: %x", answers[0].Bytes())
	}
	b, err := os.ReadFile(filepath.Join(dir, "new"))
	fi, _ := os.Stat(filepath.Join(dir, "new"))
	if err != nil || string(b) != "whole" || fi.Mode() != fs.ModeSetuid|0o751 || !fi.ModTime().Equal(time.Unix(1e9, 123456789)) {
		t.Errorf("made %q, %v, %v", b, fi, err)
	}
	if kv != nil {
		buf := make([]byte, 10)
		n, err := unix.Getxattr(filepath.Join(dir, "new"), kv[0], buf)
		if err != nil || string(buf[:n]) != kv[1] {
			t.Errorf("the attribute is %q, %v", buf[:max(n, 0)], err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "sub", "below")); err != nil {
		t.Error(err)
	}

	whole := makeRequest(0, "liar", "content", 0o600)
	answers, err = ask(t, o, dir, "", makeRequest(0, "file", "x", 0o600), makeRequest(0, "out", "x", 0o600), makeRequest(0, "missing/x", "x", 0o600),
		makeRequest(9, "x", "x", 0o600), whole[:len(whole)-2],
		request(opMake, 0, 0, 0, 0, 0, int64(0), 0, 1<<30, "liar", ""), request(opMake, 0, 0, 0, 0, 0, int64(0), 0, 0, "liar", []byte{0xff, 0xff, 0xff, 0xff}))
	wantErrors(t, answers, err, eexist, eexist, einval, ebadf, einval, einval, einval)
	if _, err := os.Lstat(filepath.Join(dir, "liar")); err == nil {
		t.Error("a file of which not all came was made")
	}
	untouched(t, outside)
}

// Steps that fail are told and the file is kept, which is no reason to let a
// guest have what it was not granted.
func TestFilesMakeNotGranted(t *testing.T) {
	dir, _ := tree(t)
	o := open(t, newHost(t, nil), "requests.c", &plugin.Grant{Write: []string{"{dir}"}})
	answers, err := ask(t, o, dir, "", makeRequest(0, "new", "whole", 0o6755, "trusted.x", "y"))
	wantError(t, err, shield.Forbidden, "the capability own does not allow it to set an owner")
	fi, statErr := os.Stat(filepath.Join(dir, "new"))
	if statErr != nil || fi.Mode() != 0o755 {
		t.Errorf("made %v, %v", fi, statErr)
	}
	if len(answers) != 1 {
		t.Fatalf("%d answers", len(answers))
	}
	a := answers[0]
	got := []uint32{a.next32(), a.next32(), a.next32(), a.next32(), a.next32()}
	if want := []uint32{0, 1, eperm, 4, eperm}; !reflect.DeepEqual(got, want) {
		t.Errorf("the answer is %d, want %d", got, want)
	}
	_, err = ask(t, o, dir, "", request(opChown, 0, 0, 12345, 12345, "file"))
	wantError(t, err, shield.Forbidden, "the capability own does not allow it to set an owner")
	if fi, err := os.Stat(filepath.Join(dir, "file")); err != nil || int(fi.Sys().(*syscall.Stat_t).Uid) != os.Getuid() {
		t.Errorf("the owner was changed: %v, %v", fi, err)
	}
}

// No symlink in the place of a folder leads a whole file out, whether it was
// there before or takes the folder's place.
func TestFilesMakeEscape(t *testing.T) {
	o := open(t, newHost(t, nil), "requests.c", nil)
	dir, outside := tree(t)
	answers, err := ask(t, o, dir, "",
		request(opWalk, 0, 0, "away"), makeRequest(0, "away/x", "x", 0o600), request(opWalk, 0, 0, "sub/../away"), request(opWalk, 0, 0, "sub/.."))
	wantErrors(t, answers, err, enotdir, einval, einval, einval)
	answers, err = ask(t, o, dir, "",
		request(opWalk, 0, 0, "sub"), request(opRename, 0, 0, "sub", 0, "moved"), request(opSymlink, 0, 0, outside, "sub"),
		makeRequest(1, "new", "x", 0o600), request(opUndo, 0, 1, "new"), request(opTake, 0, 1, 100, "new"), request(opSync, 0, 1), request(opWalk, 0, 0, "sub"))
	wantErrors(t, answers, err, 0, 0, 0, 0, 0, 0, 0, enotdir)
	if _, err := os.Stat(filepath.Join(dir, "moved", "new")); err != nil {
		t.Error(err)
	}
	untouched(t, outside)
}

func TestFilesOwnerNames(t *testing.T) {
	o := open(t, newHost(t, nil), "requests.c", nil)
	answers, err := ask(t, o, t.TempDir(), "", request(opOwner, 0, 0, 0, 0), request(opOwner, 0, 0, 1, 0), request(opOwner, 0, 0, 0, 0xfffffffe), request(opOwner, 0, 0))
	if err != nil || len(answers) != 4 {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	root, err := user.LookupId("0")
	if err != nil {
		t.Skip(err)
	}
	group, err := user.LookupGroupId("0")
	if err != nil {
		t.Skip(err)
	}
	for n, want := range []string{root.Username, group.Name, ""} {
		if e, got := answers[n].next32(), answers[n].text(); e != 0 || got != want {
			t.Errorf("answer %d: error %d, %q, want %q", n, e, got, want)
		}
	}
	if e := answers[3].next32(); e != einval {
		t.Errorf("a request that is cut off: error %d", e)
	}
}

// What a guest has begun is removed if it does not get to its end, but for
// what it has said is done.
func TestFilesUndo(t *testing.T) {
	o := open(t, newHost(t, nil), "requests.c", nil)
	requests := []string{
		makeRequest(0, "begun", "x", 0o600), request(opUndo, 0, 0, "begun"), // on the way out
		request(opUndo, 0, 0, "sub"), request(opWalk, 0, 0, "sub"), makeRequest(1, "in", "x", 0o600), request(opUndo, 0, 1, "in"), // the last first
		request(opUndo, 0, 0, "full"), request(opUndo, 0, 0, "out"), request(opUndo, 0, 0, "missing"),
		makeRequest(0, "done", "x", 0o600), request(opUndo, 0, 0, "done"), request(opForget, 0, 0, 1),
	}
	for _, tt := range []struct {
		end    string
		undone bool
	}{{"", false}, {"close", false}, {"fail", true}, {"wait", true}} {
		t.Run("end "+tt.end, func(t *testing.T) {
			dir, outside := tree(t)
			if err := os.Mkdir(filepath.Join(dir, "full"), 0o700); err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(dir, "full", "x"), nil)
			err := endedBy(t, o, map[string]any{"dir": dir, "requests": strings.Join(requests, ","), "end": tt.end}, len(requests))
			if (err != nil) != tt.undone {
				t.Errorf("error is %v", err)
			}
			for name, kept := range map[string]bool{"begun": !tt.undone, "sub/in": !tt.undone, "sub": !tt.undone, "out": !tt.undone, "full/x": true, "done": true, "file": true} {
				if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != kept {
					t.Errorf("%s: %v, want it kept: %t", name, err, kept)
				}
			}
			untouched(t, outside)
		})
	}
	answers, err := ask(t, o, t.TempDir(), "close", request(opForget, 0, 0, 1), request(opUndo, 0, 0, "../x"), request(opUndo, 0, 0, ""), request(opUndo, 0, 5, "x"))
	wantErrors(t, answers, err, einval, einval, einval, ebadf)
	var many []string
	for n := range 1025 {
		many = append(many, request(opUndo, 0, 0, fmt.Sprint(n)))
	}
	answers, err = ask(t, o, t.TempDir(), "close", many...)
	if numbers := errorsOf(answers); err != nil || len(numbers) != 1025 || numbers[1023] != 0 || numbers[1024] != 33 {
		t.Errorf("the %d answers end with %d, %v", len(numbers), numbers[max(0, len(numbers)-2):], err)
	}
}

// endedBy runs a backup that is canceled once all answers are there.
func endedBy(t *testing.T, o plugin.Opener, fields map[string]any, answers int) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tg, err := o.OpenTarget(ctx, endpoint(t, fields), nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	return tg.Backup(ctx, writerFunc(func(p []byte) (int, error) {
		if seen += bytes.Count(p, []byte("\n")); seen >= answers && fields["end"] == "wait" {
			cancel()
		}
		return len(p), nil
	}))
}

// A folder that may only be read can be looked at and no more.
func TestFilesReadOnly(t *testing.T) {
	dir, _ := tree(t)
	o := open(t, newHost(t, nil), "requests.c", &plugin.Grant{Read: []string{"{dir}"}})
	answers, err := ask(t, o, dir, "", request(opTake, 0, 0, 100, "file"), request(opOwner, 0, 0, 0, 0), makeRequest(0, "new", "x", 0o600),
		request(opUndo, 0, 0, "file"), request(opForget, 0, 0, 0), request(opSync, 0, 0), request(99, 0, 0))
	wantErrors(t, answers, err, 0, 0, erofs, erofs, erofs, erofs, erofs)
	o = open(t, newHost(t, nil), "requests.c", nil)
	answers, err = ask(t, o, dir, "", request(opSync, 0, 0), request(opSync, 0, 4), request(99, 0, 0), "01")
	wantErrors(t, answers, err, 0, ebadf, 52, einval)
}
