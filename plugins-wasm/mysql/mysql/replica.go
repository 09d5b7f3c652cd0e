package mysql

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// follows reports whether a server is a replica that follows closely enough.
// An old copy that nobody replicates to any more would make fine archives of
// last year.
func (t *target) follows(ctx context.Context, c *mysqlcli.Client, server *mysqlcli.Server) error {
	sql := "SHOW SLAVE STATUS\\G"
	if server.Vendor == mysqlcli.MySQL && !older(server.Version, tool.Version{Major: 8, Minor: 4}) {
		sql = "SHOW REPLICA STATUS\\G"
	}
	rows, err := c.QueryNamed(ctx, sql)
	if err != nil {
		return err
	}
	return t.judgeReplica(statusOf(rows))
}

// statusOf reads what \G prints: "Name: value" a line. The names are brought
// to the words that MySQL uses by now.
func statusOf(rows [][]string) map[string]string {
	status := map[string]string{}
	for _, row := range rows {
		name, value, ok := strings.Cut(strings.TrimSpace(row[0]), ":")
		if ok {
			name = strings.NewReplacer("Slave", "Replica", "Master", "Source").Replace(name)
			status[name] = strings.TrimSpace(value)
		}
	}
	return status
}

func (t *target) judgeReplica(status map[string]string) error {
	fail := func(format string, args ...any) error {
		e := shield.FieldErrorf("endpoint.mysql_read_replica", "is "+t.Replica+": "+format, args...)
		return e
	}
	if len(status) == 0 {
		return fail("that server is no replica of another")
	}
	for _, thread := range []string{"Replica_IO_Running", "Replica_SQL_Running"} {
		if status[thread] != "Yes" {
			text := status["Last_SQL_Error"]
			if text == "" {
				text = status["Last_IO_Error"]
			}
			return fail("its replication stands still: %s is %q: %s", thread, status[thread], text)
		}
	}
	lag, err := strconv.Atoi(status["Seconds_Behind_Source"])
	if err != nil {
		return fail("it does not know how far it is behind")
	}
	if behind := time.Duration(lag) * time.Second; behind > t.maxLag {
		return fail("it is %s behind, and mysql_max_lag is %s", behind, t.maxLag)
	}
	return nil
}
