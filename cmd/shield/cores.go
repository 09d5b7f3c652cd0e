package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/durable"
	"github.com/shieldhq/shield/server"
)

// defaultAPI is where a daemon is that nothing is said of.
const defaultAPI = "http://127.0.0.1:7643"

// A core is a daemon that this user works with.
type core struct {
	API       string `yaml:"api"`
	CA        string `yaml:"ca,omitempty"`         // file
	Token     string `yaml:"token,omitempty"`      // left by login
	TokenFile string `yaml:"token-file,omitempty"` // or where it is
}

// cores is the configuration file of shield.
type cores struct {
	Current string           `yaml:"current,omitempty"`
	Cores   map[string]*core `yaml:"cores,omitempty"`

	path string
}

// configPath is where the configuration is unless the user says otherwise.
func configPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", shield.FieldErrorf("config", "is missing: %v", err)
	}
	return filepath.Join(dir, "shield", "config.yaml"), nil
}

// loadCores reads the configuration; one that is not there is empty. It holds
// tokens, so that nobody else may read it.
func loadCores(path string) (*cores, error) {
	c := &cores{path: path, Cores: map[string]*core{}}
	if path == "" {
		var err error
		if c.path, err = configPath(); err != nil {
			return c, nil // no home: no configuration, which is fine unless it is to be written
		}
	}
	st, err := os.Stat(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, shield.FieldErrorf("config", "%v", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, shield.FieldErrorf("config", "%s can be used by others (mode %04o) and may hold tokens: set it to 0600", c.path, st.Mode().Perm())
	}
	text, err := os.ReadFile(c.path)
	if err != nil {
		return nil, shield.FieldErrorf("config", "%v", err)
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(c); err != nil && len(bytes.TrimSpace(text)) > 0 {
		// The text is not shown: it has tokens.
		return nil, shield.FieldErrorf("config", "%s is not valid: %s", c.path, yaml.FormatError(err, false, false))
	}
	return c, c.check()
}

func (c *cores) check() error {
	for name, core := range c.Cores {
		if core == nil || core.API == "" {
			return shield.FieldErrorf("config", "%s says nothing of where core %.100q is: api is wanted", c.path, name)
		}
	}
	if c.Current != "" && c.Cores[c.Current] == nil {
		return shield.FieldErrorf("config", "%s names the current core %.100q, which it does not have", c.path, c.Current)
	}
	if c.Cores == nil {
		c.Cores = map[string]*core{}
	}
	return nil
}

// save writes the configuration whole or not at all.
func (c *cores) save() error {
	if c.path == "" {
		_, err := configPath()
		return err
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	dir := filepath.Dir(c.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return shield.FieldErrorf("config", "%v", err)
	}
	if err := durable.WriteFile(c.path, text, nil); err != nil {
		return shield.FieldErrorf("config", "%v", err)
	}
	return nil
}

// find returns the core called name.
func (c *cores) find(name string) (*core, error) {
	if found := c.Cores[name]; found != nil {
		return found, nil
	}
	known := "none is"
	if len(c.Cores) > 0 {
		known = strings.Join(slices.Sorted(maps.Keys(c.Cores)), ", ") + " are"
	}
	return nil, shield.Errorf(shield.NotFound, "", "there is no core %.100q in %s: %s", name, c.path, known)
}

// at returns the name of the core at an address.
func (c *cores) at(api string) string {
	for _, name := range slices.Sorted(maps.Keys(c.Cores)) {
		if sameAddress(c.Cores[name].API, api) {
			return name
		}
	}
	return ""
}

func sameAddress(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }

// A place is the daemon that a command speaks to, with what is known of it.
type place struct {
	name   string // of its core; empty: it is none
	chosen bool   // by that name, and not by its address
	core
}

// place finds the daemon: --core or --api, then SHIELD_CORE or SHIELD_API, then
// the current core. The token of a core is for that core's address only.
func (c *cli) place(all *cores, given map[string]bool) (place, error) {
	if given["core"] && given["api"] {
		return place{}, shield.FieldErrorf("core", "and --api are both given: one of them is wanted")
	}
	api, name := c.API, c.Core
	switch {
	case given["api"]:
		name = ""
	case given["core"]:
		api = ""
	case name != "" && api != "":
		return place{}, shield.FieldErrorf("core", "and the address are both set, by SHIELD_CORE and SHIELD_API: one of them is wanted")
	}
	if name == "" && api == "" {
		name = all.Current
	}
	if name != "" {
		found, err := all.find(name)
		if err != nil {
			return place{}, err
		}
		return place{name, true, *found}, nil
	}
	api = cmp.Or(api, defaultAPI)
	if name = all.at(api); name != "" {
		return place{name, false, *all.Cores[name]}, nil
	}
	return place{core: core{API: api}}, nil
}

// client returns a client of the daemon at a place.
func (p *place) client() (*server.Client, error) {
	token := p.Token
	if token == "" && p.TokenFile != "" {
		text, err := os.ReadFile(p.TokenFile)
		if err != nil {
			return nil, shield.FieldErrorf("token-file", "%v", err)
		}
		token = strings.TrimSpace(string(text))
	}
	client, err := server.NewClient(p.API, shield.Secret(token))
	if err != nil || p.CA == "" {
		return client, err
	}
	text, err := os.ReadFile(p.CA)
	if err != nil {
		return nil, shield.FieldErrorf("ca", "%v", err)
	}
	return client, client.Trust(text)
}

type coreCmd struct {
	Add    addCore    `cmd:"" help:"Add a core to the configuration, or change it."`
	Use    useCore    `cmd:"" help:"Make a core the one that is spoken to."`
	List   listCores  `cmd:"" help:"List the cores."`
	Remove removeCore `cmd:"" help:"Forget a core."`
}

type addCore struct {
	Name string `arg:"" help:"What to call it."`
	URL  string `arg:"" help:"Address of the daemon, like https://backup.example.com:7643." name:"url"`
}

// Run adds a core, with --ca and --token-file if they are given. The first one
// becomes the current one.
func (c *addCore) Run(e *env) error {
	if err := shield.ValidateName("name", c.Name); err != nil {
		return err
	}
	added := &core{API: c.URL}
	var err error
	if added.CA, err = absolute("ca", e.flags.CA); err != nil {
		return err
	}
	if e.given["token-file"] {
		if added.TokenFile, err = absolute("token-file", e.flags.TokenFile); err != nil {
			return err
		}
	}
	if old := e.cores.Cores[c.Name]; old != nil && sameAddress(old.API, c.URL) && added.TokenFile == "" {
		added.Token, added.TokenFile = old.Token, old.TokenFile
	}
	if _, err := (&place{core: core{API: c.URL, CA: added.CA}}).client(); err != nil {
		return err
	}
	e.cores.Cores[c.Name] = added
	e.cores.Current = cmp.Or(e.cores.Current, c.Name)
	if err := e.cores.save(); err != nil || e.json {
		return err
	}
	_, err = fmt.Fprintf(e.out, "added core %s at %s\n", plain(c.Name), plain(c.URL))
	return err
}

// absolute makes the path of a file good for later commands.
func absolute(field, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	if _, err := os.Stat(path); err != nil {
		return "", shield.FieldErrorf(field, "%v", err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", shield.FieldErrorf(field, "%v", err)
	}
	return abs, nil
}

type useCore struct {
	Name string `arg:"" help:"Its name."`
}

func (c *useCore) Run(e *env) error {
	found, err := e.cores.find(c.Name)
	if err != nil {
		return err
	}
	e.cores.Current = c.Name
	if err := e.cores.save(); err != nil || e.json {
		return err
	}
	_, err = fmt.Fprintf(e.out, "using core %s at %s\n", plain(c.Name), plain(found.API))
	return err
}

type removeCore struct {
	Name string `arg:"" help:"Its name."`
}

func (c *removeCore) Run(e *env) error {
	if _, err := e.cores.find(c.Name); err != nil {
		return err
	}
	delete(e.cores.Cores, c.Name)
	if e.cores.Current == c.Name {
		e.cores.Current = ""
	}
	if err := e.cores.save(); err != nil || e.json {
		return err
	}
	_, err := fmt.Fprintf(e.out, "removed core %s\n", plain(c.Name))
	return err
}

type listCores struct{}

// A listedCore is a core as it is shown: without its token.
type listedCore struct {
	Name    string `json:"name"`
	API     string `json:"api"`
	CA      string `json:"ca"`
	Current bool   `json:"current"`
	Token   bool   `json:"token"` // whether there is one
}

func (c *listCores) Run(e *env) error {
	all := []*listedCore{}
	for _, name := range slices.Sorted(maps.Keys(e.cores.Cores)) {
		one := e.cores.Cores[name]
		all = append(all, &listedCore{name, one.API, one.CA, name == e.cores.Current, one.Token != "" || one.TokenFile != ""})
	}
	return printList(e, all, coreView, "cores: shield core add --help tells how to add one")
}

var coreView = view[listedCore]{
	kind: "core", columns: []string{"name", "api", "current", "token"},
	row: func(c *listedCore) []string { return []string{c.Name, c.API, yes(c.Current), yes(c.Token)} },
}
