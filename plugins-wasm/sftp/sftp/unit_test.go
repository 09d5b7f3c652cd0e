package sftp_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/sftp/sftp"
)

func newKey(t testing.TB) (ssh.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key, private
}

func TestParseHostKeys(t *testing.T) {
	t.Parallel()
	key, _ := newKey(t)
	other, _ := newKey(t)
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	print := ssh.FingerprintSHA256(key)
	const addr = "backup.example.com:2222"
	for name, c := range map[string]struct {
		text string
		says string // empty if the key is known by it
	}{
		"key":                 {line, ""},
		"key with comment":    {"# a comment\n\n" + line + " root@backup\r\n", ""},
		"fingerprint":         {print, ""},
		"padded fingerprint":  {print + "=", ""},
		"ssh-keygen -l":       {"256 " + print + " root@backup (ED25519)", ""},
		"known_hosts":         {"[backup.example.com]:2222 " + line, ""},
		"known_hosts, list":   {"a,[backup.example.com]:2222,b " + line, ""},
		"known_hosts, star":   {"[*.example.com]:2222 " + line, ""},
		"known_hosts, hashed": {knownhosts.HashHostname("[backup.example.com]:2222") + " " + line, ""},
		"another port":        {"backup.example.com " + line, "no key for [backup.example.com]:2222"},
		"another host":        {"[restore.example.com]:2222 " + line, "no key for"},
		"excluded":            {"[*.example.com]:2222,![backup.example.com]:2222 " + line, "no key for"},
		"another hashed":      {knownhosts.HashHostname("backup.example.com") + " " + line, "no key for"},
		"an authority only":   {"@cert-authority * " + line, "no key for"},
		"empty":               {"\n# nothing\n", "no key for"},
		"MD5":                 {"MD5:00:11", "prove nothing"},
		"short fingerprint":   {"SHA256:abcd", "43 characters"},
		"half a key":          {line[:40], "line 1: is neither"},
		"words":               {print + "\nwhat is this", "line 2: is neither"},
	} {
		_, _, _, err := sftp.ParseHostKeys(c.text, addr)
		switch {
		case c.says == "" && (err != nil || !sftp.Knows(c.text, addr, key) || sftp.Knows(c.text, addr, other)):
			t.Errorf("%s: %v, or it knows what it should not", name, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: error %v, want %q", name, err, c.says)
		}
	}
	if sftp.Knows(line+"\n@revoked * "+line, addr, key) {
		t.Error("a revoked key is known")
	}
}

func TestWildcards(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"*", "", true}, {"*", "a", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "abcX", false}, {"?", "", false}, {"a?c", "abc", true},
		{"**x", "x", true}, {"*x*", "aaxaa", true}, {"a", "ab", false}, {"ab", "a", false}, {strings.Repeat("a*", 30) + "b", strings.Repeat("a", 200), false},
	} {
		if got := sftp.WildcardMatch(c.pattern, c.name); got != c.want {
			t.Errorf("%q matches %q: %t", c.pattern, c.name, got)
		}
	}
}

func FuzzParseHostKeys(f *testing.F) {
	key, _ := newKey(f)
	line := string(ssh.MarshalAuthorizedKey(key))
	for _, text := range []string{line, "SHA256:" + strings.Repeat("A", 43), "a,!b,|1|x|y " + line, "@revoked * " + line, "\x00 \x00 \x00", "ssh-rsa AAAA"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		prints, keys, _, err := sftp.ParseHostKeys(text, "host:22")
		if err == nil && prints+keys == 0 {
			t.Errorf("nothing is known, and that is no error")
		}
		other, _ := newKey(t)
		if err == nil && sftp.Knows(text, "host:22", other) {
			t.Error("a key is known that cannot be in the text")
		}
	})
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	_, private := newKey(t)
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	plainKey := string(pem.EncodeToMemory(block))
	print := "SHA256:" + strings.Repeat("A", 43)
	for name, c := range map[string]struct {
		more        map[string]any
		field, says string // none if it is good
	}{
		"password":           {map[string]any{}, "", ""},
		"key":                {map[string]any{"password": nil, "private_key": plainKey}, "", ""},
		"IPv6":               {map[string]any{"host": "::1"}, "", ""},
		"IPv6 in brackets":   {map[string]any{"host": "[::1]"}, "", ""},
		"passphrase of none": {map[string]any{"private_key": plainKey, "passphrase": "hunter2"}, "endpoint.passphrase", "leave it out"},
		"lonely passphrase":  {map[string]any{"passphrase": "hunter2"}, "endpoint.passphrase", "no private key"},
		"no key":             {map[string]any{"private_key": "-----BEGIN X-----\nAAAA\n-----END X-----"}, "endpoint.private_key", "ssh-keygen"},
		"two keys":           {map[string]any{"private_key": plainKey, "private_key_file": "/k"}, "endpoint.private_key_file", "one of them"},
		"no login":           {map[string]any{"password": nil}, "endpoint.private_key", "is missing"},
		"no host":            {map[string]any{"host": nil}, "endpoint.host", "is missing"},
		"URL for host":       {map[string]any{"host": "sftp://x"}, "endpoint.host", "without user, port or path"},
		"no host key":        {map[string]any{"host_key": nil}, "endpoint.host_key", "ssh-keyscan -p 22 h"},
		"bad host key":       {map[string]any{"host_key": "xyz"}, "endpoint.host_key", "SHA256:"},
		"two kinds of hosts": {map[string]any{"known_hosts_file": "/k"}, "endpoint.known_hosts_file", "one of them"},
		"tilde":              {map[string]any{"base_dir": "~/backups"}, "endpoint.base_dir", "do not know ~"},
		"prefix with dots":   {map[string]any{"prefix": "a/../b"}, "endpoint.prefix", "dot"},
		"retries":            {map[string]any{"retries": -1}, "endpoint.retries", "0 to 100"},
		"timeout":            {map[string]any{"stall_timeout": "1ms"}, "endpoint.stall_timeout", "at least 1s"},
	} {
		e := map[string]any{"host": "h", "user": "u", "password": "hunter2", "host_key": print}
		for k, v := range c.more {
			e[k] = v
		}
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sftp.Plugin().OpenStore(t.Context(), b, nil)
		if c.field == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if shield.CodeOf(err) != shield.Invalid || !strings.HasPrefix(err.Error(), c.field+": ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want Invalid about %s with %q", name, err, c.field, c.says)
		}
		if strings.Contains(fmt.Sprint(err), "hunter") {
			t.Errorf("%s: %v tells a secret", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "/a", "a/", "a//b", "..", "a/../b", "a\x00", `a\b`, "\xff", strings.Repeat("n", 201), ".x.partial", "a/.x.partial/b"} {
		if shield.CodeOf(sftp.CheckKey(key)) != shield.Invalid {
			t.Errorf("%q can be a key", key)
		}
	}
	token := strings.Repeat("t", 26)
	for _, key := range []string{"a", ".hidden", "2026/01/31/x y", strings.Repeat("n", 200), "a.b"} {
		name := key[strings.LastIndex(key, "/")+1:]
		temp := sftp.Partial(key, token)
		base := temp[strings.LastIndex(temp, "/")+1:]
		if sftp.CheckKey(key) != nil || !sftp.IsPartialOf(base, name) || sftp.IsPartialOf(base, "a.") || sftp.CheckKey(temp) == nil || len(base) > 255 {
			t.Errorf("%q has the temporary name %q", key, temp)
		}
	}
	if sftp.IsPartialOf(".a.b."+token+".partial", "a") {
		t.Error("a temporary name is taken for that of another key")
	}
}
