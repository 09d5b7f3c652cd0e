package keyring

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// Rotate returns the file of a keyring with a new key, which is the current
// one, and the id of that. The others stay: they open what they sealed.
func Rotate(data []byte, now time.Time) (rotated []byte, id string, err error) {
	k, err := Parse(data)
	if err != nil {
		return nil, "", err
	}
	f := k.state.Load().file
	id, key := newKey()
	for f.Keys[id] != nil {
		id, key = newKey()
	}
	if f.Retired == nil {
		f.Retired = map[string]time.Time{}
	}
	f.Retired[f.Current] = now.UTC().Truncate(time.Second)
	f.Keys[id], f.Current = key, id
	rotated, err = json.Marshal(f)
	return rotated, id, err
}

// Settle returns the file of a keyring that says that everything is sealed with
// its current key, and that lacks those keys that were retired before a time.
// It returns the ids of these, and data itself if nothing is to be changed.
func Settle(data []byte, before time.Time) (settled []byte, dropped []string, err error) {
	k, err := Parse(data)
	if err != nil {
		return nil, nil, err
	}
	f := k.state.Load().file
	for id := range f.Keys {
		if id != f.Current && f.Retired[id].Before(before) {
			dropped = append(dropped, id)
			delete(f.Keys, id)
			delete(f.Retired, id)
		}
	}
	if len(dropped) == 0 && f.Sealed == f.Current {
		return data, nil, nil
	}
	f.Sealed = f.Current
	settled, err = json.Marshal(f)
	return settled, dropped, err
}

// Current is the id of the key that seals.
func (k *Keyring) Current() string { return k.state.Load().current }

// Sealed reports whether everything is known to be sealed with the current key.
func (k *Keyring) Sealed() bool {
	s := k.state.Load()
	return s.file.Sealed == s.current || len(s.keys) == 1
}

// Retired reports whether there are keys that seal nothing any more.
func (k *Keyring) Retired() bool { return len(k.state.Load().keys) > 1 }

// Replaceable returns an error if what this keyring opens another one, which is
// to take its place, would not.
func (k *Keyring) Replaceable(by *Keyring) error {
	for id := range k.state.Load().keys {
		if by.state.Load().keys[id] == nil {
			return fmt.Errorf("the new keyring lacks the key %q, which is in use", id)
		}
	}
	return nil
}

// Reseal returns e with the fields that other keys have sealed sealed with the
// current one, and whether there were any.
func (k *Keyring) Reseal(row string, e shield.Endpoint) (shield.Endpoint, bool, error) {
	fields, err := split(e)
	if err != nil {
		return nil, false, err
	}
	now, changed := k.state.Load(), false
	for name, v := range fields {
		token, ok := isSealed(v)
		if !ok || strings.HasPrefix(token, now.current+":") {
			continue
		}
		text, err := now.open(row, name, token)
		if err != nil {
			return nil, false, shield.Errorf(shield.Internal, "keyring", "the secret field %q of %s cannot be opened: %w", name, row, err)
		}
		if fields[name], err = now.seal(row, name, text); err != nil {
			return nil, false, err
		}
		changed = true
	}
	if !changed {
		return e, false, nil
	}
	sealed, err := join(fields)
	return sealed, true, err
}
