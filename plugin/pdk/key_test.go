package pdk_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/shieldhq/shield/plugin/pdk"
)

// TestDeriveKey has the vectors of RFC 6070 and of RFC 7914.
func TestDeriveKey(t *testing.T) {
	for _, c := range []struct {
		hash, password, salt string
		iterations           int
		want                 string
	}{
		{"sha1", "password", "salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"},
		{"sha1", "password", "salt", 4096, "4b007901b765489abead49d926f721d065a429c1"},
		{"sha256", "passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"},
	} {
		got, err := pdk.DeriveKey(c.hash, c.password, []byte(c.salt), c.iterations)
		if err != nil || hex.EncodeToString(got) != c.want {
			t.Errorf("%s, %d iterations: got %x, %v; want %s", c.hash, c.iterations, got, err, c.want)
		}
	}
	for _, n := range []int{-1, 0, pdk.KeyRounds + 1} {
		if _, err := pdk.DeriveKey("sha256", "x", nil, n); err == nil {
			t.Errorf("%d iterations were done", n)
		}
	}
	if _, err := pdk.DeriveKey("md5", "x", nil, 1); err == nil || !strings.Contains(err.Error(), "md5") {
		t.Error(err)
	}
}
