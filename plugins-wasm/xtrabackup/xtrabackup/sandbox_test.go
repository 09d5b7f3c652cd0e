//go:build linux

package xtrabackup_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/xtrabackup/xtrabackup"
)

// both runs a test natively and in the sandbox.
func both(t *testing.T, f func(t *testing.T, o plugin.Opener)) {
	t.Helper()
	shieldtest.Both(t, "xtrabackup", xtrabackup.Plugin(), f)
}

// TestSandbox: a module has no other way to the data folder than its grant.
func TestSandbox(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL(accounts)
	open := func(e shield.Endpoint) plugin.Target {
		t.Helper()
		x, err := shieldtest.Sandboxed(t, "xtrabackup").OpenTarget(t.Context(), e, func(line string) { t.Log(line) })
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	var archive bytes.Buffer
	if err := open(endpoint(t, m, nil)).Backup(t.Context(), &archive); err != nil {
		t.Fatal(err)
	}
	to := emptied(t)
	err := open(endpoint(t, to, nil)).Restore(t.Context(), bytes.NewReader(archive.Bytes()[:archive.Len()/2]))
	wantError(t, err, shield.TargetFailed, "unexpected end of stream|my_read")
	if err := open(endpoint(t, to, nil)).Restore(t.Context(), bytes.NewReader(archive.Bytes())); err != nil {
		t.Fatal(err)
	}
	to.Run()
	consistent(t, to)
	wantError(t, open(endpoint(t, m, nil)).Restore(t.Context(), bytes.NewReader(archive.Bytes())), shield.Conflict, "a server runs")
}

// TestConformance restores into folders that were emptied before: the suite
// backs up and restores in turn, and a backup wants a server that runs.
func TestConformance(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL("CREATE DATABASE a; CREATE TABLE a.t (id INT PRIMARY KEY)")
	both(t, func(t *testing.T, o plugin.Opener) {
		plugintest.Run(t, &alternating{o, t, m}, plugintest.Config{
			TargetEndpoint: endpoint(t, m, nil),
			Equal:          func(a, b []byte) error { return nil }, // a log of changes differs each time; TestHot compares
		})
	})
}

// An alternating opener lets each restore have an empty folder of its own.
type alternating struct {
	plugin.Opener
	t testing.TB
	m *testserver.MariaDB
}

func (a *alternating) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	x, err := a.Opener.OpenTarget(ctx, e, log)
	if err != nil {
		return nil, err
	}
	to := emptied(a.t)
	into, err := a.Opener.OpenTarget(ctx, endpoint(a.t, to, nil), log)
	return &pair{x, into}, err
}

// A pair backs up from one target and restores to another.
type pair struct {
	plugin.Target
	into plugin.Target
}

func (p *pair) Test(ctx context.Context) error     { return p.Target.(plugin.Tester).Test(ctx) }
func (p *pair) Validate(ctx context.Context) error { return p.Target.(plugin.Validator).Validate(ctx) }

func (p *pair) Probe(ctx context.Context) (plugin.Probe, error) {
	return p.Target.(plugin.Prober).Probe(ctx)
}

func (p *pair) Inspect(ctx context.Context, r io.Reader) (plugin.Probe, error) {
	return p.Target.(plugin.Inspector).Inspect(ctx, r)
}

func (p *pair) Restore(ctx context.Context, r io.Reader) error { return p.into.Restore(ctx, r) }
