package mysql

import (
	"context"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// older reports whether a is of an older series than b.
func older(a, b tool.Version) bool {
	return a.Major < b.Major || a.Major == b.Major && a.Minor < b.Minor
}

// dumper finds the tool that fits the server.
func dumper(ctx context.Context, c *mysqlcli.Client, server *mysqlcli.Server) (mysqlcli.Program, error) {
	if server.Vendor == mysqlcli.MariaDB {
		return c.Find(ctx, "mariadb-dump", "mysqldump")
	}
	return c.Find(ctx, "mysqldump", "mariadb-dump")
}

// loader finds the client that fits the server.
func loader(ctx context.Context, c *mysqlcli.Client, server *mysqlcli.Server) (mysqlcli.Program, error) {
	if server.Vendor == mysqlcli.MariaDB {
		return c.Find(ctx, "mariadb", "mysql")
	}
	return c.Find(ctx, "mysql", "mariadb")
}

// checkTool reports whether a tool knows all that the server has.
func (t *target) checkTool(p mysqlcli.Program, server *mysqlcli.Server) error {
	const ignore = "; mysql_any_version goes on regardless"
	switch {
	case t.AnyVersion:
		return nil
	case p.Vendor != server.Vendor:
		return shield.Errorf(shield.Invalid, "", "the tool is %s and the server is %s: the tools of the same maker are wanted%s", p, server, ignore)
	case older(p.Version, server.Version):
		return shield.Errorf(shield.Invalid, "", "the tool is %s and the server is %s, which is newer%s", p, server, ignore)
	}
	return nil
}
