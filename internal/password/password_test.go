package password_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/password"
)

const good = shield.Secret("correct horse é")

func TestHash(t *testing.T) {
	t.Parallel()
	h, ctx := password.New(), t.Context()
	one, err := h.Hash(ctx, good)
	if err != nil {
		t.Fatal(err)
	}
	two, err := h.Hash(ctx, good)
	if err != nil || one == two {
		t.Errorf("two hashes of a password are the same (%v)", err)
	}
	if text := one.Reveal(); !strings.HasPrefix(text, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(text, "correct") {
		t.Errorf("the hash is %s", text)
	}
	for _, test := range []struct {
		name       string
		text, hash shield.Secret
		want       bool
	}{
		{"right", good, one, true},
		{"right, other salt", good, two, true},
		{"wrong", good + "!", one, false},
		{"empty", "", one, false},
		{"very long", shield.Secret(strings.Repeat("x", 1<<20)), one, false},
		{"nobody", good, "", false},
		// From the reference implementation, with other costs.
		{"other costs", "password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", true},
	} {
		got, err := h.Verify(ctx, test.text, test.hash)
		if err != nil || got != test.want {
			t.Errorf("%s: %v, %v, want %v", test.name, got, err, test.want)
		}
	}
}

func TestDamagedHash(t *testing.T) {
	t.Parallel()
	for _, hash := range []shield.Secret{
		"x", "$2b$10$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=32768,t=3,p=1$c29tZXNhbHQ",
		"$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$", "$argon2id$v=19$m=64,t=1,p=1$$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=1,p=1 $c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	} {
		ok, err := password.New().Verify(t.Context(), "", hash)
		if ok || shield.CodeOf(err) != shield.Internal || strings.Contains(err.Error(), hash.Reveal()) {
			t.Errorf("%s: %v, %v", hash.Reveal(), ok, err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "short", shield.Redacted, strings.Repeat("x", 1001), "0123456789\xff", "0123456789\x00"} {
		_, err := password.New().Hash(t.Context(), shield.Secret(bad))
		if shield.CodeOf(err) != shield.Invalid || len(bad) > 8 && strings.Contains(err.Error(), bad) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

// TestFewAtOnce checks that what waits for its turn can give up, and that all
// that stay get theirs.
func TestFewAtOnce(t *testing.T) {
	t.Parallel()
	h := password.New()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if ok, err := h.Verify(t.Context(), good, ""); ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
		})
		all.Go(func() {
			if ok, err := h.Verify(canceled, good, ""); ok || err != nil && shield.CodeOf(err) != shield.Canceled {
				t.Errorf("canceled: %v, %v", ok, err)
			}
		})
	}
	all.Wait()
}
