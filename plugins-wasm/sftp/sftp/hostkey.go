package sftp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys are what a server is known by.
type hostKeys struct {
	prints  []string // SHA256:...
	keys    []ssh.PublicKey
	revoked []ssh.PublicKey
}

// parseHostKeys reads fingerprints, public keys and lines of known_hosts files,
// of which those for the address count.
func parseHostKeys(text []byte, addr string) (*hostKeys, error) {
	k := &hostKeys{}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := k.add(string(line), addr); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if len(k.prints)+len(k.keys) == 0 {
		return nil, fmt.Errorf("has no key for %s: a fingerprint, a public key or lines of a known_hosts file are wanted", knownhosts.Normalize(addr))
	}
	return k, nil
}

var errHostKey = errors.New("is neither a fingerprint (SHA256:...), nor a public key (ssh-ed25519 AAAA...), nor a line of a known_hosts file")

func (k *hostKeys) add(line, addr string) error {
	words := strings.Fields(line)
	for _, w := range words[:min(2, len(words))] { // ssh-keygen -l writes the size before it
		if strings.HasPrefix(w, "SHA256:") {
			return k.addPrint(w)
		}
		if strings.HasPrefix(w, "MD5:") {
			return errors.New("fingerprints by MD5 prove nothing: one that begins with SHA256: is wanted")
		}
	}
	if len(words) < 2 {
		return errHostKey
	}
	if algorithmsOf(words[0]) != nil {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return errHostKey
		}
		k.keys = append(k.keys, key)
		return nil
	}
	marker, hosts, key, _, _, err := ssh.ParseKnownHosts([]byte(line))
	switch {
	case err != nil:
		return errHostKey
	case !matches(hosts, addr):
	case marker == "revoked":
		k.revoked = append(k.revoked, key)
	case marker == "":
		k.keys = append(k.keys, key)
	}
	return nil
}

func (k *hostKeys) addPrint(word string) error {
	sum, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimPrefix(word, "SHA256:"), "="))
	if err != nil || len(sum) != 32 {
		return errors.New("is not a whole fingerprint: SHA256: and 43 characters are wanted")
	}
	k.prints = append(k.prints, "SHA256:"+base64.RawStdEncoding.EncodeToString(sum))
	return nil
}

// matches reports whether one of the patterns of a known_hosts line is for an
// address, and none excludes it.
func matches(patterns []string, addr string) bool {
	name := knownhosts.Normalize(addr)
	matched := false
	for _, p := range patterns {
		p, negated := strings.CutPrefix(p, "!")
		hit := strings.HasPrefix(p, "|") && hashedMatch(p, name) || wildcardMatch(p, name)
		if hit && negated {
			return false
		}
		matched = matched || hit
	}
	return matched
}

// hashedMatch compares with |1|salt|hash.
func hashedMatch(pattern, name string) bool {
	parts := strings.Split(pattern, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	h := hmac.New(sha1.New, salt)
	h.Write([]byte(name))
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) == parts[3]
}

// wildcardMatch knows * and ?.
func wildcardMatch(pattern, name string) bool {
	// What followed the last * is tried at each place: no recursion is needed.
	star, mark, p, n := -1, 0, 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p, n = p+1, n+1
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// families are the algorithms by which servers prove that a host key is theirs,
// by types of keys. They are never written to.
var families = [][]string{
	{ssh.KeyAlgoED25519},
	{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
	{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
}

// algorithmsOf returns those for a type of keys, nil for an unknown one.
func algorithmsOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return families[2]
	}
	if slices.Contains(slices.Concat(families...), keyType) && !strings.HasPrefix(keyType, "rsa-") {
		return []string{keyType}
	}
	return nil
}

// attempts are the algorithms to ask a server for, one list after the other
// until a key is the right one: servers have several, and show the one that is
// asked for first.
func (k *hostKeys) attempts() [][]string {
	all := slices.Concat(families...)
	var known []string
	for _, key := range k.keys {
		known = append(known, algorithmsOf(key.Type())...)
	}
	var lists [][]string
	if len(known) > 0 {
		lists = append(lists, known)
	}
	if len(k.prints) > 0 {
		lists = append(append(lists, all), families...)
	} else {
		lists = append(lists, all) // to be told what the server has instead
	}
	return lists
}

// A mismatch is a server that has shown keys that are not known.
type mismatch struct {
	shown   []string
	revoked bool
	known   string
}

// add notes what the server has shown to another attempt.
func (m *mismatch) add(other *mismatch) {
	for _, key := range other.shown {
		if !slices.Contains(m.shown, key) {
			m.shown = append(m.shown, key)
		}
	}
}

func (m *mismatch) Error() string {
	shown := strings.Join(m.shown, ", ")
	if m.revoked {
		return "the server shows the host key " + shown + ", which is revoked"
	}
	return "host key mismatch: the server shows " + shown + ", known is " + m.known +
		". Either the server has got another key, or somebody answers in its place: find out which before you change host_key"
}

// check returns a mismatch unless a key is known.
func (k *hostKeys) check(key ssh.PublicKey) error {
	same := func(other ssh.PublicKey) bool { return bytes.Equal(other.Marshal(), key.Marshal()) }
	if slices.ContainsFunc(k.revoked, same) {
		return &mismatch{shown: []string{described(key)}, revoked: true}
	}
	if slices.ContainsFunc(k.keys, same) || slices.Contains(k.prints, ssh.FingerprintSHA256(key)) {
		return nil
	}
	known := slices.Clone(k.prints)
	for _, other := range k.keys {
		known = append(known, described(other))
	}
	return &mismatch{shown: []string{described(key)}, known: strings.Join(known, ", ")}
}

func described(key ssh.PublicKey) string { return key.Type() + " " + ssh.FingerprintSHA256(key) }
