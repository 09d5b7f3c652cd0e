package daemon

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/durable"
	"github.com/shieldhq/shield/internal/keyring"
)

// Files of the data folder. All are readable by their owner only.
const (
	identityFile = "identity.txt" // age identities, as age-keygen writes them
	signingFile  = "signing.pem"  // Ed25519 key that signs manifests
	keyringFile  = "keyring.json" // seals secrets in the catalog
	tokenFile    = "admin-token"
	catalogFile  = "catalog.db"
	lockFile     = "lock"
	pluginsDir   = "plugins" // modules, by digest
	cacheDir     = "cache"   // compiled modules: native code, so nobody else may write there
)

// keys are the daemon's own.
type keys struct {
	identities []age.Identity
	recipients []age.Recipient
	names      []string
	signing    ed25519.PrivateKey
	ring       *keyring.Keyring
	token      shield.Secret
	newToken   bool
}

// openKeys reads the keys of a data folder and makes those that are missing,
// which is all of them at first start. To make a new identity while there is
// a catalog would lose every archive, so that is refused.
func openKeys(c *Config) (*keys, error) {
	k := &keys{}
	first := !exists(filepath.Join(c.Data, catalogFile))
	steps := []struct {
		file     string
		generate func() ([]byte, error)
		parse    func([]byte) error
	}{
		{identityFile, newIdentity, k.parseIdentity},
		{signingFile, newSigningKey, k.parseSigningKey},
		{keyringFile, keyring.Generate, k.parseKeyring},
		{tokenFile, newToken, k.parseToken},
	}
	for _, s := range steps {
		path := filepath.Join(c.Data, s.file)
		made, err := ensure(path, s.generate, first || s.file == tokenFile)
		if err != nil {
			return nil, err
		}
		k.newToken = k.newToken || (made && s.file == tokenFile)
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("a key cannot be read: %w", err)
		}
		if err := s.parse(data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return k, k.addRecipients(c.Recipients)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// ensure makes a key file, durably, if it is not there and may be made.
func ensure(path string, generate func() ([]byte, error), may bool) (bool, error) {
	if exists(path) {
		return false, checkMode(path)
	}
	if !may {
		return false, fmt.Errorf("%s is missing though there is a catalog: put it back from a copy; a new one could not open what the old one sealed", path)
	}
	data, err := generate()
	if err != nil {
		return false, err
	}
	return true, durable.WriteFile(path, data, nil)
}

// checkMode refuses a key that others can read.
func checkMode(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o): set it to 0600", path, st.Mode().Perm())
	}
	return nil
}

// replaceDurably writes a file of mode 0600 that goes on belonging to whom it
// belongs to.
func replaceDurably(path string, data []byte) error {
	return durable.WriteFile(path, data, func(name string) error { return keepOwner(name, path) })
}

// keepOwner gives a file to the owner of another one. For who is not allowed to
// give files away they are the same.
func keepOwner(path, like string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(like, &st); err != nil {
		return err
	}
	return os.Chown(path, int(st.Uid), int(st.Gid))
}

func newIdentity() ([]byte, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "# created: %s\n# public key: %s\n%s\n", time.Now().UTC().Format(time.RFC3339), id.Recipient(), id), nil
}

func (k *keys) parseIdentity(data []byte) error {
	ids, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil {
		return err
	}
	k.identities = ids
	for _, id := range ids {
		if x, ok := id.(*age.X25519Identity); ok {
			k.recipients = append(k.recipients, x.Recipient())
			k.names = append(k.names, x.Recipient().String())
		}
	}
	if len(k.recipients) == 0 {
		return errors.New("there is no X25519 identity in it")
	}
	return nil
}

func (k *keys) addRecipients(texts []string) error {
	for _, text := range texts {
		r, err := age.ParseX25519Recipient(strings.TrimSpace(text))
		if err != nil {
			return shield.FieldErrorf("recipients", "%q is not an age public key (age1...): %v", text, err)
		}
		k.recipients = append(k.recipients, r)
		k.names = append(k.names, r.String())
	}
	return nil
}

func newSigningKey() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func (k *keys) parseSigningKey(data []byte) error {
	b, _ := pem.Decode(data)
	if b == nil {
		return errors.New("this is no PEM file")
	}
	key, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return err
	}
	var ok bool
	if k.signing, ok = key.(ed25519.PrivateKey); !ok {
		return fmt.Errorf("the key is a %T: Ed25519 is wanted", key)
	}
	return nil
}

func (k *keys) parseKeyring(data []byte) (err error) {
	k.ring, err = keyring.Parse(data)
	return err
}

// newToken makes a token of at least 128 random bits.
func newToken() ([]byte, error) { return []byte("shield_" + rand.Text() + "\n"), nil }

func (k *keys) parseToken(data []byte) error {
	k.token = shield.Secret(strings.TrimSpace(string(data)))
	if len(k.token) < 20 {
		return errors.New("the token has fewer than 20 characters: delete the file to get a new one")
	}
	return nil
}
