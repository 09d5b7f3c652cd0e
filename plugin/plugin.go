// Package plugin is the contract between shield and the plugins that know
// data systems (targets) and places for archives (stores): the interfaces
// Target and Store, small optional ones for what only some can do, Info, by
// which a plugin describes itself, and Registry, which opens plugins by name.
//
// A plugin is carried by an executable (plugin/exec), by a WebAssembly module
// (wasmhost), or by Go code compiled in (Native). All speak the same calling
// protocol, written down in docs/plugin-protocol.md. plugin/pdk is what
// authors of Go plugins import, plugin/plugintest the suite that every plugin
// passes.
package plugin

import (
	"context"
	"io"
	"time"

	"github.com/shieldhq/shield"
)

// A Target is one data system, opened with its endpoint. Its methods may be
// called once each; open it anew for another call.
type Target interface {
	// Backup writes the data system's content to w. It returns nil only if
	// all of it was written and the native dump ended well: shield takes nil
	// as proof. It returns soon after ctx is done.
	Backup(ctx context.Context, w io.Writer) error
	// Restore reads, to its end, a stream that Backup wrote and puts its
	// content back. An error of r other than io.EOF means that the stream is
	// damaged: Restore then returns an error, whatever it has done so far.
	Restore(ctx context.Context, r io.Reader) error
}

// A Store is one place for blobs, opened with its endpoint. It is safe for
// concurrent use.
type Store interface {
	// Put stores what r gives under a key, the wanted one where the store
	// lets the caller choose. The blob becomes visible only when r has
	// returned io.EOF and every byte is durable. If r returns another error,
	// or ctx is done, Put stores nothing and returns that error.
	Put(ctx context.Context, key string, r io.Reader) (Stored, error)
	// Get opens the blob stored under key. Its Read returns io.EOF only when
	// the store gave the whole blob. NotFound if there is none.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// Delete removes the blob stored under key and whatever an unfinished
	// Put of that key left. A key that is not there is not an error.
	Delete(ctx context.Context, key string) error
}

// Stored is what a store acknowledged.
type Stored struct {
	Key  string
	Size int64 // bytes that the store holds; -1 if it cannot tell
	// Digest is "blake3:<hex>" or "sha256:<hex>" of what the store holds,
	// computed by the store; empty if it cannot tell.
	Digest string
}

// A Digester is a stream given to a Store that knows its own digest, as
// "blake3:<hex>", once Read has returned io.EOF: a store that passes it on need
// not compute that again.
type Digester interface {
	Digest() string
}

// A Lister is a Store that can list its blobs.
type Lister interface {
	// List calls yield with each blob whose key begins with prefix, in any
	// order, until yield returns an error, which List then returns.
	List(ctx context.Context, prefix string, yield func(Object) error) error
}

// An Object is one stored blob.
type Object struct {
	Key        string    `json:"key"`
	Size       int64     `json:"size"`
	ModifiedAt time.Time `json:"modified_at"`
}

// A Keeper is a Store that can forbid the removal of a blob until a time
// (object lock, immutability policy). Delete of such a blob is Locked, with
// the time in the error's Until where the store tells it.
type Keeper interface {
	// PutUntil is Put, and keeps the blob until then at the least.
	PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (Stored, error)
}

// A Probe is what a target holds and which software holds it.
type Probe struct {
	// Counts are for people and for comparison after a restore:
	// "databases", "tables", "rows", "keys", "queues", "files", "bytes".
	Counts map[string]int64 `json:"counts"`
	// Versions are of the system and of the tools that dump it, by name:
	// {"server": "PostgreSQL 15.18", "pg_dump": "15.18"}.
	Versions map[string]string `json:"versions,omitempty"`
}

// A Prober is a Target that can say what it holds, without changing it.
type Prober interface {
	Probe(ctx context.Context) (Probe, error)
}

// An Inspector is a Target that can read a stream that Backup wrote, without
// its data system, and say whether its structure is whole. Inspect reads r to
// its end and returns Corrupt if it is not; the Probe is what the stream says
// of itself, as far as it does.
type Inspector interface {
	Inspect(ctx context.Context, r io.Reader) (Probe, error)
}

// A Tester is a Target or Store that can say whether its system is reachable
// and usable, and leaves it as it was. A store writes a small object, reads it
// back, lists and deletes it, and says which permission is missing.
type Tester interface {
	Test(ctx context.Context) error
}

// A Validator is a Target or Store with rules for its endpoint beyond those
// that its fields declare. Validate does no I/O.
type Validator interface {
	Validate(ctx context.Context) error
}

// Log receives a plugin's diagnostics, a line a call. It is safe for
// concurrent use.
type Log func(line string)

// An Opener opens the targets and stores of one plugin. It is safe for
// concurrent use. OpenTarget and OpenStore return Invalid where the plugin
// has no such role.
type Opener interface {
	Info(ctx context.Context) (Info, error)
	OpenTarget(ctx context.Context, e shield.Endpoint, log Log) (Target, error)
	OpenStore(ctx context.Context, e shield.Endpoint, log Log) (Store, error)
}

// Native is a plugin written in Go and compiled in: an Opener made of its
// description and up to two constructors.
type Native struct {
	About  Info
	Target func(e shield.Endpoint, log Log) (Target, error)
	Store  func(e shield.Endpoint, log Log) (Store, error)
}

var _ Opener = (*Native)(nil)

// Info returns the description.
func (n *Native) Info(context.Context) (Info, error) { return n.About, nil }

// OpenTarget calls the constructor of targets.
func (n *Native) OpenTarget(_ context.Context, e shield.Endpoint, log Log) (Target, error) {
	if n.Target == nil {
		return nil, RoleError(n.About.Name, RoleTarget)
	}
	return n.Target(e, log)
}

// OpenStore calls the constructor of stores.
func (n *Native) OpenStore(_ context.Context, e shield.Endpoint, log Log) (Store, error) {
	if n.Store == nil {
		return nil, RoleError(n.About.Name, RoleStore)
	}
	return n.Store(e, log)
}
