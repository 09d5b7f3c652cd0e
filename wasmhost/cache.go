package wasmhost

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/tetratelabs/wazero"
	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
)

// A cache keeps compiled modules on disk, a folder each. wazero checks of
// them no more than a CRC of a part and believes the lengths that it reads,
// so each folder has a manifest with the digests of its files: what does not
// match is thrown away and compiled anew. The manifest finds damage; against
// people there is the mode of the folder.
type cache struct {
	dir string // "" to keep nothing
	log *slog.Logger
}

func openCache(dir string, log *slog.Logger) (*cache, error) {
	c := &cache{dir: dir, log: log}
	if dir == "" {
		return c, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, shield.Errorf(shield.Unavailable, "plugin cache", "%w", err)
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, shield.Errorf(shield.Unavailable, "plugin cache", "%w", err)
	}
	if runtime.GOOS != "windows" && fi.Mode().Perm()&0o022 != 0 {
		return nil, shield.Errorf(shield.Forbidden, "plugin cache", "%s has mode %o: others could put code there, 0700 is wanted", dir, fi.Mode().Perm())
	}
	c.dir = filepath.Join(dir, version())
	c.dropOthers(dir)
	return c, os.MkdirAll(c.dir, 0o700)
}

// compiler is the version of wazero, if the linker was told: a test binary does
// not know it.
var compiler string

// version names what compiled code depends on. What another version has made
// is of no use.
func version() string {
	v := "unknown"
	if compiler != "" {
		v = compiler
	} else if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/tetratelabs/wazero" {
				v = d.Version
			}
		}
	}
	return versionPrefix + v + "-" + runtime.GOOS + "-" + runtime.GOARCH
}

const versionPrefix = "wazero-"

func (c *cache) dropOthers(dir string) {
	entries, _ := filepath.Glob(filepath.Join(dir, versionPrefix+"*"))
	for _, e := range entries {
		if e == c.dir {
			continue
		}
		if err := os.RemoveAll(e); err != nil {
			c.log.Warn("modules that another version compiled cannot be removed", "folder", e, "error", err)
		}
	}
}

// build calls compile with a cache that has the entry, if there is a sound
// one, and keeps what compile has added.
func (c *cache) build(name string, compile func(wazero.CompilationCache) error) error {
	if c.dir == "" {
		return compile(wazero.NewCompilationCache())
	}
	final := filepath.Join(c.dir, name)
	err := c.check(final)
	if err == nil {
		if err = c.compileIn(final, compile); err == nil {
			return nil
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("compiled module is damaged and made anew", "entry", final, "error", err)
	}
	return c.renew(final, compile)
}

// renew compiles beside the final place, since others may look at that.
func (c *cache) renew(final string, compile func(wazero.CompilationCache) error) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil { // another version may have removed it
		return err
	}
	dir, err := os.MkdirTemp(c.dir, "new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := c.compileIn(dir, compile); err != nil {
		return err
	}
	if err := c.seal(dir, final); err != nil {
		c.log.Warn("compiled module cannot be kept", "entry", final, "error", err)
	}
	return nil
}

func (c *cache) compileIn(dir string, compile func(wazero.CompilationCache) error) error {
	cc, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return err
	}
	if err := compile(cc); err != nil {
		_ = cc.Close(context.Background())
		return err
	}
	return nil
}

const manifestName = "manifest.json"

// seal writes the manifest and moves the folder to its place. A folder that
// is there by now is as good, or damaged: it makes way.
func (c *cache) seal(dir, final string) error {
	digests, err := digestsOf(dir)
	if err != nil {
		return err
	}
	text, err := json.Marshal(digests)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, manifestName), text, 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	return os.Rename(dir, final)
}

// check says what is wrong with an entry: fs.ErrNotExist if there is none.
func (c *cache) check(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		if _, statErr := os.Stat(dir); statErr == nil {
			return errors.New("there is no manifest")
		}
		return err
	}
	var want map[string]string
	if err := json.Unmarshal(text, &want); err != nil {
		return fmt.Errorf("the manifest: %w", err)
	}
	got, err := digestsOf(dir)
	if err != nil {
		return err
	}
	if !maps.Equal(got, want) {
		return errors.New("the files are not those of the manifest")
	}
	return nil
}

// digestsOf returns the digests of all files but the manifest.
func digestsOf(dir string) (map[string]string, error) {
	digests := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == manifestName {
			return err
		}
		digests[name], err = digestOf(path)
		return err
	})
	return digests, err
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := blake3.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
