package fs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
)

func TestShards(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := openStore(t, dir)
	put(t, plain, "2025/12/31/old", "from before")
	s := openStore(t, dir, "shard", true)
	got, err := s.Put(t.Context(), key, strings.NewReader("archive"))
	must(t, err)
	if !regexp.MustCompile(`^[0-9a-f]{2}/` + key + "$").MatchString(got.Key) {
		t.Errorf("the key is %q", got.Key)
	}
	put(t, s, got.Key+".manifest", "manifest") // in the same shard, and not below it
	for _, k := range []string{got.Key, key} {
		if text := get(t, s, k); text != "archive" {
			t.Errorf("%s holds %q", k, text)
		}
	}
	if text := get(t, s, "2025/12/31/old"); text != "from before" {
		t.Errorf("the old archive holds %q", text)
	}
	for prefix, want := range map[string][]string{
		"":          {"2025/12/31/old 11", got.Key + " 7", got.Key + ".manifest 8"},
		got.Key[:4]: {got.Key + " 7", got.Key + ".manifest 8"},
		got.Key:     {got.Key + " 7", got.Key + ".manifest 8"},
		"2026/":     {},
	} {
		if have := list(t, s, prefix); !slices.Equal(have, want) {
			t.Errorf("%q lists %q, want %q", prefix, have, want)
		}
	}
	_, err = s.Put(t.Context(), key, strings.NewReader("another"))
	wantCode(t, err, shield.Conflict, key)
	must(t, s.Delete(t.Context(), key), s.Delete(t.Context(), got.Key+".manifest"), s.Delete(t.Context(), "2025/12/31/old"))
	if left := tree(t, dir); !slices.Equal(left, []string{got.Key[:3]}) {
		t.Errorf("the folder of the shard is to stay, and nothing else: %q", left)
	}
}
