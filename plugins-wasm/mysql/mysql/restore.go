package mysql

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// Restore implements plugin.Target. It goes to the host, never to a replica.
func (t *target) Restore(ctx context.Context, r io.Reader) error {
	var n *note
	err := tool.Inspect(ctx, r, "the archive", func(r io.Reader) (err error) {
		n, err = readHead(r)
		return err
	})
	if err != nil {
		return err
	}
	server, there, session, err := t.begin(ctx)
	if err != nil {
		return err
	}
	if err := n.fits(server); err != nil && !t.AnyVersion {
		return err
	}
	program, err := loader(ctx, t.client, server)
	if err != nil {
		return err
	}
	if !t.Binlog && session == checks {
		t.log("the restore is written to the binary log, if there is one: the account must not switch that off (BINLOG ADMIN, or SUPER)")
	}
	if err := t.clear(ctx, n, there, session); err != nil {
		return err
	}
	files, err := t.client.Files(program.Vendor, [2]string{"init-command", session})
	if err != nil {
		return err
	}
	_, err = t.client.Host.Run(ctx, tool.Job{
		Name: program.Name, Files: files, Stdin: r,
		Args: []string{mysqlcli.OptionsFlag, "--batch", "--binary-mode", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"},
	})
	if err != nil {
		return t.client.Explain(err)
	}
	return t.checkRestored(ctx, n)
}

// checks is what is set for the session of a restore. A dump sets the same and
// its time zone itself, but not one that another tool has cut.
const checks = "SET SESSION foreign_key_checks=0, unique_checks=0"

// begin asks the server who it is and which databases it has, with the
// collation of each, and what can be set for the session of a restore.
func (t *target) begin(ctx context.Context) (server *mysqlcli.Server, there map[string]string, session string, err error) {
	session = checks
	sql := collationsSQL
	if !t.Binlog {
		session += ", sql_log_bin=0"
		sql += session + ";"
	}
	server, rows, err := t.client.HelloAnd(ctx, sql)
	there = collationsOf(rows)
	if err != nil && len(there) > 0 && !t.Binlog {
		return server, there, checks, nil // all was answered but what was to be set
	}
	return server, there, session, err
}

// clear does with databases that exist what the endpoint says.
func (t *target) clear(ctx context.Context, n *note, there map[string]string, session string) error {
	if t.Existing == existingReplace {
		return t.alter(ctx, n, there, session)
	}
	names := n.Databases
	if len(names) == 0 {
		names = t.databases
	}
	if len(names) == 0 && (n.Tables > 0 || n.Plugin == "") {
		return shield.FieldErrorf("endpoint.mysql_existing", "is %s, and this archive does not say which databases it has: replace is right, or naming them in mysql_database", t.Existing)
	}
	if t.Existing == existingRefuse {
		return t.refuseTables(ctx, names)
	}
	var sql strings.Builder
	sql.WriteString(session + ";\n")
	for _, name := range names {
		sql.WriteString("DROP DATABASE IF EXISTS " + mysqlcli.QuoteName(name) + ";\n")
	}
	_, err := t.client.Query(ctx, sql.String())
	return err
}

// alter gives databases that exist the defaults that they had.
func (t *target) alter(ctx context.Context, n *note, there map[string]string, session string) error {
	var sql strings.Builder
	for _, name := range slices.Sorted(maps.Keys(n.Collations)) {
		if now, ok := there[name]; ok && now != n.Collations[name] {
			sql.WriteString("ALTER DATABASE " + mysqlcli.QuoteName(name) + " COLLATE " + mysqlcli.QuoteText(n.Collations[name]) + ";\n")
		}
	}
	if sql.Len() == 0 {
		return nil
	}
	_, err := t.client.Query(ctx, session+";\n"+sql.String())
	return err
}

func (t *target) refuseTables(ctx context.Context, names []string) error {
	there, err := tables(ctx, t.client, names)
	if err != nil || len(there) == 0 {
		return err
	}
	return shield.Errorf(shield.Conflict, "", "the database %s on %s has tables already, %s for one, and mysql_existing is refuse",
		there[0].database, t.client.Where(), there[0].name)
}

// checkRestored looks whether the tables are there.
func (t *target) checkRestored(ctx context.Context, n *note) error {
	if len(n.Databases) == 0 {
		return nil
	}
	there, err := tables(ctx, t.client, n.Databases)
	if err != nil {
		return err
	}
	if len(there) < n.Tables && len(t.options) == 0 {
		return shield.Errorf(shield.TargetFailed, "", "the restore has ended without an error, but %d tables are there and the archive was made of %d", len(there), n.Tables)
	}
	return nil
}
