package wasmhost

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/shieldhq/shield/internal/calling"
)

// compileApart has another process put the module into the cache, since the
// compiler takes more than a hundred megabytes that would stay with this one.
// Whatever goes wrong there, the module is compiled here then.
func (h *Host) compileApart(module []byte, entry string) {
	if !h.options.CompileApart || h.cache.dir == "" {
		return
	}
	if _, err := os.Stat(filepath.Join(h.cache.dir, entry)); err == nil {
		return
	}
	program, err := h.executable()
	if err != nil {
		return
	}
	var said bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), compileTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, isolatedCommand, "--compile", "--cache", h.options.CacheDir)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(module), &said
	cmd.SysProcAttr = dependent()
	if err := cmd.Run(); err != nil {
		h.options.Log.Debug("module was not compiled in another process", "error", err, "said", calling.Cut(calling.Clean(said.String()), 500))
	}
}

// compileOnly is the other process.
func compileOnly(ctx context.Context, dir string, stdin io.Reader) error {
	module, err := io.ReadAll(io.LimitReader(stdin, moduleLimit+1))
	if err != nil {
		return err
	}
	o, err := inspect(module)
	if err != nil {
		return fmt.Errorf("the module %w", err)
	}
	h, err := New(ctx, &Options{CacheDir: dir})
	if err != nil {
		return err
	}
	digest := sha256.Sum256(module)
	_, err = h.program(ctx, module, hex.EncodeToString(digest[:]), o)
	return err
}
