package keyring_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/keyring"
)

func mustParse(t *testing.T, data []byte) *keyring.Keyring {
	t.Helper()
	k, err := keyring.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRotate(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	first, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	ring := mustParse(t, first)
	const row = "6a233c7c-8386-4375-9614-883425d095dd"
	sealed, err := ring.Seal(row, shield.Endpoint(`{"host":"db","password":"hunter2"}`), []string{"password"})
	if err != nil {
		t.Fatal(err)
	}
	second, id, err := keyring.Rotate(first, now)
	if err != nil || !ring.Sealed() || ring.Retired() {
		t.Fatalf("%v", err)
	}
	if err := mustParse(t, second).Replaceable(ring); err == nil {
		t.Error("a ring may be replaced by one that lacks a key")
	}
	if err := ring.Replaceable(mustParse(t, second)); err != nil {
		t.Error(err)
	}
	if err := ring.Load(second); err != nil || ring.Current() != id || ring.Sealed() || !ring.Retired() {
		t.Fatalf("after a rotation: %v, current %s, sealed %v", err, ring.Current(), ring.Sealed())
	}
	if err := ring.Load([]byte("{}")); err == nil || ring.Current() != id {
		t.Errorf("a damaged file changes the ring: %v", err)
	}
	fresh, changed, err := ring.Reseal(row, sealed)
	if err != nil || !changed || strings.Contains(string(fresh), "hunter2") || !strings.Contains(string(fresh), `"`+id+":") {
		t.Errorf("sealed anew: %s, %v, %v", fresh, changed, err)
	}
	if again, changed, err := ring.Reseal(row, fresh); err != nil || changed || !bytes.Equal(again, fresh) {
		t.Errorf("sealed anew twice: %v, %v", changed, err)
	}
	if _, _, err := ring.Reseal("another row", sealed); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("what was moved to another row: %v", err)
	}
	for _, e := range []shield.Endpoint{sealed, fresh} {
		if clear, err := ring.Reveal(row, e); err != nil || string(clear) != `{"host":"db","password":"hunter2"}` {
			t.Errorf("opened: %s, %v", clear, err)
		}
	}
	testSettle(t, second, now, fresh, sealed, row)
}

// testSettle checks when an old key goes.
func testSettle(t *testing.T, data []byte, now time.Time, fresh, sealed shield.Endpoint, row string) {
	early, dropped, err := keyring.Settle(data, now.Add(-time.Hour))
	if err != nil || len(dropped) != 0 || !mustParse(t, early).Sealed() || !mustParse(t, early).Retired() {
		t.Fatalf("within the hour: %v dropped, %v", dropped, err)
	}
	if again, _, err := keyring.Settle(early, now.Add(-time.Hour)); err != nil || !bytes.Equal(again, early) {
		t.Errorf("settling twice changes the file: %v", err)
	}
	late, dropped, err := keyring.Settle(early, now.Add(time.Hour))
	if err != nil || len(dropped) != 1 {
		t.Fatalf("after the hour: %v dropped, %v", dropped, err)
	}
	ring := mustParse(t, late)
	if _, err := ring.Reveal(row, fresh); err != nil || ring.Retired() || !ring.Sealed() {
		t.Errorf("with the new key alone: %v", err)
	}
	if _, err := ring.Reveal(row, sealed); err == nil {
		t.Error("the old key is still there")
	}
}
