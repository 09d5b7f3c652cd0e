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

	"github.com/shieldhq/shield"
)

// Keyring holds the keys. It is safe for concurrent use.
type Keyring struct {
	current string
	keys    map[string]cipher.AEAD
}

// file is the form on disk.
type file struct {
	Current string            `json:"current"`
	Keys    map[string][]byte `json:"keys"` // 32 bytes each
}

// Generate returns the file of a new keyring with one key.
func Generate() ([]byte, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	id := strings.ToLower(rand.Text()[:8])
	return json.Marshal(file{Current: id, Keys: map[string][]byte{id: key}})
}

// Parse reads the file of a keyring.
func Parse(data []byte) (*Keyring, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("the keyring is damaged: %w", err)
	}
	k := &Keyring{current: f.Current, keys: map[string]cipher.AEAD{}}
	for id, key := range f.Keys {
		if id == "" || strings.Contains(id, ":") {
			return nil, fmt.Errorf("the keyring is damaged: %q is no id of a key", id)
		}
		if len(key) != 32 {
			return nil, fmt.Errorf("the keyring is damaged: key %q has %d bytes, not 32", id, len(key))
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		if k.keys[id], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	if k.keys[k.current] == nil {
		return nil, fmt.Errorf("the keyring is damaged: it lacks its current key %q", k.current)
	}
	return k, nil
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
	aead := k.keys[k.current]
	for _, name := range secrets {
		v, ok := fields[name]
		if !ok {
			continue
		}
		nonce := make([]byte, aead.NonceSize())
		if _, err := rand.Read(nonce); err != nil {
			return nil, err
		}
		box := aead.Seal(nonce, nonce, v, additional(k.current, row, name))
		token := k.current + ":" + base64.StdEncoding.EncodeToString(box)
		if fields[name], err = json.Marshal(marker{token}); err != nil {
			return nil, err
		}
	}
	return join(fields)
}

// Reveal returns e with its sealed fields opened.
func (k *Keyring) Reveal(row string, e shield.Endpoint) (shield.Endpoint, error) {
	fields, err := split(e)
	if err != nil {
		return nil, err
	}
	for name, v := range fields {
		token, ok := isSealed(v)
		if !ok {
			continue
		}
		if fields[name], err = k.open(row, name, token); err != nil {
			return nil, shield.Errorf(shield.Internal, "keyring", "the secret field %q of %s cannot be opened: %w", name, row, err)
		}
	}
	return join(fields)
}

func (k *Keyring) open(row, field, token string) ([]byte, error) {
	id, text, _ := strings.Cut(token, ":")
	aead := k.keys[id]
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
