package keyring_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/keyring"
)

const (
	rowA = "11111111-1111-4111-8111-111111111111"
	rowB = "22222222-2222-4222-8222-222222222222"
)

var secrets = []string{"password", "key"}

func newRing(t testing.TB) *keyring.Keyring {
	t.Helper()
	data, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	k, err := keyring.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, k *keyring.Keyring, row, clear string) shield.Endpoint {
	t.Helper()
	e, err := k.Seal(row, shield.Endpoint(clear), secrets)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, clear, redacted string }{
		{"text", `{"host":"h","password":"s3cret"}`, `{"host":"h","password":"********"}`},
		{"two", `{"key":"k","password":"s3cret"}`, `{"key":"********","password":"********"}`},
		{"number", `{"password":12345}`, `{"password":"********"}`},
		{"object", `{"password":{"a":[1,2,"s3cret"]}}`, `{"password":"********"}`},
		{"empty text", `{"password":""}`, `{"password":"********"}`},
		{"escapes", `{"password":"\u0000\"\\\u003c\ud83d\ude00"}`, `{"password":"********"}`},
		{"big", `{"password":"` + strings.Repeat("x", 500_000) + `"}`, `{"password":"********"}`},
		{"none", `{"host":"h"}`, `{"host":"h"}`},
		{"nothing", `{}`, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newRing(t)
			sealed := seal(t, k, rowA, c.clear)
			for _, word := range []string{"s3cret", "12345"} {
				if strings.Contains(string(sealed), word) {
					t.Errorf("%s is in the clear in %s", word, []byte(sealed))
				}
			}
			got, err := k.Reveal(rowA, sealed)
			if err != nil || string(got) != c.clear {
				t.Errorf("Reveal = %.100s, %v", []byte(got), err)
			}
			if got := k.Redact(sealed); string(got) != c.redacted {
				t.Errorf("Redact = %s, want %s", []byte(got), c.redacted)
			}
		})
	}
}

func TestSealsDiffer(t *testing.T) {
	t.Parallel()
	k := newRing(t)
	a, b := seal(t, k, rowA, `{"password":"x"}`), seal(t, k, rowA, `{"password":"x"}`)
	if string(a) == string(b) {
		t.Error("the same secret gives the same text twice")
	}
}

// tokens returns the tokens of an endpoint's sealed fields.
func tokens(t testing.TB, e shield.Endpoint) map[string]string {
	t.Helper()
	var fields map[string]map[string]string
	if err := json.Unmarshal(e, &fields); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for name, v := range fields {
		out[name] = v["$sealed"]
	}
	return out
}

func sealed(field, token string) shield.Endpoint {
	b, _ := json.Marshal(map[string]map[string]string{field: {"$sealed": token}})
	return b
}

func TestRevealRefuses(t *testing.T) {
	t.Parallel()
	k := newRing(t)
	token := tokens(t, seal(t, k, rowA, `{"password":"s3cret"}`))["password"]
	id, box, _ := strings.Cut(token, ":")
	last := box[len(box)-6:]
	flipped := strings.TrimSuffix(box, last) + strings.Map(func(r rune) rune {
		if r == 'A' {
			return 'B'
		}
		return 'A'
	}, last[:4]) + last[4:]
	for _, c := range []struct {
		name     string
		ring     *keyring.Keyring
		row      string
		endpoint shield.Endpoint
	}{
		{"another row", k, rowB, sealed("password", token)},
		{"another field", k, rowA, sealed("key", token)},
		{"no row", k, "", sealed("password", token)},
		{"another keyring", newRing(t), rowA, sealed("password", token)},
		{"unknown key", k, rowA, sealed("password", "nokey:"+box)},
		{"no key", k, rowA, sealed("password", box)},
		{"flipped", k, rowA, sealed("password", id+":"+flipped)},
		{"cut", k, rowA, sealed("password", id+":"+box[:len(box)-4])},
		{"shorter than a nonce", k, rowA, sealed("password", id+":AAAA")},
		{"not base64", k, rowA, sealed("password", id+":%%%%")},
		{"empty", k, rowA, sealed("password", id+":")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, err := c.ring.Reveal(c.row, c.endpoint)
			if err == nil {
				t.Fatalf("Reveal = %s", []byte(e))
			}
			if shield.CodeOf(err) != shield.Internal || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("err = %v", err)
			}
			if e, err := c.ring.Keep(c.row, shield.Endpoint(`{"password":"********"}`), c.endpoint); err == nil {
				t.Errorf("Keep = %s", []byte(e))
			}
		})
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	k := newRing(t)
	old := seal(t, k, rowA, `{"host":"h","key":"kkk","password":"s3cret"}`)
	for _, c := range []struct{ name, edit, want string }{
		{"one kept", `{"host":"i","password":"********"}`, `{"host":"i","password":"s3cret"}`},
		{"all kept", `{"host":"h","key":"********","password":"********"}`, `{"host":"h","key":"kkk","password":"s3cret"}`},
		{"one changed", `{"key":"********","password":"new"}`, `{"key":"kkk","password":"new"}`},
		{"all dropped", `{"host":"h"}`, `{"host":"h"}`},
		{"nothing to keep", `{"token":"********"}`, `{"token":"********"}`},
		{"as it is stored", string(old), `{"host":"h","key":"kkk","password":"s3cret"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := k.Keep(rowA, shield.Endpoint(c.edit), old)
			if err != nil || string(got) != c.want {
				t.Errorf("Keep = %s, %v, want %s", []byte(got), err, c.want)
			}
		})
	}
}

func TestRedactNeverShowsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`s3cret`, `["s3cret"]`, `{"password":"s3cret"`} {
		if got := newRing(t).Redact(shield.Endpoint(text)); string(got) != `{}` {
			t.Errorf("Redact(%s) = %s", text, []byte(got))
		}
	}
}

func TestOnlyWholeMarkersCount(t *testing.T) {
	t.Parallel()
	k := newRing(t)
	for _, text := range []string{`{"a":{"$sealed":""}}`, `{"a":{"$sealed":"x:y","b":"c"}}`, `{"a":{"$SEALED":"x:y"}}`, `{"a":"$sealed"}`, `{"a":null}`} {
		e, err := k.Reveal(rowA, shield.Endpoint(text))
		if err != nil || string(e) != text {
			t.Errorf("Reveal(%s) = %s, %v", text, []byte(e), err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	key := `"` + strings.Repeat("A", 43) + `="`
	for name, text := range map[string]string{
		"empty":         "",
		"null":          "null",
		"text behind":   `{"current":"a","keys":{"a":` + key + `}} x`,
		"no keys":       `{"current":"a","keys":{}}`,
		"no current":    `{"keys":{"a":` + key + `}}`,
		"other current": `{"current":"b","keys":{"a":` + key + `}}`,
		"short key":     `{"current":"a","keys":{"a":"AAAA"}}`,
		"not base64":    `{"current":"a","keys":{"a":"%"}}`,
		"empty id":      `{"current":"","keys":{"":` + key + `}}`,
		"colon in id":   `{"current":"a:b","keys":{"a:b":` + key + `}}`,
	} {
		if _, err := keyring.Parse([]byte(text)); err == nil || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

// TestOldKeysOpen: a keyring with a new current key opens what the old one
// sealed, and seals with the new one.
func TestOldKeysOpen(t *testing.T) {
	t.Parallel()
	type file struct {
		Current string            `json:"current"`
		Keys    map[string][]byte `json:"keys"`
	}
	var a, b file
	for _, f := range []*file{&a, &b} {
		data, err := keyring.Generate()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, f); err != nil {
			t.Fatal(err)
		}
	}
	parse := func(f file) *keyring.Keyring {
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		k, err := keyring.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	old := seal(t, parse(a), rowA, `{"password":"x"}`)
	b.Keys[a.Current] = a.Keys[a.Current]
	both := parse(b)
	if e, err := both.Reveal(rowA, old); err != nil || string(e) != `{"password":"x"}` {
		t.Errorf("Reveal = %s, %v", []byte(e), err)
	}
	if token := tokens(t, seal(t, both, rowA, `{"password":"x"}`))["password"]; !strings.HasPrefix(token, b.Current+":") {
		t.Errorf("sealed as %s, not by %s", token, b.Current)
	}
}

func FuzzReveal(f *testing.F) {
	k := newRing(f)
	f.Add([]byte(`{"password":{"$sealed":"a:b"}}`))
	f.Add([]byte(seal(f, k, rowA, `{"password":"x"}`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		e := shield.Endpoint(text)
		_, _ = k.Reveal(rowB, e)
		if !json.Valid(k.Redact(e)) {
			t.Error("Redact gives what is no JSON")
		}
	})
}
