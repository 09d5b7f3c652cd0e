//go:build linux

package restic_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	//lint:ignore SA1019 restic's format has it
	"golang.org/x/crypto/poly1305"
	"golang.org/x/crypto/scrypt"
)

// cheapen replaces the key of a repository by one for the same password that
// costs next to nothing to derive. restic takes half a second for each run,
// which is right for secrets, and most of the time of these tests.
//
// https://restic.readthedocs.io/en/stable/100_references.html#keys-encryption-and-mac
func cheapen(t testing.TB, repository string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(repository, "keys", "*"))
	must(t, err)
	old, err := os.ReadFile(names[0])
	must(t, err)
	var k map[string]any
	must(t, json.Unmarshal(old, &k))
	var parts struct {
		N, R, P    int
		Salt, Data []byte
	}
	must(t, json.Unmarshal(old, &parts))
	derived, err := scrypt.Key([]byte(password), parts.Salt, parts.N, parts.R, parts.P, 64)
	must(t, err)
	iv, sealed := parts.Data[:16], parts.Data[16:len(parts.Data)-16]
	master := make([]byte, len(sealed))
	stream(t, derived, iv).XORKeyStream(master, sealed)
	if derived, err = scrypt.Key([]byte(password), parts.Salt, 2, 1, 1, 64); err != nil {
		t.Fatal(err)
	}
	iv = make([]byte, 16)
	_, _ = rand.Read(iv) // never fails
	data := append(iv, make([]byte, len(master))...)
	stream(t, derived, iv).XORKeyStream(data[16:], master)
	k["N"], k["r"], k["p"], k["data"] = 2, 1, 1, append(data, mac(t, derived, iv, data[16:])...)
	text, err := json.Marshal(k)
	must(t, err)
	sum := sha256.Sum256(text)
	must(t, os.WriteFile(filepath.Join(repository, "keys", hex.EncodeToString(sum[:])), text, 0o600), os.Remove(names[0]))
}

func stream(t testing.TB, key, iv []byte) cipher.Stream {
	t.Helper()
	b, err := aes.NewCipher(key[:32])
	must(t, err)
	return cipher.NewCTR(b, iv)
}

// mac is Poly1305-AES: k is the key of AES, r that of Poly1305.
func mac(t testing.TB, key, nonce, message []byte) []byte {
	t.Helper()
	b, err := aes.NewCipher(key[32:48])
	must(t, err)
	var one [32]byte
	copy(one[:], key[48:64])
	b.Encrypt(one[16:], nonce)
	var out [16]byte
	poly1305.Sum(&out, message, &one)
	return out[:]
}
