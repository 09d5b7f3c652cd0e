package rclone

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// FuzzEntries: whatever rclone prints, an answer that was cut is no answer.
func FuzzEntries(f *testing.F) {
	f.Add([]byte("[\n{\"Path\":\"a/b\",\"Size\":1,\"ModTime\":\"2026-11-23T00:06:10.37Z\",\"IsDir\":false},\n{\"Path\":\"c\"}\n]\n"))
	f.Add([]byte("null"))
	f.Add([]byte("[ ] [ ]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		n := 0
		if err := entries(bytes.NewReader(text), func(*entry) error { n++; return nil }); err != nil {
			if errors.Is(err, io.EOF) {
				t.Errorf("the error could be taken for an end: %v", err)
			}
			return
		}
		failed := errors.New("failed")
		err := entries(io.MultiReader(bytes.NewReader(text), broke{failed}), func(*entry) error { return nil })
		if !errors.Is(err, failed) {
			t.Errorf("a failure at the end is not noticed: %v", err)
		}
	})
}

type broke struct{ err error }

func (b broke) Read([]byte) (int, error) { return 0, b.err }

func FuzzFlags(f *testing.F) {
	f.Add("--tpslimit=4 --fast-list")
	f.Add("--config=x")
	f.Fuzz(func(t *testing.T, text string) {
		flags, err := checkFlags(text)
		for _, flag := range flags {
			if err == nil && (len(flag) < 3 || flag[:2] != "--" || flag == "--config=x") {
				t.Errorf("%q lets %q through", text, flag)
			}
		}
	})
}

func FuzzRemote(f *testing.F) {
	f.Add(":s3,env_auth=true:bucket")
	f.Add("/a,b:c")
	f.Fuzz(func(t *testing.T, text string) { _ = checkRemote(text) })
}
