package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// dryRun looks at what a restore needs, and restores nothing.
func (c *call) dryRun(ctx context.Context) (shield.TaskResult, error) {
	_, _, found, err := c.preflight(ctx)
	return shield.TaskResult{Findings: &shield.Findings{Preflight: found}}, err
}

// preflight opens both sides of a restore and looks, before a byte moves,
// whether they have what it needs. Its error is that of the first finding that
// failed; all are looked at before.
func (c *call) preflight(ctx context.Context) (plugin.Target, plugin.Store, []shield.Finding, error) {
	var found []shield.Finding
	add := func(f shield.Finding) {
		c.logf("%s", f)
		c.transfer.activity.Add(1) // it did not hang
		found = append(found, f)
	}
	target, info, err := c.openTarget(ctx)
	if err != nil {
		add(shield.FoundError(shield.CheckPlugin, shield.FindingFailed, err))
	} else {
		add(c.pluginFinding(&info))
		add(c.targetFinding(ctx, target, &info))
		add(c.spaceFinding())
	}
	store, _, err := c.openStore(ctx)
	if err == nil {
		add(c.storeFinding(ctx, store))
	} else {
		add(shield.FoundError(shield.CheckStore, shield.FindingFailed, err))
	}
	if err := stopped(ctx); err != nil {
		return nil, nil, found, err
	}
	return target, store, found, shield.Refusal(found)
}

// pluginFinding compares the version of the plugin that restores with the one
// that made the archive. The very module that made it reads it, and so does one
// of the same major version.
func (c *call) pluginFinding(info *plugin.Info) shield.Finding {
	a, name := c.task.Expected, c.task.TargetPlugin
	switch {
	case a == nil || a.PluginVersion == "":
		return shield.Found(shield.CheckPlugin, shield.FindingSkipped, "which version of %s made the archive is not known: version %s is used", name, info.Version)
	case a.PluginDigest != "" && a.PluginDigest == info.Digest:
		return shield.Found(shield.CheckPlugin, shield.FindingOK, "%s %s made the archive, and that very version (%s) restores it", name, info.Version, info.Digest)
	case major(a.PluginVersion) == major(info.Version):
		return shield.Found(shield.CheckPlugin, shield.FindingOK, "%s %s made the archive, and version %s restores it", name, a.PluginVersion, info.Version)
	}
	return shield.FoundError(shield.CheckPlugin, shield.FindingFailed, shield.Errorf(shield.PluginFailed, "",
		"%s %s made the archive, and here is version %s, of another major version: install a version %s", name, a.PluginVersion, info.Version, major(a.PluginVersion)))
}

// major is the first number of a version, or all of what is no number.
func major(version string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.ParseUint(first, 10, 64); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return version
}

// targetFinding has the plugin test the target, unless the target is one that
// is restored while its system is stopped. A system that cannot be reached, or
// does not let us in, fails; whatever else is wrong with it may be what the
// restore mends, or a thing that only a backup needs.
func (c *call) targetFinding(ctx context.Context, target plugin.Target, info *plugin.Info) shield.Finding {
	name := c.task.TargetName
	if e, err := info.Resolve(plugin.RoleTarget, c.task.TargetEndpoint); err == nil && info.Stopped(e) {
		return shield.Found(shield.CheckTarget, shield.FindingSkipped, "target %s was not tested: %s restores systems that are stopped", name, c.task.TargetPlugin)
	}
	t, ok := target.(plugin.Tester)
	if !ok {
		return shield.Found(shield.CheckTarget, shield.FindingSkipped, "target %s was not tested: %s %s has no test for targets", name, c.task.TargetPlugin, info.Version)
	}
	err := c.guarded(ctx, func() error { return t.Test(ctx) })
	if err == nil {
		return shield.Found(shield.CheckTarget, shield.FindingOK, "target %s can be reached and used", name)
	}
	f := shield.Finding{Check: shield.CheckTarget, State: shield.FindingFailed, Code: shield.CodeOf(err), Text: c.describe(shield.TargetFailed, err)}
	switch f.Code {
	case shield.Unavailable, shield.TimedOut, shield.Unauthorized:
	default:
		f.State = shield.FindingWarning
		f.Text += "; a restore may mend that, or do without it"
	}
	return f
}

// spaceFinding says how much there is to restore. No plugin can say yet how much
// room its system has.
func (c *call) spaceFinding() shield.Finding {
	size := "the bytes of the archive"
	if a := c.task.Expected; a != nil {
		size = fmt.Sprintf("the %d bytes of the archive", a.RawSize)
	}
	return shield.Found(shield.CheckSpace, shield.FindingSkipped, "%s does not tell whether target %s has room for %s", c.task.TargetPlugin, c.task.TargetName, size)
}

// storeFinding looks for the blob: in the store's list or, if that cannot be had
// and nothing is to be restored now, by opening it. A restore opens it anyway,
// and needs no right to list.
func (c *call) storeFinding(ctx context.Context, s plugin.Store) shield.Finding {
	var err error
	l, listed := s.(plugin.Lister)
	if listed {
		err = c.checkListed(ctx, l)
		listed = !errors.Is(err, shield.Forbidden)
	}
	if !listed && c.task.Op != shield.OpPreflight {
		return shield.Found(shield.CheckStore, shield.FindingSkipped, "store %s does not list its blobs: %s is looked for when it is read", c.task.StoreName, c.task.Key)
	}
	if !listed {
		err = c.peek(ctx, s)
	}
	if err != nil {
		return shield.FoundError(shield.CheckStore, shield.FindingFailed, c.blame(ctx, shield.StoreFailed, err))
	}
	return shield.Found(shield.CheckStore, shield.FindingOK, "store %s has %s", c.task.StoreName, c.task.Key)
}

// checkListed wants the blob in the store's list, of the size that was stored.
func (c *call) checkListed(ctx context.Context, l plugin.Lister) error {
	var blob *plugin.Object
	err := c.again(ctx, "listing "+c.task.Key, func() error {
		return l.List(ctx, c.task.Key, func(o plugin.Object) error {
			c.transfer.activity.Add(1)
			if o.Key == c.task.Key {
				blob = &o
			}
			return nil
		})
	})
	switch a := c.task.Expected; {
	case err != nil:
		return err
	case blob == nil:
		return shield.Errorf(shield.NotFound, "", "it has no %s", c.task.Key)
	case a != nil && blob.Size >= 0 && blob.Size != a.StoredSize:
		return shield.Errorf(shield.Corrupt, "", "%s has %d bytes, where %d were stored", c.task.Key, blob.Size, a.StoredSize)
	}
	return nil
}

// peek opens the blob and reads the first byte of it.
func (c *call) peek(ctx context.Context, s plugin.Store) error {
	return c.again(ctx, "opening "+c.task.Key, func() error {
		blob, err := s.Get(ctx, c.task.Key)
		if err != nil {
			return err
		}
		defer blob.Close() // its end was not wanted
		_, err = io.ReadFull(blob, make([]byte, 1))
		if err == io.EOF {
			return shield.Errorf(shield.Corrupt, "", "%s is empty", c.task.Key)
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", c.task.Key, err)
		}
		return nil
	})
}
