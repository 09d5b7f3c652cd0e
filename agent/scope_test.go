package agent

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// TestScope tries what an agent must not do to the archives of others.
func TestScope(t *testing.T) {
	t.Parallel()
	for _, op := range []shield.Op{shield.OpBackup, shield.OpRestore, shield.OpPreflight} {
		memory := plugintest.NewMemory()
		for _, key := range []string{"own", "own.manifest", "other", "own-not"} {
			memory.SetBlob("x", key, []byte("content"))
		}
		inner, err := memory.OpenStore(t.Context(), shield.Endpoint(`{"name":"x"}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := scoped(inner, &shield.Task{Op: op, Key: "own", Retention: 60}, newCalls(), nil)
		if _, ok := s.(plugin.Tester); ok {
			t.Error("a test of the store writes to it")
		}
		var seen []string
		backup := op == shield.OpBackup
		for _, c := range []struct {
			name string
			may  bool
			do   func() error
		}{
			{"read its own", true, func() error { return read(s, "own") }},
			{"read another", false, func() error { return read(s, "other") }},
			{"write its own", backup, func() error { _, err := s.Put(t.Context(), "own", strings.NewReader("x")); return err }},
			{"write its manifest", backup, func() error { _, err := s.Put(t.Context(), "own.manifest", strings.NewReader("x")); return err }},
			{"write another", false, func() error { _, err := s.Put(t.Context(), "other", strings.NewReader("x")); return err }},
			{"keep its own", backup, func() error {
				_, err := s.(plugin.Keeper).PutUntil(t.Context(), "own", strings.NewReader("x"), time.Now().Add(time.Minute))
				return err
			}},
			{"keep for ever", false, func() error {
				_, err := s.(plugin.Keeper).PutUntil(t.Context(), "own", strings.NewReader("x"), time.Now().AddDate(100, 0, 0))
				return err
			}},
			{"list its own", true, func() error {
				return s.(plugin.Lister).List(t.Context(), "own", func(o plugin.Object) error { seen = append(seen, o.Key); return nil })
			}},
			{"list all", false, func() error {
				return s.(plugin.Lister).List(t.Context(), "", func(plugin.Object) error { return nil })
			}},
			{"remove another", false, func() error { return s.Delete(t.Context(), "other") }},
			{"remove its own", backup, func() error { return s.Delete(t.Context(), "own") }},
		} {
			if err := c.do(); c.may && err != nil || !c.may && !errors.Is(err, shield.Forbidden) {
				t.Errorf("%s may %s: %v, want %v", op, c.name, err, c.may)
			}
		}
		for _, key := range seen {
			if key != "own" && key != "own.manifest" {
				t.Errorf("%q was listed", key)
			}
		}
		if b, ok := memory.Blob("x", "other"); !ok || string(b) != "content" {
			t.Errorf("%s: another archive has become %q", op, b)
		}
	}
}

func read(s plugin.Store, key string) error {
	r, err := s.Get(context.Background(), key)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.ReadAll(r)
	return err
}
