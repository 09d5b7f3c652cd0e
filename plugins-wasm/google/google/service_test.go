package google_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strconv"
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

func (s *service) insert(w http.ResponseWriter, r *http.Request, body []byte) {
	if s.denied(w, "storage.objects.create") {
		return
	}
	q := r.URL.Query()
	var meta map[string]any
	var content []byte
	if q.Get("uploadType") == "multipart" {
		_, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		parts := multipart.NewReader(strings.NewReader(string(body)), params["boundary"])
		first, err := parts.NextPart()
		if err != nil {
			refuse(w, 400, "badRequest", err.Error())
			return
		}
		_ = json.NewDecoder(first).Decode(&meta)
		second, err := parts.NextPart()
		if err == nil {
			content, err = io.ReadAll(second)
		}
		if err != nil {
			refuse(w, 400, "badRequest", err.Error())
			return
		}
	} else if json.Unmarshal(body, &meta) != nil {
		refuse(w, 400, "parseError", "Parse Error")
		return
	}
	if s.taken(w, q, meta["name"].(string)) {
		return
	}
	if q.Get("uploadType") == "resumable" {
		s.next++
		id := fmt.Sprintf("session-%d", s.next)
		s.sessions[id] = &session{meta: meta, query: q}
		w.Header().Set("Location", "http://elsewhere.invalid"+r.URL.EscapedPath()+"?uploadType=resumable&upload_id="+id)
		return
	}
	if want, _ := meta["crc32c"].(string); want != "" && want != crcText(content) {
		refuse(w, 400, "invalid", "Provided CRC32C \""+want+"\" doesn't match calculated CRC32C \""+crcText(content)+"\".")
		return
	}
	s.answer(w, s.store(meta, content))
}

func (s *service) taken(w http.ResponseWriter, q url.Values, name string) bool {
	if q.Get("ifGenerationMatch") == "0" && s.objects[name] != nil {
		refuse(w, 412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
		return true
	}
	return false
}

func crcText(b []byte) string {
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

func (s *service) store(meta map[string]any, content []byte) *stored {
	s.next++
	name := meta["name"].(string)
	if before := s.objects[name]; before != nil && s.versions {
		s.old = append(s.old, before)
	}
	o := &stored{meta: meta, content: content, name: name, generation: s.next}
	s.objects[name] = o
	return o
}

func (s *service) answer(w http.ResponseWriter, o *stored) {
	m := map[string]any{
		"kind": "storage#object", "name": o.name, "size": strconv.Itoa(len(o.content)), "generation": strconv.FormatInt(o.generation, 10),
		"crc32c": crcText(o.content), "updated": time.Now().UTC().Format(time.RFC3339Nano),
	}
	for _, k := range []string{"metadata", "retention", "temporaryHold", "eventBasedHold", "storageClass"} {
		if v, ok := o.meta[k]; ok {
			m[k] = v
		}
	}
	if !s.policyUntil.IsZero() {
		m["retentionExpirationTime"] = s.policyUntil.Format(time.RFC3339Nano)
	}
	_ = json.NewEncoder(w).Encode(m)
}

// chunk takes what comes to a session.
func (s *service) chunk(w http.ResponseWriter, r *http.Request, id string, body []byte) {
	x := s.sessions[id]
	if x == nil {
		refuse(w, 404, "notFound", "")
		return
	}
	if x.made != nil && r.Method == http.MethodPut {
		s.answer(w, x.made)
		return
	}
	if r.Method == http.MethodDelete {
		delete(s.sessions, id)
		s.canceled++
		w.WriteHeader(499)
		return
	}
	span, totalText, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes "), "/")
	total := int64(-1)
	if totalText != "*" {
		total, _ = strconv.ParseInt(totalText, 10, 64)
	}
	if span != "*" {
		var from, to int64
		if _, err := fmt.Sscanf(span, "%d-%d", &from, &to); err != nil || to-from+1 != int64(len(body)) || from > int64(len(x.got)) {
			refuse(w, 400, "badRequest", "Invalid request.  According to the Content-Range header, the upload offset is wrong.")
			return
		}
		if total < 0 && len(body)%(256<<10) != 0 {
			refuse(w, 400, "badRequest", "Chunks have to be multiples of 256 KiB.")
			return
		}
		body = body[int64(len(x.got))-from:]
		if s.sessionCap > 0 && int64(len(body)) > s.sessionCap {
			body = body[:s.sessionCap]
		}
		x.got = append(x.got, body...)
	}
	if total < 0 || int64(len(x.got)) < total {
		if len(x.got) > 0 {
			w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", len(x.got)-1))
		}
		w.WriteHeader(308)
		return
	}
	if s.taken(w, x.query, x.meta["name"].(string)) {
		return
	}
	x.made, x.got = s.store(x.meta, x.got), nil
	s.answer(w, x.made)
}

func (s *service) find(name, generation string) *stored {
	o := s.objects[name]
	if generation == "" || o != nil && strconv.FormatInt(o.generation, 10) == generation {
		return o
	}
	for _, o := range s.old {
		if o.name == name && strconv.FormatInt(o.generation, 10) == generation {
			return o
		}
	}
	return nil
}

func (s *service) get(w http.ResponseWriter, r *http.Request, name string) {
	if s.denied(w, "storage.objects.get") {
		return
	}
	q := r.URL.Query()
	o := s.find(name, q.Get("generation"))
	if o == nil {
		refuse(w, 404, "notFound", "No such object: "+bucket+"/"+name)
		return
	}
	if q.Get("alt") != "media" {
		s.answer(w, o)
		return
	}
	w.Header().Set("X-Goog-Generation", strconv.FormatInt(o.generation, 10))
	w.Header().Set("X-Goog-Hash", "crc32c="+crcText(o.content)+",md5=AAAA")
	content, status := o.content, 200
	if text := r.Header.Get("Range"); text != "" {
		from, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(text, "bytes="), "-"))
		if err != nil || from >= len(content) {
			w.WriteHeader(416)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		content, status = content[from:], 206
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(status)
	_, _ = w.Write(content)
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	if s.denied(w, "storage.objects.list") {
		return
	}
	q := r.URL.Query()
	var names []string
	for name := range s.objects {
		if strings.HasPrefix(name, q.Get("prefix")) && name > q.Get("pageToken") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	answer := map[string]any{"kind": "storage#objects"}
	if len(names) > 2 {
		names = names[:2]
		answer["nextPageToken"] = names[1]
	}
	var items []map[string]string
	for _, name := range names {
		items = append(items, map[string]string{"name": name, "size": strconv.Itoa(len(s.objects[name].content)), "updated": time.Now().UTC().Format(time.RFC3339Nano)})
	}
	answer["items"] = items
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *service) remove(w http.ResponseWriter, r *http.Request, name string) {
	if s.denied(w, "storage.objects.delete") {
		return
	}
	generation := r.URL.Query().Get("generation")
	o := s.find(name, generation)
	if o == nil {
		refuse(w, 404, "notFound", "No such object: "+bucket+"/"+name)
		return
	}
	if time.Now().Before(s.policyUntil) {
		refuse(w, 403, "retentionPolicyNotMet", "Object '"+bucket+"/"+name+"' is subject to bucket's retention policy.")
		return
	}
	if s.objects[name] == o {
		delete(s.objects, name)
	}
	if generation == "" && s.versions {
		s.old = append(s.old, o)
	} else {
		for n := range s.old {
			if s.old[n] == o {
				s.old = append(s.old[:n], s.old[n+1:]...)
				break
			}
		}
	}
	w.WriteHeader(204)
}

func (s *service) patch(w http.ResponseWriter, name string, body []byte) {
	if s.denied(w, "storage.objects.setRetention") {
		return
	}
	o := s.objects[name]
	if o == nil {
		refuse(w, 404, "notFound", "No such object: "+bucket+"/"+name)
		return
	}
	if s.noRetention {
		refuse(w, 400, "invalid", "Object retention is not enabled on the bucket.")
		return
	}
	var change map[string]any
	_ = json.Unmarshal(body, &change)
	for k, v := range change {
		o.meta[k] = v
	}
	s.answer(w, o)
}

// names returns those of all objects.
func (s *service) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.objects {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// left returns all that there is: objects, generations that are not live, and
// sessions that have bytes. One whose first answer was lost has none, and
// nobody can end it.
func (s *service) left() []string {
	list := s.names()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.old {
		list = append(list, "old "+o.name)
	}
	for _, x := range s.sessions {
		if len(x.got) > 0 {
			list = append(list, fmt.Sprintf("session of %v", x.meta["name"]))
		}
	}
	return list
}
