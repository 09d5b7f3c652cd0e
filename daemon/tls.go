package daemon

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/shieldhq/shield"
)

// A certificate is that of the API, read from two files, and again when they
// change. New files that do not work leave the old ones in use.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	seen    [2]fileState // of the files that are in use
	failed  string       // what was wrong with others, once said
}

// A fileState tells whether a file has changed.
type fileState struct {
	modified time.Time
	size     int64
}

// openCertificate reads the files for the first time.
func openCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log}
	for flag, path := range map[string]string{"tls-cert": cert, "tls-key": key} {
		if _, err := os.Stat(path); err != nil {
			return nil, shield.FieldErrorf(flag, "%v", err)
		}
	}
	c.seen = c.look()
	var err error
	if c.current, err = c.read(); err != nil {
		return nil, shield.FieldErrorf("tls-cert", "%v", err)
	}
	if err := c.expired(c.current); err != nil { // no reason to make no backups
		log.Error("clients will refuse to speak to the API", "err", err)
	}
	if st, err := os.Stat(key); err == nil && st.Mode().Perm()&0o007 != 0 {
		log.Warn("the key of the API's certificate can be read by everybody on this host", "file", key, "mode", fmt.Sprintf("%04o", st.Mode().Perm()))
	}
	return c, nil
}

func (c *certificate) look() [2]fileState {
	var states [2]fileState
	for i, path := range []string{c.cert, c.key} {
		if st, err := os.Stat(path); err == nil { // one that is missing differs from what was there
			states[i] = fileState{st.ModTime(), st.Size()}
		}
	}
	return states
}

// read does not show what is in the files.
func (c *certificate) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate with its key: %w", c.cert, c.key, err)
	}
	return &pair, nil
}

func (c *certificate) expired(pair *tls.Certificate) error {
	if end := pair.Leaf.NotAfter; time.Now().After(end) {
		return fmt.Errorf("the certificate in %s expired at %s", c.cert, end.UTC().Format(time.RFC3339))
	}
	return nil
}

// refresh reads the files if they have changed, and returns the certificate
// that is in use.
func (c *certificate) refresh() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.look()
	if now == c.seen {
		return c.current
	}
	c.seen = now
	fresh, err := c.read()
	if err == nil {
		err = c.expired(fresh)
	}
	if err != nil {
		if c.failed != err.Error() {
			c.failed = err.Error()
			c.log.Error("the new certificate of the API cannot be used: the old one stays in use", "err", err, "until", c.current.Leaf.NotAfter)
		}
		c.seen = [2]fileState{} // mode, owner or clock may be put right
		return c.current
	}
	c.current, c.failed = fresh, ""
	c.log.Info("the API has a new certificate", "file", c.cert, "until", fresh.Leaf.NotAfter)
	return c.current
}

// refreshEvery is how often the files are looked at while nobody connects, so
// that the log tells early of what is wrong with them.
const refreshEvery = 10 * time.Second

// watch looks at the files until ctx is done.
func (c *certificate) watch(ctx context.Context) {
	t := time.NewTicker(refreshEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.refresh()
		case <-ctx.Done():
			return
		}
	}
}

// config looks at the files with every connection.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.refresh(), nil },
	}
}
