package archive

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/shieldhq/shield"
)

// maxManifest bounds a manifest, sealed or not.
const maxManifest = 1 << 20

// signedPrefix keeps a signature of a manifest from being one of anything else.
const signedPrefix = "shield manifest v1\n"

// An envelope carries the exact bytes that were signed; []byte is base64.
type envelope struct {
	Manifest  []byte `json:"manifest"`
	PublicKey []byte `json:"public_key"`
	Signature []byte `json:"signature"`
}

func signed(manifest []byte) []byte { return append([]byte(signedPrefix), manifest...) }

// SealManifest signs the manifest with the key of the instance, and encrypts
// it to the recipients if there are any. It fails with Invalid when the
// manifest is not complete.
func SealManifest(m *Manifest, key ed25519.PrivateKey, recipients []age.Recipient) ([]byte, error) {
	data, err := m.encode()
	if err != nil {
		return nil, err
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, shield.FieldErrorf("key", "has %d bytes, an Ed25519 key has %d", len(key), ed25519.PrivateKeySize)
	}
	out, err := json.Marshal(envelope{
		Manifest:  data,
		PublicKey: key.Public().(ed25519.PublicKey),
		Signature: ed25519.Sign(key, signed(data)),
	})
	if err != nil {
		return nil, shield.Errorf(shield.Internal, "archive.SealManifest", "%w", err)
	}
	out, err = sealSmall(append(out, '\n'), recipients)
	if err == nil && len(out) > maxManifest {
		err = shield.Errorf(shield.Invalid, "archive.SealManifest", "manifest has %d bytes, at most %d are allowed", len(out), maxManifest)
	}
	return out, err
}

func sealSmall(data []byte, recipients []age.Recipient) ([]byte, error) {
	if len(recipients) == 0 {
		return data, nil
	}
	var buf bytes.Buffer
	w, err := age.Encrypt(&buf, recipients...)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, shield.Errorf(shield.Invalid, "archive.SealManifest", "seal to the recipients: %w", err)
	}
	return buf.Bytes(), nil
}

// OpenManifest decrypts a manifest if need be, and checks that one of the
// trusted keys signed it. Its errors have code Forbidden if somebody else did,
// Corrupt if nobody did or the bytes are damaged, Invalid if no identity opens
// it or it is of a later version. Without trusted keys nothing can be opened;
// to judge an unknown signer use InspectManifest.
func OpenManifest(data []byte, identities []age.Identity, trusted ...ed25519.PublicKey) (*Manifest, error) {
	m, signer, err := InspectManifest(data, identities)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(trusted, func(k ed25519.PublicKey) bool { return k.Equal(signer) }) {
		return nil, shield.Errorf(shield.Forbidden, "archive.OpenManifest", "manifest is signed by %x, which is not trusted", []byte(signer))
	}
	return m, nil
}

// InspectManifest is OpenManifest for who has no trusted keys yet, such as a
// rebuild of a lost catalog: it checks the signature and returns the key that
// made it. Anybody can make a manifest with a signature of their own, so the
// caller must decide whether the signer is to be believed.
func InspectManifest(data []byte, identities []age.Identity) (*Manifest, ed25519.PublicKey, error) {
	if len(data) > maxManifest {
		return nil, nil, manifestf("manifest has %d bytes, at most %d are accepted", len(data), maxManifest)
	}
	data, err := openSmall(data, identities)
	if err != nil {
		return nil, nil, err
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, nil, manifestf("envelope is not valid JSON: %v", err)
	}
	if len(e.PublicKey) != ed25519.PublicKeySize || !ed25519.Verify(e.PublicKey, signed(e.Manifest), e.Signature) {
		return nil, nil, manifestf("signature does not fit the manifest")
	}
	m, err := decodeManifest(e.Manifest)
	if err != nil {
		return nil, nil, err
	}
	return m, e.PublicKey, nil
}

func openSmall(data []byte, identities []age.Identity) ([]byte, error) {
	if !strings.HasPrefix(string(data[:min(len(data), len(ageIntro))]), ageIntro) {
		return data, nil
	}
	if len(identities) == 0 {
		return nil, shield.Errorf(shield.Invalid, "archive.OpenManifest", "an identity is needed to open this manifest")
	}
	r, err := age.Decrypt(bytes.NewReader(data), identities...)
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) {
		return nil, shield.Errorf(shield.Invalid, "archive.OpenManifest", "none of the identities opens this manifest")
	}
	if err == nil {
		data, err = io.ReadAll(r)
	}
	if err != nil {
		return nil, manifestf("decrypt: %v", err)
	}
	return data, nil
}
