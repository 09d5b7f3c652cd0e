package google_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// service behaves as the documentation of Cloud Storage says, where the
// emulator does not: tokens, resumable uploads with their status and
// cancellation, retention, holds, versions.
type service struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu       sync.Mutex
	objects  map[string]*stored // live ones
	old      []*stored          // generations that are not live
	sessions map[string]*session
	canceled int // sessions
	tokens   map[string]bool
	issued   int
	next     int64

	versions    bool      // the bucket keeps them
	noRetention bool      // the bucket has no object retention
	policyUntil time.Time // retention of the bucket
	deny        map[string]bool
	sessionCap  int64 // how much a PUT to a session takes at the most
}

type stored struct {
	meta       map[string]any
	content    []byte
	name       string
	generation int64
}

type session struct {
	meta  map[string]any
	query url.Values
	got   []byte
	made  *stored // once it is complete
}

const bucket = "test-bucket"

func newService(t testing.TB) *service {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	s := &service{
		key: key, objects: map[string]*stored{}, sessions: map[string]*session{}, tokens: map[string]bool{}, deny: map[string]bool{},
		next: 1000,
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// rsaKey is one for all: making one takes long.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// jsonKey returns a key file for the service account.
func (s *service) jsonKey(t testing.TB, tokenURL string) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "shield@test.iam.gserviceaccount.com", "private_key_id": "k1", "token_uri": tokenURL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The body first: a request that breaks off does nothing.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	base := "/storage/v1/b/" + bucket + "/o"
	path := r.URL.EscapedPath()
	if path == "/token" {
		s.token(w, r, body)
		return
	}
	if id := r.URL.Query().Get("upload_id"); id != "" && path == "/upload"+base {
		s.chunk(w, r, id, body)
		return
	}
	if !s.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] {
		refuse(w, 401, "authError", "Invalid Credentials")
		return
	}
	if !strings.HasPrefix(strings.TrimPrefix(path, "/upload"), base) {
		refuse(w, 404, "notFound", "The specified bucket does not exist.")
		return
	}
	name, err := url.PathUnescape(strings.TrimPrefix(strings.TrimPrefix(path, base), "/"))
	if err != nil {
		refuse(w, 400, "invalid", err.Error())
		return
	}
	switch {
	case strings.HasPrefix(path, "/upload"):
		s.insert(w, r, body)
	case path == base:
		s.list(w, r)
	case r.Method == http.MethodGet:
		s.get(w, r, name)
	case r.Method == http.MethodDelete:
		s.remove(w, r, name)
	case r.Method == http.MethodPatch:
		s.patch(w, name, body)
	default:
		refuse(w, 405, "methodNotAllowed", "")
	}
}

func refuse(w http.ResponseWriter, status int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": status, "message": message, "errors": []map[string]string{{"reason": reason, "message": message}},
	}})
}

// denied answers as the service does to who lacks a permission.
func (s *service) denied(w http.ResponseWriter, permission string) bool {
	if s.deny[permission] {
		refuse(w, 403, "forbidden", "shield@test.iam.gserviceaccount.com does not have "+permission+" access to the Google Cloud Storage object.")
	}
	return s.deny[permission]
}

// token checks the signature of a JWT.
func (s *service) token(w http.ResponseWriter, r *http.Request, body []byte) {
	bad := func(text string) {
		w.WriteHeader(400)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant", "error_description": text})
	}
	form, _ := url.ParseQuery(string(body))
	parts := strings.Split(form.Get("assertion"), ".")
	if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(parts) != 3 {
		bad("no assertion")
		return
	}
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		bad("Invalid JWT Signature.")
		return
	}
	var claims struct {
		Iss, Scope, Aud string
		Iat, Exp        int64
	}
	text, _ := base64.RawURLEncoding.DecodeString(parts[1])
	_ = json.Unmarshal(text, &claims)
	now := time.Now().Unix()
	if claims.Iss != "shield@test.iam.gserviceaccount.com" || claims.Iat > now+300 || claims.Exp < now || claims.Exp-claims.Iat > 3600 {
		bad("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.")
		return
	}
	if want := "http://" + r.Host + "/token"; claims.Aud != want || claims.Scope == "" {
		bad("Invalid JWT: aud is " + claims.Aud + ", not " + want)
		return
	}
	s.issued++
	value := fmt.Sprintf("token-%d", s.issued)
	s.tokens[value] = true
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": value, "expires_in": 3600, "token_type": "Bearer"})
}

// expire makes all tokens bad.
func (s *service) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}
