//go:build !portable

package wasmhost

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzFiles sends any requests to the file service. Nothing outside of the
// folder may change or be told of, whatever symlinks lie in it.
func FuzzFiles(f *testing.F) {
	ask := func(op, flags byte, folder uint32, rest ...any) string {
		a := &answer{b: []byte{op, flags, 0, 0}}
		a.u32(folder)
		for _, v := range rest {
			switch v := v.(type) {
			case int:
				a.u32(uint32(v))
			case uint64:
				a.u64(v)
			case string:
				a.text(v)
			}
		}
		return string(binary.LittleEndian.AppendUint16(nil, uint16(len(a.b)))) + string(a.b)
	}
	f.Add(ask(opWalk, 0, 0, "sub") + ask(opList, 8|2|4, 1) + ask(opRelease, 0, 1))
	f.Add(ask(opTake, withAttrs, 0, 100, "file") + ask(opTake, 0, 0, 0, "file") + ask(opSeek, 0, 3, uint64(2)) + ask(opExtents, 0, 3, uint64(0)))
	f.Add(ask(opTake, 0, 0, 100, "out") + ask(opOpen, 0, 0, "out") + ask(opWalk, 0, 0, "away") + ask(opWalk, 0, 0, "sub/../.."))
	f.Add(ask(opMake, 0, 0, 0, 0, 0o644, uint64(1), 2, 1, "user.a", "b", "new", "content") + ask(opRemove, 0, 0, "new"))
	f.Add(ask(opMake, 0, 0, 0, 0, 0o4755, uint64(1), 2, 0, "out", "content") + ask(opUndo, 0, 0, "file") + ask(opForget, 0, 0, 1))
	f.Add(ask(opMkdir, 0, 0, 0o755, "d") + ask(opWalk, 0, 0, "d") + ask(opSymlink, 0, 1, "../x", "l") + ask(opRename, 0, 0, "d", 1, "e") + ask(opRemove, 0, 0, "d"))
	f.Add(ask(opLink, 0, 0, "out", 0, "twin") + ask(opChown, 0, 0, 5, 5, "file") + ask(opChmod, 0, 0, 0o777, "out") + ask(opTimes, 0, 0, uint64(5), 7, "out") + ask(opSetAttr, 0, 0, "user.x", "y", "out"))
	f.Add(ask(opOwner, 0, 0, 0, 0) + ask(opOwner, 0, 0, 1, 0) + ask(opSpace, 0, 0) + ask(opSyncNames, 0, 0))
	f.Add(ask(opMknod, 0, 0, 0o010600, 0, 0, "fifo") + ask(opOpen, 0, 0, "fifo") + ask(opTake, 0, 0, 10, "fifo") + ask(opMknod, 0, 0, 0o020600, 1, 3, "null"))
	f.Fuzz(func(t *testing.T, requests string) {
		outside, dir := t.TempDir(), t.TempDir()
		secret := filepath.Join(outside, "secret")
		for _, err := range []error{
			os.WriteFile(secret, []byte("the secret"), 0o600), os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600),
			os.Symlink(secret, filepath.Join(dir, "out")), os.Symlink(outside, filepath.Join(dir, "away")), os.Mkdir(filepath.Join(dir, "sub"), 0o700),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		before, err := os.Lstat(secret)
		if err != nil {
			t.Fatal(err)
		}
		i := loneInstance(t, dir)
		h, err := i.openFiles(&filesDescriptor{Folder: dir})
		if err != nil {
			t.Fatal(err)
		}
		for len(requests) >= 2 {
			n := int(binary.LittleEndian.Uint16([]byte(requests)))
			requests = requests[2:]
			n = min(n, len(requests))
			if _, err := h.write([]byte(requests[:n])); err != nil {
				t.Fatal(err)
			}
			requests = requests[n:]
			b, err := h.peek()
			if n > 0 && (err != nil || len(b) < 4 || binary.LittleEndian.Uint32(b) > 76) {
				t.Fatalf("the answer is %x, %v", b, err)
			}
			if strings.Contains(string(b), "the secret") {
				t.Fatal("the secret was told")
			}
		}
		h.close()
		after, err := os.Lstat(secret)
		content, _ := os.ReadFile(secret)
		if err != nil || string(content) != "the secret" || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
			t.Fatalf("outside, the secret is now %q, %v, %v", content, after, err)
		}
		if entries, _ := os.ReadDir(outside); len(entries) != 1 {
			t.Fatalf("outside there are now %v", entries)
		}
	})
}
