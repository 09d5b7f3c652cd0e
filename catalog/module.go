package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type moduleRow struct {
	bun.BaseModel `bun:"table:modules,alias:n"`
	ID            int64  `bun:"id,pk,autoincrement"`
	Name          string `bun:"name"`
	Digest        string `bun:"digest"`
	Version       string `bun:"version"`
	Info          string `bun:"info"`
	Grant         string `bun:"grant"`
	Bundled       bool   `bun:"bundled"`
	Current       bool   `bun:"current"`
	InstalledAt   stamp  `bun:"installed_at"`
}

func moduleToRow(m *shield.Module) *moduleRow {
	return &moduleRow{
		Name: m.Name, Digest: m.Digest, Version: m.Version, Info: string(m.Info), Grant: string(m.Grant),
		Bundled: m.Bundled, Current: m.Current, InstalledAt: stampOf(m.InstalledAt),
	}
}

func (r *moduleRow) noun() *shield.Module {
	return &shield.Module{
		Name: r.Name, Digest: r.Digest, Version: r.Version, Info: json.RawMessage(r.Info), Grant: json.RawMessage(r.Grant),
		Bundled: r.Bundled, Current: r.Current, InstalledAt: r.InstalledAt.Time,
	}
}

// InstallModule implements shield.ModuleService.
func (db *DB) InstallModule(ctx context.Context, m *shield.Module) error {
	made := *m
	err := db.write(ctx, "catalog.InstallModule", func(ctx context.Context, tx bun.Tx) error {
		made = *m
		if err := checkModule(&made); err != nil {
			return err
		}
		made.Current = true
		if made.InstalledAt.IsZero() {
			made.InstalledAt = time.Now()
		}
		made.InstalledAt = whole(made.InstalledAt)
		if _, err := tx.NewUpdate().Table("modules").Set("current = 0").Where("name = ?", made.Name).Exec(ctx); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Table("modules").Where("name = ?", made.Name).Where("digest = ?", made.Digest).Exec(ctx); err != nil {
			return err
		}
		if err := insert(ctx, tx, moduleToRow(&made)); err != nil {
			return err
		}
		return moduleEvent(ctx, tx, made.Name, "installed version %s (%s)", made.Version, made.Digest)
	})
	if err == nil {
		*m = made
	}
	return err
}

func checkModule(m *shield.Module) error {
	if err := m.Validate(); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		text json.RawMessage
	}{{"info", m.Info}, {"grant", m.Grant}} {
		if !json.Valid(f.text) {
			return shield.FieldErrorf(f.name, "is not JSON")
		}
	}
	return shield.ValidateText("version", m.Version)
}

func moduleEvent(ctx context.Context, tx bun.Tx, name, format string, args ...any) error {
	return recordEvent(ctx, tx, &shield.Event{Kind: shield.EventPluginChanged, Subject: name, Message: fmt.Sprintf(format, args...)})
}

// Modules implements shield.ModuleService.
func (db *DB) Modules(ctx context.Context) ([]*shield.Module, error) {
	var rows []*moduleRow
	err := db.read(ctx, "catalog.Modules", func(ctx context.Context, q bun.IDB) error {
		return q.NewSelect().Model(&rows).OrderExpr("n.name, n.current DESC, n.id DESC").Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	all := make([]*shield.Module, 0, len(rows))
	for _, r := range rows {
		all = append(all, r.noun())
	}
	return all, nil
}

// GrantModule implements shield.ModuleService.
func (db *DB) GrantModule(ctx context.Context, name string, grant json.RawMessage) error {
	return db.write(ctx, "catalog.GrantModule", func(ctx context.Context, tx bun.Tx) error {
		if !json.Valid(grant) {
			return shield.FieldErrorf("grant", "is not JSON")
		}
		if !isText(name) {
			return notFound("module", name)
		}
		r, err := tx.NewUpdate().Table("modules").Set(`"grant" = ?`, string(grant)).Where("name = ?", name).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return shield.FirstError(err, notFound("module", name))
		}
		return moduleEvent(ctx, tx, name, "its grant was changed")
	})
}

// RemoveModule implements shield.ModuleService.
func (db *DB) RemoveModule(ctx context.Context, name, digest string) error {
	return db.write(ctx, "catalog.RemoveModule", func(ctx context.Context, tx bun.Tx) error {
		if !isText(name) || !isText(digest) {
			return notFound("module", name)
		}
		users, err := moduleUsers(ctx, tx, name, digest)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return &shield.Error{Code: shield.InUse, Field: "plugin",
				Message: fmt.Sprintf("version %s of %s is in use by %s", digest, name, strings.Join(users, ", "))}
		}
		r, err := tx.NewDelete().Table("modules").Where("name = ?", name).Where("digest = ?", digest).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return shield.FirstError(err, notFound("module", name))
		}
		return moduleEvent(ctx, tx, name, "removed %s", digest)
	})
}

// moduleUsers describes what needs a module: archives that it made, tasks that
// run, since they may have begun with it and are about to make one, and
// targets and stores if it is the last of its name.
func moduleUsers(ctx context.Context, tx bun.Tx, name, digest string) ([]string, error) {
	var users []string
	n, err := tx.NewSelect().Table("archives").
		Where("plugin = ?", name).Where("plugin_digest = ?", digest).Where("status <> 'purged'").Count(ctx)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		users = append(users, count(int(n), "archive"))
	}
	n, err = tx.NewSelect().Table("tasks").Where("status = 'running'").
		Where("target_plugin = ? OR store_plugin = ?", name, name).Count(ctx)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		users = append(users, count(int(n), "running task"))
	}
	others, err := tx.NewSelect().Table("modules").Where("name = ?", name).Where("digest <> ?", digest).Exists(ctx)
	if err != nil || others {
		return users, err
	}
	for _, kind := range []string{"target", "store"} {
		n, err := tx.NewSelect().Table(kind+"s").Where("plugin = ?", name).Count(ctx)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			users = append(users, count(int(n), kind))
		}
	}
	return users, nil
}
