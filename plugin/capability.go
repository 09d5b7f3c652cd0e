package plugin

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
)

// Capabilities are what a sandboxed plugin asks for in its info, or what a
// grant allows it: addresses, URLs, folders, commands and memory. Entries may
// hold {field} marks, which Resolve replaces by fields of the endpoint of a
// call, so that a call for one endpoint reaches that endpoint and nothing
// else.
type Capabilities struct {
	// TCP holds "host:port" entries. A field alone may also hold several of
	// them, separated by commas, or a URL. "*" is any host, or any port.
	TCP []string `json:"tcp,omitempty"`
	// HTTP holds URLs; what lies below the path of one is meant, too. The
	// host may be "*", or begin with "*.".
	HTTP []string `json:"http,omitempty"`
	// Read and Write hold absolute paths of folders. Writing includes reading.
	Read  []string `json:"read,omitempty"`
	Write []string `json:"write,omitempty"`
	// Own holds folders in which the plugin may also do what could outlive
	// the sandbox: set owners and set-uid bits, write extended attributes,
	// make device files and symlinks that lead out of the folder.
	Own []string `json:"own,omitempty"`
	// Exec holds logical names of commands. "{field}/name" is the program of
	// that name in the folder that a field of the endpoint names.
	Exec []string `json:"exec,omitempty"`
	// Memory is how many bytes a running plugin may have; 0 is for the
	// host's default.
	Memory Size `json:"memory,omitempty"`
}

// capabilitiesLimit bounds the entries of one list.
const capabilitiesLimit = 64

var commandName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// ParseCapabilities decodes and checks the capabilities of an info. Nothing
// is none; unknown keys are ignored, since what this host does not know it
// does not grant. Errors are PluginFailed.
func ParseCapabilities(raw json.RawMessage) (Capabilities, error) {
	var c Capabilities
	if len(raw) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, shield.Errorf(shield.PluginFailed, "info", "capabilities: not the JSON object that was wanted: %w", err)
	}
	if err := c.check(); err != nil {
		return c, shield.Errorf(shield.PluginFailed, "info", "capabilities: %w", err)
	}
	return c, nil
}

// check looks at what can be said without an endpoint.
func (c *Capabilities) check() error {
	for _, k := range c.kinds() {
		if len(*k.list) > capabilitiesLimit {
			return fmt.Errorf("%s has %d entries: at most %d are allowed", k.name, len(*k.list), capabilitiesLimit)
		}
		for _, entry := range *k.list {
			if err := k.check(entry); err != nil {
				return fmt.Errorf("%s: %q %w", k.name, entry, err)
			}
		}
	}
	if c.Memory < 0 {
		return fmt.Errorf("memory is %d: a number of bytes is wanted", c.Memory)
	}
	return nil
}

// A kind is one list of capabilities.
type kind struct {
	name  string
	list  *[]string
	check func(entry string) error
	words func(entry string) string
}

func (c *Capabilities) kinds() []kind {
	return []kind{
		{"tcp", &c.TCP, checkAddress, addressWords},
		{"http", &c.HTTP, checkURL, urlWords},
		{"read", &c.Read, checkFolder, folderWords("may read the folder ")},
		{"write", &c.Write, checkFolder, folderWords("may write in the folder ")},
		{"own", &c.Own, checkFolder, folderWords("may set owners, set-uid bits and extended attributes and make devices and links that lead elsewhere in the folder ")},
		{"exec", &c.Exec, checkCommand, commandWords},
	}
}

func checkAddress(entry string) error {
	if wholeField(entry) != "" {
		return nil
	}
	host, port := splitAddress(entry)
	if host == "" || port == "" {
		return fmt.Errorf(`is not an address: "host:port" is wanted, like "{host}:{port}"`)
	}
	return nil
}

func checkURL(entry string) error {
	if strings.HasPrefix(entry, "{") || strings.HasPrefix(entry, "http://") || strings.HasPrefix(entry, "https://") {
		return nil
	}
	return fmt.Errorf(`is not a URL: one like "{url}" or "https://{host}/{bucket}" is wanted`)
}

func checkFolder(entry string) error {
	if strings.HasPrefix(entry, "{") || path.IsAbs(entry) {
		return nil
	}
	return fmt.Errorf(`is not a folder: an absolute path is wanted, or a field like "{base_dir}"`)
}

func checkCommand(entry string) error {
	folder, name := path.Split(entry)
	if commandName.MatchString(name) && (folder == "" || wholeField(strings.TrimSuffix(folder, "/")) != "") {
		return nil
	}
	return fmt.Errorf(`is not the name of a command: letters, digits and "._+-" are wanted, and no path but a field, like "{bindir}/"`)
}

// Empty reports whether nothing is asked for.
func (c *Capabilities) Empty() bool {
	return c.Memory == 0 && !slices.ContainsFunc(c.kinds(), func(k kind) bool { return len(*k.list) > 0 })
}

// Diff returns what wanted has beyond have: what an upgrade asks for anew, or
// what a grant lacks.
func Diff(have, wanted Capabilities) Capabilities {
	var more Capabilities
	from, out := have.kinds(), more.kinds()
	for n, k := range wanted.kinds() {
		for _, entry := range *k.list {
			if !slices.Contains(*from[n].list, entry) {
				*out[n].list = append(*out[n].list, entry)
			}
		}
	}
	if wanted.Memory > have.Memory {
		more.Memory = wanted.Memory
	}
	return more
}

// Words says in plain English what the capabilities allow, an entry each.
func (c Capabilities) Words() []string {
	var words []string
	for _, k := range c.kinds() {
		for _, entry := range *k.list {
			words = append(words, k.words(entry))
		}
	}
	if c.Memory > 0 {
		words = append(words, "may use "+c.Memory.String()+" of memory")
	}
	return words
}

func addressWords(entry string) string {
	const verb = "may connect to "
	if f := wholeField(entry); f != "" {
		return verb + "the " + f + " of its endpoint"
	}
	host, port := splitAddress(entry)
	switch h, p := wholeField(host), wholeField(port); {
	case h != "" && p != "":
		return verb + "the " + h + " and " + p + " of its endpoint"
	case host == "*" && port == "*":
		return verb + "any address"
	case host == "*":
		return verb + "port " + quoteMarks(port) + " of any host"
	case h != "" && port == "*":
		return verb + "any port of the " + h + " of its endpoint"
	case h != "":
		return verb + "port " + quoteMarks(port) + " of the " + h + " of its endpoint"
	case port == "*":
		return verb + "any port of " + quoteMarks(host)
	}
	return verb + quoteMarks(entry)
}

func commandWords(entry string) string {
	folder, name := path.Split(entry)
	if f := wholeField(strings.TrimSuffix(folder, "/")); f != "" {
		return "may run " + name + " of the " + f + " of its endpoint"
	}
	return "may run " + entry
}

func urlWords(entry string) string {
	const verb = "may make HTTP requests to "
	if f := wholeField(entry); f != "" {
		return verb + "the " + f + " of its endpoint"
	}
	return verb + quoteMarks(entry)
}

func folderWords(verb string) func(string) string {
	return func(entry string) string {
		if f := wholeField(entry); f != "" {
			return verb + f + " of its endpoint"
		}
		return verb + quoteMarks(entry)
	}
}

// quoteMarks explains the marks of an entry that mixes them with text.
func quoteMarks(entry string) string {
	fields := marks(entry)
	switch len(fields) {
	case 0:
		return entry
	case 1:
		return fmt.Sprintf("%s (%s is a field of its endpoint)", entry, fields[0])
	}
	return fmt.Sprintf("%s (%s are fields of its endpoint)", entry, strings.Join(fields, ", "))
}
