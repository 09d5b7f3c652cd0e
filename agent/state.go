package agent

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/durable"
	"github.com/shieldhq/shield/internal/pki"
)

// Files of an agent's folder, all readable by their owner only.
const (
	keyFile       = "agent.key"
	certFile      = "agent.crt"
	authorityFile = "daemon-ca.crt"
	tokenFile     = "joined-with"
	tasksDir      = "tasks"
	lockName      = "lock"
)

// A state is an agent's folder: its key, its certificate, and what it has to
// tell of tasks.
type state struct {
	dir string

	mu        sync.RWMutex
	pair      *tls.Certificate // nil before it has joined
	authority *x509.Certificate
}

func openState(dir string) (*state, error) {
	s := &state{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, tasksDir), 0o700); err != nil {
		return nil, fmt.Errorf("the agent's folder cannot be made: %w", err)
	}
	key, err := os.ReadFile(s.path(keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	cert, err := os.ReadFile(s.path(certFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil // it began to join
	}
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(s.path(authorityFile))
	if err != nil {
		return nil, err
	}
	return s, s.use(key, cert, ca)
}

func (s *state) path(name string) string { return filepath.Join(s.dir, name) }

func (s *state) use(key, cert, ca []byte) error {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path(certFile), err)
	}
	block, _ := pem.Decode(ca)
	if block == nil {
		return fmt.Errorf("%s is no PEM file", s.path(authorityFile))
	}
	authority, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path(authorityFile), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pair, s.authority = &pair, authority
	return nil
}

// joined returns the certificate and the daemon's authority, nil before.
func (s *state) joined() (*tls.Certificate, *x509.Certificate) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.pair, s.authority
}

// request returns a request for a certificate of the agent's key, which is
// made, and kept, if there is none.
func (s *state) request() ([]byte, error) {
	data, err := os.ReadFile(s.path(keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		key, err := pki.NewKey()
		if err != nil {
			return nil, err
		}
		if data, err = pki.EncodeKey(key); err != nil {
			return nil, err
		}
		if err := durable.WriteFile(s.path(keyFile), data, nil); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	return requestOf(data)
}

// keep stores a certificate. The authority's is nil when it is renewed.
func (s *state) keep(cert, authority []byte) error {
	certPEM := pki.EncodeCertificate(cert)
	if authority != nil {
		if err := durable.WriteFile(s.path(authorityFile), pki.EncodeCertificate(authority), nil); err != nil {
			return err
		}
	}
	if err := durable.WriteFile(s.path(certFile), certPEM, nil); err != nil {
		return err
	}
	key, err := os.ReadFile(s.path(keyFile))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(s.path(authorityFile))
	if err != nil {
		return err
	}
	return s.use(key, certPEM, ca)
}

// joinWith notes the digest of the token that the agent has joined with.
func (s *state) joinWith(digest string) error {
	return durable.WriteFile(s.path(tokenFile), []byte(digest+"\n"), nil)
}

func (s *state) joinedWith() string {
	b, _ := os.ReadFile(s.path(tokenFile)) // none: it has joined with none
	return strings.TrimSpace(string(b))
}

// A record is what is kept of a task until the daemon has its result.
type record struct {
	Held
	Result *Result `json:"result,omitempty"`
}

func (s *state) recordPath(h *Held) string {
	return filepath.Join(s.dir, tasksDir, h.UUID+"-"+strconv.FormatInt(h.Epoch, 10)+".json")
}

func (s *state) record(r *record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.WriteFile(s.recordPath(&r.Held), data, nil)
}

func (s *state) drop(h *Held) error { return os.Remove(s.recordPath(h)) }

// records returns what an earlier process has left.
func (s *state) records() ([]*record, error) {
	dir := filepath.Join(s.dir, tasksDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []*record
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !strings.HasSuffix(e.Name(), ".json") {
			_ = os.Remove(path) // one that was not whole
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r := &record{}
		if err := json.Unmarshal(data, r); err != nil || !shield.IsUUID(r.UUID) {
			return nil, fmt.Errorf("%s is damaged: remove it if the daemon has ended its task", path)
		}
		all = append(all, r)
	}
	return all, nil
}
