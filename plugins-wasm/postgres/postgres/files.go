package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/shieldhq/shield"
	folders "github.com/shieldhq/shield/plugins-wasm/fs/fs"
	"github.com/shieldhq/shield/plugins-wasm/internal/pg"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// restoreFiles puts the files of a cluster into the data folder. The tar
// stream is read by the plugin for folders, which keeps owners and modes.
func (t *target) restoreFiles(ctx context.Context, p *peeked) error {
	if t.DataDir == "" {
		return shield.FieldErrorf("endpoint.pg_data_dir", "is missing: a restore of files needs an empty folder")
	}
	begin := make([]byte, pg.KindSize)
	if _, err := io.ReadFull(p, begin); err != nil {
		return err
	}
	about, ok, err := pg.ReadAboutFiles(begin, p.r)
	if err != nil {
		return err
	}
	var rest io.Reader = p.r
	if !ok { // of pg_basebackup itself
		p.begin.Reset(begin)
		rest = p
	}
	tools := t.primary().Tools
	if err := t.sameMajor(ctx, tools, about); err != nil {
		return err
	}
	if err := t.emptyFolder(); err != nil {
		return err
	}
	if err := t.extract(ctx, rest); err != nil {
		return err
	}
	if err := t.checkFiles(); err != nil {
		return err
	}
	return t.verify(ctx, tools)
}

// sameMajor refuses files of another major version than that of the server's
// program, where that can be asked.
func (t *target) sameMajor(ctx context.Context, tools tool.Runner, about pg.AboutFiles) error {
	from, known := tool.ParseVersion(about.Server)
	if !known {
		return nil
	}
	have, err := tool.VersionOf(ctx, tools, "postgres")
	if err != nil {
		t.log("the files are of PostgreSQL " + from.Text + "; the server's program was not asked for its version: name its folder in pg_bindir")
		return nil
	}
	if have.Major != from.Major {
		return shield.Errorf(shield.Invalid, "", "the files are of PostgreSQL %d, but the program postgres is of PostgreSQL %d: install postgresql-%d", from.Major, have.Major, from.Major)
	}
	t.log("the files are of PostgreSQL " + from.Text + ", the server's program of " + have.Text)
	return nil
}

func (t *target) emptyFolder() error {
	name, err := listed(t.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return shield.Errorf(shield.TargetFailed, "", "the folder %s: %w", t.DataDir, err)
	}
	if name != "" {
		return shield.Errorf(shield.Conflict, "", "the folder %s is not empty (it has %s): stop its server and move the folder away, or name another in pg_data_dir", t.DataDir, name)
	}
	return nil
}

func (t *target) extract(ctx context.Context, r io.Reader) error {
	e, err := json.Marshal(map[string]any{"base_dir": t.DataDir, "sync": true})
	if err != nil {
		return err
	}
	folder, err := folders.Plugin().OpenTarget(ctx, e, t.log)
	if err != nil {
		return err
	}
	return folder.Restore(ctx, r)
}

// checkFiles looks for what a server needs to start, and gives the folder the
// owner of what is in it, and the mode that servers insist on.
func (t *target) checkFiles() error {
	for _, name := range []string{"backup_label", "PG_VERSION", "global/pg_control"} {
		if !has(t.DataDir, name) {
			return shield.Errorf(shield.Corrupt, "", "the archive lacks the file %s: no server can start from it", name)
		}
	}
	if err := ownFolder(t.DataDir, "PG_VERSION"); err != nil {
		return shield.Errorf(shield.TargetFailed, "", "the folder %s cannot be given to the owner of the files in it: %w", t.DataDir, err)
	}
	return nil
}

// verify compares the files with the manifest of the backup, where there are
// both a manifest and the program.
func (t *target) verify(ctx context.Context, tools tool.Runner) error {
	if !has(t.DataDir, "backup_manifest") {
		t.log("the files were not verified: the backup has no manifest")
		return nil
	}
	if _, err := tool.VersionOf(ctx, tools, "pg_verifybackup"); err != nil {
		t.log("the files were not verified: there is no pg_verifybackup; name its folder in pg_bindir")
		return nil
	}
	r, err := tools.Run(ctx, tool.Job{Name: "pg_verifybackup", Args: []string{"-q", t.DataDir}, Env: []string{"LC_ALL=C"}})
	if err != nil {
		return shield.Errorf(shield.Corrupt, "", "the restored files are not those of the backup: %w", err)
	}
	t.log("the files are those of the backup: pg_verifybackup" + strings.Join(r.Lines, " "))
	return nil
}
