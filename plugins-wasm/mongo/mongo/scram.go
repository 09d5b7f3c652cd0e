package mongo

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"strconv"
	"strings"

	"github.com/shieldhq/shield/plugin/pdk"
)

// The ways of logging in with a password.
const (
	scramSHA256 = "SCRAM-SHA-256"
	scramSHA1   = "SCRAM-SHA-1"
)

// A scram is one login by SCRAM (RFC 5802, RFC 7677).
type scram struct {
	hash     func() hash.Hash
	name     string // of the hash
	password string
	first    string // of our first message, what is signed
	nonce    string
	server   []byte // the signature that the server has to give
}

func newScram(mechanism, user, password string) *scram {
	s := &scram{hash: sha256.New, name: "sha256", password: password, nonce: rand.Text()}
	if mechanism == scramSHA1 {
		sum := md5.Sum([]byte(user + ":mongo:" + password))
		s.hash, s.name, s.password = sha1.New, "sha1", hex.EncodeToString(sum[:])
	}
	s.first = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user) + ",r=" + s.nonce
	return s
}

// begin returns our first message.
func (s *scram) begin() []byte { return []byte("n,," + s.first) }

// answer returns our second message.
func (s *scram) answer(challenge []byte) ([]byte, error) {
	parts := attributes(string(challenge))
	salt, err := base64.StdEncoding.DecodeString(parts["s"])
	rounds, bad := strconv.Atoi(parts["i"])
	if err != nil || bad != nil || rounds < 1 || rounds > pdk.KeyRounds || !strings.HasPrefix(parts["r"], s.nonce) {
		return nil, errors.New("the server's challenge is malformed")
	}
	salted, err := pdk.DeriveKey(s.name, s.password, salt, rounds)
	if err != nil {
		return nil, err
	}
	final := "c=biws,r=" + parts["r"]
	message := s.first + "," + string(challenge) + "," + final
	key := s.mac(salted, "Client Key")
	stored := s.hash()
	stored.Write(key)
	proof := make([]byte, len(key))
	subtle.XORBytes(proof, key, s.mac(stored.Sum(nil), message))
	s.server = s.mac(s.mac(salted, "Server Key"), message)
	return []byte(final + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// verify checks that the server knows the password, too.
func (s *scram) verify(last []byte) error {
	signature, err := base64.StdEncoding.DecodeString(attributes(string(last))["v"])
	if err != nil || !hmac.Equal(signature, s.server) {
		return errors.New("the server does not prove that it knows the password")
	}
	return nil
}

func (s *scram) mac(key []byte, message string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}

func attributes(message string) map[string]string {
	m := map[string]string{}
	for part := range strings.SplitSeq(message, ",") {
		name, value, _ := strings.Cut(part, "=")
		m[name] = value
	}
	return m
}
