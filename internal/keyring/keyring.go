// Package keyring seals the secret fields of endpoints before they reach the
// catalog, with AES-256-GCM under keys of a file that only the daemon reads.
//
// A sealed field is the JSON object {"$sealed": "KEY:BASE64"}, where KEY is
// the id of the key and BASE64 (standard, padded) holds a 12-byte nonce and
// the ciphertext of the field's JSON value. Key id, row and field are
// authenticated too, so that a value cannot be moved to another place.
package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shieldhq/shield"
)

// Keyring holds the keys. It is safe for concurrent use, also while Load
// replaces them.
type Keyring struct{ state atomic.Pointer[state] }

type state struct {
	current string
	keys    map[string]cipher.AEAD
	file    file
}

// file is the form on disk.
type file struct {
	Current string            `json:"current"`
	Keys    map[string][]byte `json:"keys"` // 32 bytes each
	// Retired says since when the keys that are not current are not.
	Retired map[string]time.Time `json:"retired,omitempty"`
	// Sealed is the key that everything in the catalog is known to have been
	// sealed with since it was the current one.
	Sealed string `json:"sealed,omitempty"`
}

// Generate returns the file of a new keyring with one key.
func Generate() ([]byte, error) {
	id, key := newKey()
	return json.Marshal(file{Current: id, Keys: map[string][]byte{id: key}})
}

func newKey() (id string, key []byte) {
	key = make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return strings.ToLower(rand.Text()[:8]), key
}

// Parse reads the file of a keyring.
func Parse(data []byte) (*Keyring, error) {
	k := &Keyring{}
	return k, k.Load(data)
}

// Load replaces the keys by those of a file. One that is damaged changes
// nothing.
func (k *Keyring) Load(data []byte) error {
	s := &state{keys: map[string]cipher.AEAD{}}
	if err := json.Unmarshal(data, &s.file); err != nil {
		return fmt.Errorf("the keyring is damaged: %w", err)
	}
	s.current = s.file.Current
	for id, key := range s.file.Keys {
		if id == "" || strings.Contains(id, ":") {
			return fmt.Errorf("the keyring is damaged: %q is no id of a key", id)
		}
		if len(key) != 32 {
			return fmt.Errorf("the keyring is damaged: key %q has %d bytes, not 32", id, len(key))
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return err
		}
		if s.keys[id], err = cipher.NewGCM(block); err != nil {
			return err
		}
	}
	if s.keys[s.current] == nil {
		return fmt.Errorf("the keyring is damaged: it lacks its current key %q", s.current)
	}
	k.state.Store(s)
	return nil
}

type marker struct {
	Sealed string `json:"$sealed"`
}

// isSealed returns the token of a sealed field.
func isSealed(v json.RawMessage) (string, bool) {
	var m map[string]string
	if len(v) == 0 || v[0] != '{' || json.Unmarshal(v, &m) != nil || len(m) != 1 || m["$sealed"] == "" {
		return "", false
	}
	return m["$sealed"], true
}

func additional(key, row, field string) []byte {
	return []byte("shield endpoint v1\x00" + key + "\x00" + row + "\x00" + field)
}

// Seal returns e with the fields named in secrets sealed for a row.
func (k *Keyring) Seal(row string, e shield.Endpoint, secrets []string) (shield.Endpoint, error) {
	fields, err := split(e)
	if err != nil {
		return nil, err
	}
	now := k.state.Load()
	for _, name := range secrets {
		v, ok := fields[name]
		if !ok {
			continue
		}
		if fields[name], err = now.seal(row, name, v); err != nil {
			return nil, err
		}
	}
	return join(fields)
}

// seal returns a field's value sealed with the current key.
func (s *state) seal(row, field string, v json.RawMessage) (json.RawMessage, error) {
	aead := s.keys[s.current]
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	box := aead.Seal(nonce, nonce, v, additional(s.current, row, field))
	return json.Marshal(marker{s.current + ":" + base64.StdEncoding.EncodeToString(box)})
}

// Reveal returns e with its sealed fields opened.
func (k *Keyring) Reveal(row string, e shield.Endpoint) (shield.Endpoint, error) {
	fields, err := split(e)
	if err != nil {
		return nil, err
	}
	now := k.state.Load()
	for name, v := range fields {
		token, ok := isSealed(v)
		if !ok {
			continue
		}
		if fields[name], err = now.open(row, name, token); err != nil {
			return nil, shield.Errorf(shield.Internal, "keyring", "the secret field %q of %s cannot be opened: %w", name, row, err)
		}
	}
	return join(fields)
}

func (s *state) open(row, field, token string) ([]byte, error) {
	id, text, _ := strings.Cut(token, ":")
	aead := s.keys[id]
	if aead == nil {
		return nil, fmt.Errorf("the keyring has no key %q", id)
	}
	box, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(box) < aead.NonceSize() {
		return nil, fmt.Errorf("the sealed value is damaged")
	}
	return aead.Open(nil, box[:aead.NonceSize()], box[aead.NonceSize():], additional(id, row, field))
}

// Redact returns e with its sealed fields replaced by shield.Redacted.
func (k *Keyring) Redact(e shield.Endpoint) shield.Endpoint {
	fields, err := split(e)
	if err != nil {
		return shield.Endpoint("{}") // never show what cannot be understood
	}
	for name, v := range fields {
		if _, ok := isSealed(v); ok {
			fields[name] = json.RawMessage(`"` + shield.Redacted + `"`)
		}
	}
	out, err := join(fields)
	if err != nil {
		return shield.Endpoint("{}")
	}
	return out
}

// Keep returns what an edit of an endpoint means, in the clear: e, with those
// fields that are shield.Redacted replaced by the secrets of old, the
// endpoint as it is kept for the row. An e equal to old is old, opened.
func (k *Keyring) Keep(row string, e, old shield.Endpoint) (shield.Endpoint, error) {
	clear, err := k.Reveal(row, old)
	if err != nil || bytes.Equal(e, old) {
		return clear, err
	}
	kept, err := split(clear)
	if err != nil {
		return nil, err
	}
	fields, err := split(e)
	if err != nil {
		return nil, err
	}
	for name, v := range fields {
		if string(v) == `"`+shield.Redacted+`"` && kept[name] != nil {
			fields[name] = kept[name]
		}
	}
	return join(fields)
}

func split(e shield.Endpoint) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if len(e) == 0 {
		return fields, nil
	}
	return fields, e.Decode(&fields)
}

func join(fields map[string]json.RawMessage) (shield.Endpoint, error) {
	b, err := json.Marshal(fields)
	return shield.Endpoint(b), err
}
