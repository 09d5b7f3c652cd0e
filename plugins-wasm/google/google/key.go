package google

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"
)

// A serviceAccount is what the JSON key of one says.
type serviceAccount struct {
	Type         string `json:"type"`
	ClientEmail  string `json:"client_email"`
	PrivateKeyID string `json:"private_key_id"`
	PrivateKey   string `json:"private_key"`
	TokenURI     string `json:"token_uri"`

	key *rsa.PrivateKey
}

// parseKey does not quote the text in its errors: it has a private key.
func parseKey(text, tokenURL string) (*serviceAccount, error) {
	const field = "json_key"
	var a serviceAccount
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return nil, invalid(field, `is not JSON: the whole text of a key file is wanted, beginning with {"type": "service_account"`)
	}
	if a.Type != "service_account" {
		return nil, invalid(field, `has the type %q: the key of a service account is wanted, with the type "service_account"`, a.Type)
	}
	if a.ClientEmail == "" {
		return nil, invalid(field, "has no client_email")
	}
	block, _ := pem.Decode([]byte(a.PrivateKey))
	if block == nil {
		return nil, invalid(field, "has no private_key in PEM form")
	}
	a.PrivateKey = ""
	if a.key = parsePrivateKey(block.Bytes); a.key == nil {
		return nil, invalid(field, "has a private_key that is no RSA key")
	}
	if a.TokenURI != "" && a.TokenURI != tokenURL {
		return nil, invalid("token_url", "is %q: the key names %s, which has to stand here, too, since this field says what the plugin may reach", tokenURL, a.TokenURI)
	}
	a.TokenURI = tokenURL
	return &a, nil
}

func parsePrivateKey(der []byte) *rsa.PrivateKey {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		rsaKey, _ := key.(*rsa.PrivateKey)
		return rsaKey
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		return nil
	}
	return key
}

// scope is what tokens may be used for at the most; what the account may do is
// for its roles to say. Retention is not in the narrower scopes.
const scope = "https://www.googleapis.com/auth/devstorage.full_control"

// tokenLife is for how long a token is asked: the longest that there is.
const tokenLife = time.Hour

// assertion returns a signed statement that gets a token.
// https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests
func (a *serviceAccount) assertion(now time.Time) (string, error) {
	head, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": a.PrivateKeyID})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": a.ClientEmail, "scope": scope, "aud": a.TokenURI, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	text := encodeSegment(head) + "." + encodeSegment(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + encodeSegment(signature), nil
}

func encodeSegment(b []byte) string {
	return strings.TrimRight(base64.URLEncoding.EncodeToString(b), "=")
}
