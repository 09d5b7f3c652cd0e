// Command pack compresses a plugin module for package bundled:
//
//	pack MODULE.wasm EXECUTABLE DIR/NAME.wasm.zst
//
// It writes the module's digest beside it, and what the executable of the same
// source answers to info.
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/klauspost/compress/zstd"
)

func main() {
	if len(os.Args) != 4 || !strings.HasSuffix(os.Args[3], ".wasm.zst") {
		fmt.Fprintln(os.Stderr, "usage: pack MODULE.wasm EXECUTABLE DIR/NAME.wasm.zst")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(from, executable, to string) error {
	module, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := exec.Command(executable, "info").Output()
	if err != nil {
		return fmt.Errorf("%s info: %w", executable, err)
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	packed := e.EncodeAll(module, nil)
	digest := fmt.Sprintf("sha256:%x\n", sha256.Sum256(module))
	base := strings.TrimSuffix(to, ".wasm.zst")
	return errors.Join(
		e.Close(),
		os.WriteFile(to, packed, 0o644),
		os.WriteFile(base+".sha256", []byte(digest), 0o644),
		os.WriteFile(base+".json", info, 0o644),
	)
}
