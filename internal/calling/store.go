package calling

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/able"
	"github.com/shieldhq/shield/plugin"
)

const (
	answerLimit = 64 << 10 // of what store prints
	lineLimit   = 16 << 10 // of one line that list prints
	keyLimit    = 1 << 10
)

type store struct{ s *Session }

var _ plugin.Store = (*store)(nil)

// Put copies r to the plugin's standard input and returns what it printed.
// An error of r is returned as it is.
func (s *store) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	return s.put(ctx, key, Request{Action: plugin.ActionStore, Input: r})
}

// keeper is put into the store where info says keeping.
type keeper struct{ s *store }

// PutUntil is Put with the flag --until.
func (k keeper) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	return k.s.put(ctx, key, Request{Action: plugin.ActionStore, Input: r, Until: until})
}

func (s *store) put(ctx context.Context, key string, request Request) (plugin.Stored, error) {
	if s.s.Info.Naming && key != "" {
		if err := checkKey(key); err != nil {
			return plugin.Stored{}, shield.FieldErrorf("key", "%v", err)
		}
		request.Name = key
	}
	c, err := s.s.start(ctx, request)
	if err != nil {
		return plugin.Stored{}, err
	}
	defer func() { _ = c.Close() }()
	text, err := ReadAll(c, answerLimit)
	if err != nil {
		return plugin.Stored{}, err
	}
	stored, err := parseAnswer(text)
	if err != nil {
		return plugin.Stored{}, shield.Errorf(shield.PluginFailed, c.Op(), "%w", err)
	}
	return stored, nil
}

// Get waits for the first byte of the blob, or for the plugin's end, so that
// NotFound is its own error and not that of the first Read. The context
// governs the reader too. Close before the end stops the plugin.
func (s *store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, shield.FieldErrorf("key", "%v", err)
	}
	c, err := s.s.start(ctx, Request{Action: plugin.ActionRetrieve, Key: key})
	if err != nil {
		return nil, err
	}
	b := &blob{Call: c, ahead: make([]byte, 4<<10)}
	n, err := c.Read(b.ahead)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	b.ahead = b.ahead[:n]
	return b, nil
}

// A blob is the output of a plugin, of which some was read ahead.
type blob struct {
	Call
	ahead []byte
}

func (b *blob) Read(p []byte) (int, error) {
	if len(b.ahead) == 0 {
		return b.Call.Read(p)
	}
	n := copy(p, b.ahead)
	b.ahead = b.ahead[n:]
	return n, nil
}

// Delete runs the action purge. A key that is not there is not an error.
func (s *store) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return shield.FieldErrorf("key", "%v", err)
	}
	err := s.s.run(ctx, Request{Action: plugin.ActionPurge, Key: key})
	if errors.Is(err, shield.NotFound) {
		return nil
	}
	return err
}

type lister struct{ s *Session }

// List calls yield while the plugin still runs; how the plugin ended is part
// of List's error.
func (l lister) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	c, err := l.s.start(ctx, Request{Action: plugin.ActionList, Prefix: prefix, Listing: true})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	lines := bufio.NewScanner(c)
	lines.Buffer(make([]byte, 0, 4<<10), lineLimit)
	for lines.Scan() {
		o, err := parseObject(lines.Bytes(), prefix)
		if err != nil {
			return shield.Errorf(shield.PluginFailed, c.Op(), "%w", err)
		}
		if o == nil {
			continue
		}
		if err := yield(*o); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return shield.Errorf(shield.PluginFailed, c.Op(), "a line has more than %d bytes", lineLimit)
	}
	return lines.Err()
}

// parseObject returns nil for an empty line.
func parseObject(line []byte, prefix string) (*plugin.Object, error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil, nil
	}
	var o plugin.Object
	if err := json.Unmarshal(line, &o); err != nil {
		return nil, fmt.Errorf(`a line is not the JSON object {"key", "size", "modified_at"} that was wanted: %w`, err)
	}
	if err := checkKey(o.Key); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(o.Key, prefix) {
		return nil, fmt.Errorf("the key %q was listed: only keys beginning with %q were wanted", o.Key, prefix)
	}
	return &o, nil
}

var digestForm = regexp.MustCompile(`^(blake3|sha256):[0-9a-f]{64}$`)

func parseAnswer(text []byte) (plugin.Stored, error) {
	var a struct {
		Key         string `json:"key"`
		Size        *int64 `json:"size"`
		ArchiveSize *int64 `json:"archive_size"`
		Digest      string `json:"digest"`
	}
	stored := plugin.Stored{Size: -1}
	if len(bytes.TrimSpace(text)) == 0 {
		return stored, errors.New(`nothing was printed: {"key": ...} was wanted`)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return stored, fmt.Errorf(`what was printed is not the JSON object {"key": ...} that was wanted: %w`, err)
	}
	if err := checkKey(a.Key); err != nil {
		return stored, err
	}
	if a.Digest != "" && !digestForm.MatchString(a.Digest) {
		return stored, fmt.Errorf(`digest is %.80q: "blake3:" or "sha256:" and 64 hexadecimal digits are wanted`, a.Digest)
	}
	stored.Key, stored.Digest = a.Key, a.Digest
	for _, size := range []*int64{a.ArchiveSize, a.Size} {
		if size == nil {
			continue
		}
		if *size < 0 {
			return stored, fmt.Errorf("size is %d: a number of bytes is wanted", *size)
		}
		stored.Size = *size
	}
	return stored, nil
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("the key is empty")
	case len(key) > keyLimit:
		return fmt.Errorf("the key has %d bytes: at most %d are allowed", len(key), keyLimit)
	case !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("the key %q has control characters or is not valid UTF-8", key)
	}
	return nil
}

// Store returns the store with exactly the abilities that info declares.
func (s *Session) Store() plugin.Store {
	st := &store{s}
	var a able.StoreAbilities
	if s.Info.Can(plugin.ActionList) {
		a.Lister = lister{s}
	}
	if s.Info.Keeping {
		a.Keeper = keeper{st}
	}
	if s.Info.Can(plugin.ActionTest) {
		a.Tester = tester{s}
	}
	if s.Info.Can(plugin.ActionValidate) {
		a.Validator = validator{s}
	}
	return able.Store(st, a)
}
