package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/shieldhq/shield"
)

// A Role is what a plugin can be used as.
type Role string

// The roles. RoleBoth is for fields that serve either.
const (
	RoleTarget Role = "target"
	RoleStore  Role = "store"
	RoleBoth   Role = "both"
)

// RoleError says that a plugin cannot be used in a role.
func RoleError(name string, r Role) error {
	return &shield.Error{Code: shield.Invalid, Field: "plugin", Message: fmt.Sprintf("%s cannot be used as a %s", name, r)}
}

// An Action is one call of the calling protocol.
type Action string

// The actions. The first six are the original protocol's; a plugin declares
// which of the others it has.
const (
	ActionInfo     Action = "info"
	ActionBackup   Action = "backup"
	ActionRestore  Action = "restore"
	ActionStore    Action = "store"
	ActionRetrieve Action = "retrieve"
	ActionPurge    Action = "purge"
	ActionValidate Action = "validate"
	ActionTest     Action = "test"
	ActionList     Action = "list"
	ActionProbe    Action = "probe"
	ActionInspect  Action = "inspect"
)

// Features says which roles a plugin has, as "yes" or "no".
type Features struct {
	Target string `json:"target"`
	Store  string `json:"store"`
}

// A Delivery is how an executable plugin wants its endpoint.
type Delivery string

// The deliveries. The first is the original protocol's and public on the
// host, since every process list shows it.
const (
	DeliverArgv Delivery = "argv" // --endpoint JSON
	DeliverFD   Delivery = "fd"   // JSON on file descriptor 3
	DeliverEnv  Delivery = "env"  // JSON in SHIELD_ENDPOINT
)

// Streams is which streams a store wants.
type Streams string

// StreamsRaw is for a store that keeps what its blobs have in common only once:
// compressed or encrypted, they have nothing in common. It gets raw streams
// from jobs that neither encrypt nor name a compression.
const StreamsRaw Streams = "raw"

// Info is how a plugin describes itself.
type Info struct {
	Name         string          `json:"name"`
	Author       string          `json:"author"`
	Version      string          `json:"version"`
	Summary      string          `json:"summary,omitempty"`
	Features     Features        `json:"features"`
	Fields       []Field         `json:"fields,omitempty"`
	Actions      []Action        `json:"actions,omitempty"` // optional actions that it has
	Endpoint     Delivery        `json:"endpoint,omitempty"`
	Capabilities json.RawMessage `json:"capabilities,omitempty"`
	// Naming says that the store action honours --name.
	Naming bool `json:"naming,omitempty"`
	// SlowProbe says that probing a target takes about as long as a backup:
	// shield then asks only when it is told to, and not before each backup.
	SlowProbe bool `json:"slow_probe,omitempty"`
	// RestoresStopped says that a target whose endpoint has these values in
	// these fields is restored while its system is stopped, whatever the
	// endpoint if there are none: whether it answers then says nothing.
	RestoresStopped map[string]string `json:"restores_stopped,omitzero"`
	// Keeping says that the store action honours --until.
	Keeping bool `json:"keeping,omitempty"`
	// Streams says which streams the store wants, sealed ones if it is empty.
	Streams Streams `json:"streams,omitempty"`
	// Digest is "sha256:<hex>" of the code that answered, set by the host.
	Digest string `json:"digest,omitempty"`
	// Runs is how the host runs the plugin, set by the host.
	Runs Carrier `json:"runs,omitempty"`
}

// A Carrier is how a host runs a plugin. Empty is for one that is compiled in
// and runs as a part of the host itself.
type Carrier string

// The carriers.
const (
	CarrierSandbox    Carrier = "sandbox"    // a WebAssembly module, held to its grant
	CarrierExecutable Carrier = "executable" // a process that may do what its user may
)

// Words says in plain English how a plugin is run, and whether anything holds
// it to what it asks for.
func (c Carrier) Words() string {
	switch c {
	case CarrierSandbox:
		return "sandboxed"
	case CarrierExecutable:
		return "executable, not sandboxed"
	}
	return "compiled in, not sandboxed"
}

// InfoLimit is the size, in bytes, of the largest info answer.
const InfoLimit = 64 << 10

// Has reports whether the plugin has a role.
func (i *Info) Has(r Role) bool {
	switch r {
	case RoleTarget:
		return i.Features.Target == "yes"
	case RoleStore:
		return i.Features.Store == "yes"
	}
	return false
}

// Can reports whether the plugin has an optional action.
func (i *Info) Can(a Action) bool { return slices.Contains(i.Actions, a) }

// ParseInfo decodes and checks what a plugin answered to info. Unknown keys
// are ignored, so that plugins may be newer than their host.
func ParseInfo(data []byte) (Info, error) {
	var i Info
	if len(data) > InfoLimit {
		return i, shield.Errorf(shield.PluginFailed, "info", "the answer has %d bytes: at most %d are allowed", len(data), InfoLimit)
	}
	if err := json.Unmarshal(data, &i); err != nil {
		return i, shield.Errorf(shield.PluginFailed, "info", "the answer is not the JSON object that was wanted: %w", err)
	}
	for n := range i.Fields {
		if t, ok := originalTypes[i.Fields[n].Type]; ok {
			i.Fields[n].Type = t
		}
	}
	i.Capabilities = compact(i.Capabilities)
	return i, i.Check()
}

// originalTypes maps the types of the original protocol that have another
// name here. A wslist is a list separated by white space. It is never written
// to.
var originalTypes = map[Type]Type{
	"pem-x509":   TypePEM,
	"pem-rsa-pk": TypePEM,
	"wslist":     TypeString,
}

// compact drops the white space of JSON that was decoded before.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// Check reports what is wrong with an info.
func (i *Info) Check() error {
	bad := func(format string, args ...any) error {
		return shield.Errorf(shield.PluginFailed, "info", format, args...)
	}
	if err := shield.ValidateName("name", i.Name); err != nil {
		return bad("%w", err)
	}
	for _, f := range []struct{ name, value string }{{"target", i.Features.Target}, {"store", i.Features.Store}} {
		if f.value != "yes" && f.value != "no" {
			return bad(`features.%s is %q: "yes" or "no" is wanted`, f.name, f.value)
		}
	}
	if !i.Has(RoleTarget) && !i.Has(RoleStore) {
		return bad("the plugin is neither a target nor a store")
	}
	switch i.Endpoint {
	case "", DeliverArgv, DeliverFD, DeliverEnv:
	default:
		return bad(`endpoint is %q: "argv", "fd" or "env" is wanted`, i.Endpoint)
	}
	if i.Streams != "" && i.Streams != StreamsRaw {
		return bad(`streams is %q: "raw" is wanted, or nothing`, i.Streams)
	}
	seen := map[string]bool{}
	for n := range i.Fields {
		f := &i.Fields[n]
		if err := f.check(); err != nil {
			return bad("fields[%d]: %w", n, err)
		}
		for _, r := range f.roles() {
			if seen[string(r)+f.Name] {
				return bad("fields[%d]: %q is declared twice for a %s", n, f.Name, r)
			}
			seen[string(r)+f.Name] = true
		}
	}
	for name := range i.RestoresStopped {
		if !seen[string(RoleTarget)+name] {
			return bad("restores_stopped has %.64q, which is no field of a target", name)
		}
	}
	return nil
}

// A Type is the type of a field.
type Type string

// The types of fields.
const (
	TypeString   Type = "string"
	TypeText     Type = "text"
	TypeBool     Type = "bool"
	TypeEnum     Type = "enum"
	TypeInteger  Type = "integer"
	TypePort     Type = "port"
	TypeDuration Type = "duration"
	TypeBytes    Type = "bytes"
	TypeAbsPath  Type = "abspath"
	TypeURL      Type = "url"
	TypePassword Type = "password"
	TypePEM      Type = "pem"
)

// A Field is one key of an endpoint. Fields drive validation, prompts, forms
// and redaction.
type Field struct {
	Mode        Role     `json:"mode"` // target, store or both
	Name        string   `json:"name"`
	Type        Type     `json:"type"`
	Title       string   `json:"title,omitempty"`
	Help        string   `json:"help,omitempty"`
	Example     string   `json:"example,omitempty"`
	Placeholder string   `json:"placeholder,omitempty"`
	Default     string   `json:"default,omitempty"`
	Required    bool     `json:"required,omitempty"`
	Secret      bool     `json:"secret,omitempty"`
	Enum        []string `json:"enum,omitempty"`
}

// IsSecret reports whether the field's value must never be shown.
func (f *Field) IsSecret() bool {
	return f.Secret || f.Type == TypePassword || f.Type == TypePEM
}

func (f *Field) roles() []Role {
	if f.Mode == RoleBoth {
		return []Role{RoleTarget, RoleStore}
	}
	return []Role{f.Mode}
}

// Of returns the fields of a role, in their order.
func (i *Info) Of(r Role) []*Field {
	var all []*Field
	for n := range i.Fields {
		if f := &i.Fields[n]; f.serves(r) {
			all = append(all, f)
		}
	}
	return all
}

func (f *Field) serves(r Role) bool { return slices.Contains(f.roles(), r) }

var fieldName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

func (f *Field) check() error {
	if !fieldName.MatchString(f.Name) {
		return fmt.Errorf("name is %q: a letter and up to 63 letters, digits, '_' or '-' are wanted", f.Name)
	}
	switch f.Mode {
	case RoleTarget, RoleStore, RoleBoth:
	default:
		return fmt.Errorf("%s: mode is %q: target, store or both is wanted", f.Name, f.Mode)
	}
	if _, ok := parsers[f.Type]; !ok {
		return fmt.Errorf("%s: type %q is unknown", f.Name, f.Type)
	}
	if f.Type == TypeEnum && len(f.Enum) == 0 {
		return fmt.Errorf("%s: an enum needs its values", f.Name)
	}
	if f.Default != "" {
		if _, err := parsers[f.Type](f, f.Default); err != nil {
			return fmt.Errorf("%s: default: %w", f.Name, err)
		}
	}
	return nil
}
