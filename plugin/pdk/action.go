package pdk

import (
	"context"
	"encoding/json"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// actions is never written to.
var actions = map[plugin.Action]func(context.Context, *call) error{
	plugin.ActionBackup:   backup,
	plugin.ActionRestore:  restore,
	plugin.ActionStore:    store,
	plugin.ActionRetrieve: retrieve,
	plugin.ActionPurge:    purge,
	plugin.ActionList:     list,
	plugin.ActionTest:     test,
	plugin.ActionValidate: validate,
	plugin.ActionProbe:    probe,
	plugin.ActionInspect:  inspect,
}

func backup(ctx context.Context, c *call) error {
	t, err := c.opener.OpenTarget(ctx, c.endpoint, c.log)
	if err != nil {
		return err
	}
	return shield.FirstError(t.Backup(ctx, c.stdout), c.stdout.err)
}

func restore(ctx context.Context, c *call) error {
	t, err := c.opener.OpenTarget(ctx, c.endpoint, c.log)
	if err != nil {
		return err
	}
	if err := t.Restore(ctx, c.stdin); err != nil {
		return err // and nobody waits for input that may never come
	}
	return c.stdin.complete()
}

// An answer is what store prints. The original protocol called the size
// archive_size.
type answer struct {
	Key         string `json:"key"`
	Size        *int64 `json:"size,omitempty"`
	ArchiveSize *int64 `json:"archive_size,omitempty"`
	Digest      string `json:"digest,omitempty"`
}

func store(ctx context.Context, c *call) error {
	s, err := c.opener.OpenStore(ctx, c.endpoint, c.log)
	if err != nil {
		return err
	}
	stored, err := c.put(ctx, s)
	if err != nil {
		return err // and nobody waits for input that may never come
	}
	if err := c.stdin.complete(); err != nil {
		return err
	}
	a := answer{Key: stored.Key, Digest: stored.Digest}
	if stored.Size >= 0 {
		a.Size, a.ArchiveSize = &stored.Size, &stored.Size
	}
	return json.NewEncoder(c.stdout).Encode(a)
}

// put stores standard input, until a time if one was given.
func (c *call) put(ctx context.Context, s plugin.Store) (plugin.Stored, error) {
	if c.until.IsZero() {
		return s.Put(ctx, c.name, c.stdin)
	}
	k, ok := s.(plugin.Keeper)
	if !ok {
		return plugin.Stored{}, exitErrorf(exitUnsupported, "%s cannot keep a blob until a time", c.info.Name)
	}
	return k.PutUntil(ctx, c.name, c.stdin, c.until)
}

func retrieve(ctx context.Context, c *call) error {
	s, err := c.opener.OpenStore(ctx, c.endpoint, c.log)
	if err != nil {
		return err
	}
	r, err := s.Get(ctx, c.key)
	if err != nil {
		return err
	}
	return shield.FirstError(c.stdout.copyFrom(r), r.Close())
}

func purge(ctx context.Context, c *call) error {
	s, err := c.opener.OpenStore(ctx, c.endpoint, c.log)
	if err != nil {
		return err
	}
	return s.Delete(ctx, c.key)
}

func list(ctx context.Context, c *call) error {
	s, err := c.opener.OpenStore(ctx, c.endpoint, c.log)
	if err != nil {
		return err
	}
	l, ok := s.(plugin.Lister)
	if !ok {
		return c.unsupported()
	}
	e := json.NewEncoder(c.stdout)
	return l.List(ctx, c.prefix, func(o plugin.Object) error { return e.Encode(o) })
}

func test(ctx context.Context, c *call) error {
	v, err := c.open(ctx)
	if err != nil {
		return err
	}
	t, ok := v.(plugin.Tester)
	if !ok {
		return c.unsupported()
	}
	return t.Test(ctx)
}

func validate(ctx context.Context, c *call) error {
	v, err := c.open(ctx)
	if err != nil {
		return err
	}
	if v, ok := v.(plugin.Validator); ok {
		return v.Validate(ctx)
	}
	return nil // the fields were checked already, and there are no rules beyond them
}

func probe(ctx context.Context, c *call) error {
	t, err := c.opener.OpenTarget(ctx, c.endpoint, c.log)
	if err != nil {
		return err
	}
	p, ok := t.(plugin.Prober)
	if !ok {
		return c.unsupported()
	}
	answer, err := p.Probe(ctx)
	if err != nil {
		return err
	}
	return c.printProbe(answer)
}

func inspect(ctx context.Context, c *call) error {
	t, err := c.opener.OpenTarget(ctx, c.endpoint, c.log)
	if err != nil {
		return err
	}
	i, ok := t.(plugin.Inspector)
	if !ok {
		return c.unsupported()
	}
	answer, err := i.Inspect(ctx, c.stdin)
	if err := shield.FirstError(err, c.stdin.complete()); err != nil {
		return err
	}
	return c.printProbe(answer)
}

func (c *call) printProbe(p plugin.Probe) error {
	if err := p.Check(); err != nil {
		return shield.Errorf(shield.PluginFailed, "", "%w", err)
	}
	return json.NewEncoder(c.stdout).Encode(p)
}

// open opens the target or the store, as the role says.
func (c *call) open(ctx context.Context) (any, error) {
	if c.role == plugin.RoleTarget {
		return c.opener.OpenTarget(ctx, c.endpoint, c.log)
	}
	return c.opener.OpenStore(ctx, c.endpoint, c.log)
}

func (c *call) unsupported() error {
	return exitErrorf(exitUnsupported, "%s cannot %s as a %s", c.info.Name, c.action, c.role)
}
