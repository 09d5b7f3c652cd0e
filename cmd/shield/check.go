package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/nativeplugins"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/wasmhost"
)

// checkPlugin runs the conformance suite on a plugin that need not be
// installed anywhere. It needs no daemon.
type checkPlugin struct {
	File            string `arg:"" help:"The plugin: a .wasm module, an executable, or the name of one that comes with shield and is run as an executable." placeholder:"FILE|NAME"`
	Endpoint        string `help:"Endpoint of a target or store to use in all roles of the plugin; what is there may be overwritten." placeholder:"JSON|@FILE|-"`
	TargetEndpoint  string `help:"Endpoint of a target that holds something to back up." placeholder:"JSON|@FILE|-"`
	RestoreEndpoint string `help:"Endpoint of a target to restore to; none: the one that was backed up." placeholder:"JSON|@FILE|-"`
	StoreEndpoint   string `help:"Endpoint of a store; keys below plugintest/ are used." placeholder:"JSON|@FILE|-"`
	Grant           string `help:"What a module may do; none: all that it asks for." placeholder:"JSON|@FILE|-"`
	Big             bool   `help:"Move a blob of 1 GiB, too."`
}

// Run prints a table of what passed, and fails unless all did.
func (c *checkPlugin) Run(e *env) error {
	dir, err := os.MkdirTemp("", "shield-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o, done, err := c.open(e, dir)
	if err != nil {
		return err
	}
	defer done()
	info, err := o.Info(e.ctx)
	if err != nil {
		return err
	}
	cfg, err := c.config(e, &info)
	if err != nil {
		return err
	}
	return e.results(plugintest.Check(e.ctx, o, cfg))
}

// open opens a module in the sandbox, and anything else as an executable.
func (c *checkPlugin) open(e *env, dir string) (plugin.Opener, func(), error) {
	native, err := nativeplugins.Open()
	if err != nil {
		return nil, nil, err
	}
	if o, ok := native[c.File]; ok {
		return o, func() {}, nil
	}
	module, err := os.ReadFile(c.File)
	if err != nil {
		return nil, nil, shield.FieldErrorf("file", "%v", err)
	}
	if string(module[:min(4, len(module))]) != "\x00asm" {
		path, err := filepath.Abs(c.File)
		if err != nil {
			return nil, nil, err
		}
		o, err := exec.Open(path, nil)
		return o, func() {}, err
	}
	host, err := wasmhost.New(e.ctx, &wasmhost.Options{CacheDir: filepath.Join(dir, "cache")})
	if err != nil {
		return nil, nil, err
	}
	done := func() { _ = host.Close() } // nothing of it is kept
	grant, err := c.grant(e, host, module)
	if err != nil {
		done()
		return nil, nil, err
	}
	o, err := host.Open(e.ctx, module, grant)
	return o, done, err
}

// grant is the one that was given, or of all that the module asks for.
func (c *checkPlugin) grant(e *env, host *wasmhost.Host, module []byte) (plugin.Grant, error) {
	if c.Grant != "" {
		text, err := e.endpoint(c.Grant)
		if err != nil {
			return plugin.Grant{}, err
		}
		return plugin.ParseGrant(text)
	}
	o, err := host.Open(context.WithoutCancel(e.ctx), module, plugin.Grant{})
	if err != nil {
		return plugin.Grant{}, err
	}
	info, err := o.Info(e.ctx)
	if err != nil {
		return plugin.Grant{}, err
	}
	needs, err := plugin.ParseCapabilities(info.Capabilities)
	return plugin.GrantFor(needs), err
}

func (c *checkPlugin) config(e *env, info *plugin.Info) (plugintest.Config, error) {
	cfg := plugintest.Config{Big: c.Big}
	for _, f := range []struct {
		text string
		role plugin.Role
		into *shield.Endpoint
	}{
		{c.Endpoint, plugin.RoleTarget, &cfg.TargetEndpoint}, {c.TargetEndpoint, plugin.RoleTarget, &cfg.TargetEndpoint},
		{c.RestoreEndpoint, plugin.RoleTarget, &cfg.RestoreEndpoint},
		{c.Endpoint, plugin.RoleStore, &cfg.StoreEndpoint}, {c.StoreEndpoint, plugin.RoleStore, &cfg.StoreEndpoint},
	} {
		if f.text == "" || !info.Has(f.role) {
			continue
		}
		ep, err := e.endpoint(f.text)
		if err != nil {
			return cfg, err
		}
		*f.into = ep
	}
	return cfg, nil
}

// results prints the outcome of each check.
func (e *env) results(results []plugintest.Result) error {
	failed := 0
	all := make([]shield.Check, 0, len(results))
	for _, r := range results {
		c := shield.Check{Name: r.Name, Passed: r.Err == nil, Seconds: r.Took.Seconds()}
		if r.Err != nil {
			failed++
			c.Error = r.Err.Error()
		}
		all = append(all, c)
	}
	show := func() error { return e.checks(all) }
	if e.json {
		show = func() error { return e.printJSON(all) }
	}
	if err := show(); err != nil {
		return err
	}
	if failed > 0 {
		return shield.Errorf(shield.PluginFailed, "", "%d of %d checks failed", failed, len(results))
	}
	return nil
}

// checks prints a table of checks.
func (e *env) checks(all []shield.Check) error {
	rows := make([][]string, 0, len(all))
	for _, c := range all {
		verdict := "passed"
		if !c.Passed {
			verdict = "FAILED: " + c.Error
		}
		rows = append(rows, []string{c.Name, fmt.Sprintf("%.2f s", c.Seconds), verdict})
	}
	return table(e.out, []string{"check", "took", "result"}, rows)
}
