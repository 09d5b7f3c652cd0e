package shield

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
)

// Meta is what every noun that users make has in common.
type Meta struct {
	UUID      string    `json:"uuid"`
	Name      string    `json:"name"`
	Summary   string    `json:"summary"`
	Version   int64     `json:"version"` // grows by one with each change; an update must present the current one, 0 skips the check
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func (m *Meta) validate() error {
	return FirstError(ValidateName("name", m.Name), ValidateText("summary", m.Summary))
}

// A Target is a data system to protect: a plugin, the endpoint that
// configures it, and the agent that reaches it.
type Target struct {
	Meta
	Plugin   string   `json:"plugin"`
	Endpoint Endpoint `json:"endpoint"`
	Agent    string   `json:"agent"` // empty: the daemon itself
	// MaxTasks bounds how many tasks work on it at once; 0: no limit of its
	// own. There is never more than one backup or restore.
	MaxTasks int `json:"max_tasks"`
	// Scratch says that it exists to be overwritten: a restore into it needs no
	// confirmation.
	Scratch bool `json:"scratch"`
}

// Validate checks everything but the endpoint's fields, which the plugin
// declares.
func (t *Target) Validate() error {
	return FirstError(t.validate(), validatePlugin(t.Plugin), t.Endpoint.Validate(), ValidateText("agent", t.Agent), validateMaxTasks(t.MaxTasks))
}

// A Store is a place where archives go: a plugin and its endpoint.
type Store struct {
	Meta
	Plugin   string   `json:"plugin"`
	Endpoint Endpoint `json:"endpoint"`
	Limit    Limit    `json:"limit"`
	// Agent reaches it; AgentDaemon: the daemon alone. Empty: the daemon, and
	// the agent of a target if the plugin needs nothing but the network.
	Agent string `json:"agent"`
	// MaxTasks bounds how many tasks work with it at once; 0: no limit of its
	// own.
	MaxTasks int `json:"max_tasks"`
}

// Validate checks everything but the endpoint's fields, which the plugin
// declares, and the time zone of the limit.
func (s *Store) Validate() error {
	return FirstError(s.validate(), validatePlugin(s.Plugin), s.Endpoint.Validate(), s.Limit.Validate(), ValidateText("agent", s.Agent), validateMaxTasks(s.MaxTasks))
}

// MostTasks is the largest limit of tasks that a target or store can have.
const MostTasks = 10_000

func validateMaxTasks(n int) error {
	if n < 0 || n > MostTasks {
		return FieldErrorf("max_tasks", "is %d: 1 to %d are allowed, or 0 for no limit of its own", n, MostTasks)
	}
	return nil
}

func validatePlugin(name string) error {
	if name == "" {
		return FieldErrorf("plugin", "is missing: the name of a plugin is wanted")
	}
	return ValidateName("plugin", name)
}

// A Module is one version of a sandboxed plugin that is installed.
type Module struct {
	Name        string          `json:"name"`   // of the plugin, by which targets and stores refer to it
	Digest      string          `json:"digest"` // "sha256:<hex>" of the module
	Version     string          `json:"version"`
	Info        json.RawMessage `json:"info"`
	Grant       json.RawMessage `json:"grant"`
	Bundled     bool            `json:"bundled"` // came with the program
	Current     bool            `json:"current"` // used for new backups
	InstalledAt time.Time       `json:"installed_at"`
}

// Validate checks name and digest.
func (m *Module) Validate() error {
	if hex, ok := strings.CutPrefix(m.Digest, "sha256:"); !ok || len(hex) != 64 {
		return FieldErrorf("digest", "%q is not a digest: sha256: and 64 hex digits are wanted", m.Digest)
	}
	return ValidateName("name", m.Name)
}

// EndpointLimit is the size, in bytes, of the largest endpoint.
const EndpointLimit = 1 << 20

// An Endpoint is the JSON object that configures a target or a store. Its
// fields are declared by the plugin. It may hold secrets, so its String is a
// placeholder and it is redacted before it leaves the daemon.
type Endpoint json.RawMessage

// ParseEndpoint returns the endpoint written in text, compacted. It returns
// Invalid, naming the place, unless text is exactly one JSON object without
// repeated keys.
func ParseEndpoint(text []byte) (Endpoint, error) {
	if len(text) > EndpointLimit {
		return nil, FieldErrorf("endpoint", "has %d bytes: at most %d are allowed", len(text), EndpointLimit)
	}
	if err := checkObject(text); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return nil, FieldErrorf("endpoint", "is not valid JSON: %v", err)
	}
	return Endpoint(b.Bytes()), nil
}

func checkObject(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	tok, err := d.Token()
	if err != nil {
		return syntaxError(text, err)
	}
	if tok != json.Delim('{') {
		return FieldErrorf("endpoint", "must be a JSON object like {\"base_dir\": \"/srv\"}")
	}
	seen := map[string]bool{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return syntaxError(text, err)
		}
		key, _ := tok.(string)
		if seen[key] {
			return FieldErrorf("endpoint", "has the key %q twice", key)
		}
		seen[key] = true
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return syntaxError(text, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return syntaxError(text, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return FieldErrorf("endpoint", "has text after its closing brace, at byte %d", d.InputOffset())
	}
	return nil
}

// syntaxError never quotes the text: it may hold a secret.
func syntaxError(text []byte, err error) error {
	var syn *json.SyntaxError
	if errors.As(err, &syn) {
		return FieldErrorf("endpoint", "is not valid JSON: %v, at byte %d of %d", syn, syn.Offset, len(text))
	}
	return FieldErrorf("endpoint", "is not valid JSON: it ends at byte %d, too early", len(text))
}

// Validate checks that e is one JSON object.
func (e Endpoint) Validate() error {
	if len(e) == 0 {
		return FieldErrorf("endpoint", "is missing: a JSON object is wanted, {} if the plugin needs nothing")
	}
	_, err := ParseEndpoint(e)
	return err
}

// Decode fills v, a pointer to a struct, from the endpoint.
func (e Endpoint) Decode(v any) error {
	if err := json.Unmarshal(e, v); err != nil {
		return FieldErrorf("endpoint", "%v", err)
	}
	return nil
}

// Fields returns the endpoint's fields by name.
func (e Endpoint) Fields() (map[string]any, error) {
	m := map[string]any{}
	if err := e.Decode(&m); err != nil {
		return nil, err
	}
	return m, nil
}

// String returns a placeholder, since an endpoint may hold secrets.
func (e Endpoint) String() string { return "endpoint{...}" }

// GoString returns a placeholder too, for %#v.
func (e Endpoint) GoString() string { return e.String() }

// MarshalJSON returns the endpoint as it is.
func (e Endpoint) MarshalJSON() ([]byte, error) {
	if len(e) == 0 {
		return []byte("{}"), nil
	}
	return e, nil
}

// UnmarshalJSON keeps a copy of b.
func (e *Endpoint) UnmarshalJSON(b []byte) error {
	*e = append((*e)[:0], b...)
	return nil
}
