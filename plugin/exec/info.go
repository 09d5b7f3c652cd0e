package exec

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
)

// answered is what a file has answered to info.
type answered struct {
	file os.FileInfo
	info plugin.Info
}

// Info returns what the plugin says of itself, with the digest of its file.
// The plugin is asked once for each version of the file.
func (p *Plugin) Info(ctx context.Context) (plugin.Info, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return plugin.Info{}, calling.ContextError(ctx, p.op(plugin.ActionInfo))
	}
	file, err := p.stat()
	if err != nil {
		return plugin.Info{}, err
	}
	if p.cached != nil && same(p.cached.file, file) {
		return p.cached.info, nil
	}
	info, err := p.askAll(ctx, file)
	if err != nil {
		return plugin.Info{}, err
	}
	p.cached = &answered{file, info}
	return info, nil
}

func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// askAll asks for the description and computes the digest, and refuses both
// if the file was replaced meanwhile: they would be of different programs.
func (p *Plugin) askAll(ctx context.Context, file os.FileInfo) (plugin.Info, error) {
	digest, err := p.digest()
	if err != nil {
		return plugin.Info{}, err
	}
	info, err := p.ask(ctx)
	if err != nil {
		return plugin.Info{}, err
	}
	now, err := p.stat()
	if err != nil {
		return plugin.Info{}, err
	}
	if !same(file, now) {
		return plugin.Info{}, shield.Errorf(shield.Unavailable, p.op(plugin.ActionInfo), "%s was replaced while it ran: try again", p.path)
	}
	info.Digest, info.Runs = digest, plugin.CarrierExecutable
	return info, nil
}

func (p *Plugin) ask(ctx context.Context) (plugin.Info, error) {
	op := p.op(plugin.ActionInfo)
	ctx, cancel := context.WithTimeoutCause(ctx, p.options.InfoTimeout,
		shield.Errorf(shield.TimedOut, "", "no answer within %s", p.options.InfoTimeout))
	defer cancel()
	pr, err := p.Start(ctx, &calling.Request{Action: plugin.ActionInfo, Log: func(string) {}})
	if err != nil {
		return plugin.Info{}, err
	}
	defer func() { _ = pr.Close() }()
	text, err := calling.ReadAll(pr, plugin.InfoLimit)
	if err != nil {
		return plugin.Info{}, err
	}
	info, err := plugin.ParseInfo(text)
	if err != nil {
		return plugin.Info{}, shield.Errorf(shield.PluginFailed, op, "%w", err)
	}
	return info, nil
}

func (p *Plugin) digest() (string, error) {
	f, err := os.Open(p.path)
	if err != nil {
		return "", shield.Errorf(shield.PluginFailed, "plugin", "%s: %w: it must be readable, since its digest is recorded", p.path, err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", shield.Errorf(shield.PluginFailed, "plugin", "%s: %w", p.path, err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
