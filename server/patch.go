package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/shieldhq/shield"
)

// readOnly are the fields that a client may send back as they are, but not
// change.
var readOnly = []string{"uuid", "created_at", "updated_at"}

// told are fields of a job or token that change by themselves: a client may send them
// back as it read them, and they count for nothing.
var told = []string{"last_success", "next_due", "breached", "used_at"}

// fields are the members of a JSON object.
type fields map[string]json.RawMessage

// merge returns a copy of old with the members of patch in place of its own.
// An endpoint is replaced whole.
func merge[T any](old *T, patch []byte, aliases map[string]string) (*T, error) {
	b, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	var have, changes fields
	if err := json.Unmarshal(b, &have); err != nil {
		return nil, err
	}
	if err := decode(patch, &changes); err != nil {
		return nil, err
	}
	if changes == nil {
		return nil, shield.Errorf(shield.Invalid, "", "the body is null: a JSON object with the fields to change is wanted")
	}
	for _, name := range told {
		if have[name] != nil {
			delete(changes, name)
		}
	}
	if err := changes.current(have); err != nil {
		return nil, err
	}
	if err := changes.check(have); err != nil {
		return nil, err
	}
	if err := changes.resolve(have, aliases); err != nil {
		return nil, err
	}
	for name, v := range changes {
		have[name] = v
	}
	if b, err = json.Marshal(have); err != nil {
		return nil, err
	}
	next := new(T)
	return next, decode(b, next)
}

// current refuses changes of another version: what else does not fit follows
// from that.
func (changes fields) current(have fields) error {
	var given, now int64
	if json.Unmarshal(changes["version"], &given) != nil || json.Unmarshal(have["version"], &now) != nil || given == 0 || given == now {
		return nil
	}
	return &shield.Error{Code: shield.Conflict, Field: "version", Message: fmt.Sprintf("was changed meanwhile: version %d now, %d given", now, given)}
}

// check refuses changes that cannot be.
func (changes fields) check(have fields) error {
	for name, v := range changes {
		switch {
		case have[name] == nil:
			return shield.FieldErrorf(name, "is not a field that can be changed")
		case string(v) == "null":
			return shield.FieldErrorf(name, "is null: a value is wanted; a field that is left out stays as it is")
		case slices.Contains(readOnly, name) && !same(v, have[name]):
			return shield.FieldErrorf(name, "cannot be changed")
		}
	}
	return nil
}

// resolve replaces aliases by the fields that they stand for.
func (changes fields) resolve(have fields, aliases map[string]string) error {
	for name, field := range aliases {
		v, given := changes[name]
		delete(changes, name)
		if !given || same(v, have[name]) {
			continue
		}
		if other, both := changes[field]; both && !same(other, have[field]) {
			return shield.FieldErrorf(name, "and %s are both given: one of them is wanted", field)
		}
		changes[field] = v
	}
	return nil
}

// same reports whether two JSON values have the same text but for space.
func same(a, b json.RawMessage) bool {
	x, errX := json.Marshal(a) // compact, and escaped alike
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
