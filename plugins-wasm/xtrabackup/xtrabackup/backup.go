package xtrabackup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// completed ends what the tools say, if all went well.
const completed = "completed OK!"

// A source is a server, checked, and the tool that backs it up.
type source struct {
	server  *mysqlcli.Server
	program mysqlcli.Program
}

func (t *target) source(ctx context.Context) (*source, error) {
	server, err := t.client.Hello(ctx)
	if err != nil {
		return nil, err
	}
	s := &source{server: server}
	if s.program, err = t.find(ctx, server.Vendor); err != nil {
		return nil, err
	}
	if !sameSeries(s.program, server) && !t.AnyVersion {
		return nil, shield.Errorf(shield.Invalid, "", "the tool is %s and the server is %s: the same series is wanted; mysql_any_version goes on regardless", s.program, server)
	}
	return s, t.checkServer(ctx, server)
}

// checkServer looks whether the data folder is the server's, and the account
// has what the tool needs.
func (t *target) checkServer(ctx context.Context, server *mysqlcli.Server) error {
	rows, err := t.client.Query(ctx, "SELECT @@datadir; SHOW GRANTS;")
	if err != nil {
		return err
	}
	if dir := strings.TrimRight(rows[0][0], "/"); dir != t.DataDir {
		return shield.FieldErrorf("endpoint.mysql_datadir", "is %s: the server says that it is %s", t.DataDir, dir)
	}
	var grants strings.Builder
	for _, row := range rows[1:] {
		grants.WriteString(strings.Join(row, "\t") + "\n")
	}
	if missing := lacking(grants.String(), server.Vendor); missing != "" {
		return shield.Errorf(shield.Forbidden, "", "the account %s lacks %s on *.*: GRANT %s ON *.* TO %s gives it", server.Account, missing, missing, server.Account)
	}
	return nil
}

// lacking returns the privileges that grants on *.* do not have.
func lacking(grants string, v mysqlcli.Vendor) string {
	held := ""
	for line := range strings.Lines(grants) {
		if privileges, _, ok := strings.Cut(strings.TrimPrefix(line, "GRANT "), " ON *.* TO "); ok {
			held += ", " + strings.ToUpper(privileges) + ","
		}
	}
	if strings.Contains(held, ", ALL PRIVILEGES,") {
		return ""
	}
	wanted := []string{"RELOAD", "PROCESS", "LOCK TABLES"}
	if v == mysqlcli.MySQL {
		wanted = append(wanted, "BACKUP_ADMIN")
	}
	var missing []string
	for _, p := range wanted {
		if !strings.Contains(held, ", "+p+",") {
			missing = append(missing, p)
		}
	}
	return strings.Join(missing, ", ")
}

// Backup implements plugin.Target.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	s, err := t.source(ctx)
	if err != nil {
		return err
	}
	n := note{Plugin: version, Server: s.server.Version.Text, Tool: s.program.String(), Databases: t.databases}
	if s.server.Vendor == mysqlcli.MariaDB {
		n.Server += "-MariaDB"
	}
	head, err := n.chunks()
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	files, err := t.files(s.program.Vendor)
	if err != nil {
		return err
	}
	r, err := t.client.Host.Run(ctx, tool.Job{
		Name: s.program.Name, Args: t.arguments(), Files: files, Stdout: w, Tail: tailSize, Tolerate: tolerated,
	})
	if err != nil {
		return t.client.Explain(err)
	}
	return checkEnd(s.program.Name, r)
}

// tailSize has room for the last chunk.
const tailSize = 16 << 10

// checkEnd looks whether a tool that has ended well says so, and its stream
// is whole.
func checkEnd(name string, r tool.Result) error {
	if err := checkCompleted(name, r.Lines); err != nil {
		return err
	}
	if !endsWell(r.Tail) {
		return shield.Errorf(shield.TargetFailed, "", "%s says %q, but its stream ends within a file", name, completed)
	}
	return nil
}

func checkCompleted(name string, lines []string) error {
	if len(lines) == 0 || !strings.HasSuffix(lines[len(lines)-1], completed) {
		last := ""
		if len(lines) > 0 {
			last = lines[len(lines)-1]
		}
		return shield.Errorf(shield.TargetFailed, "", "%s has ended without an error, but does not say %q; its last line is %q", name, completed, last)
	}
	return nil
}

// tolerated are lines that sound worse than they are: what the tool prints of
// the server's settings, and progress.
func tolerated(line string) bool {
	return strings.Contains(line, "innodb_") || strings.Contains(line, " = ")
}

// files returns the option file of the tool.
func (t *target) files(v mysqlcli.Vendor) (map[string]string, error) {
	files, err := t.client.Files(v)
	if err == nil && t.DefaultsFile != "" {
		for name, text := range files {
			if strings.HasSuffix(name, ".cnf") {
				files[name] = "!include " + t.DefaultsFile + "\n" + text
			}
		}
	}
	return files, err
}

func (t *target) arguments() []string {
	args := []string{mysqlcli.OptionsFlag, "--backup", "--stream=xbstream", "--datadir=" + t.DataDir, "--target-dir=./none"}
	if len(t.databases) > 0 {
		args = append(args, "--databases="+strings.Join(append([]string{"mysql", "performance_schema", "sys"}, t.databases...), " "))
	}
	return append(args, t.options...)
}

// Test implements plugin.Tester.
func (t *target) Test(ctx context.Context) error {
	s, err := t.source(ctx)
	if err != nil {
		return err
	}
	if _, err := t.client.Host.Run(ctx, tool.Job{Name: extractor(s.program), Args: []string{"--help"}, Stdout: io.Discard}); err != nil {
		return err
	}
	t.log(s.server.String() + " on " + t.client.Where() + ", " + s.program.String())
	return nil
}

// Probe implements plugin.Prober.
func (t *target) Probe(ctx context.Context) (plugin.Probe, error) {
	s, err := t.source(ctx)
	if err != nil {
		return plugin.Probe{}, err
	}
	var in bytes.Buffer
	for _, name := range append([]string{""}, t.databases...) {
		fmt.Fprintf(&in, ", %s", mysqlcli.QuoteText(name))
	}
	where := "TABLE_SCHEMA NOT IN ('mysql', 'performance_schema', 'sys', 'information_schema')"
	if len(t.databases) > 0 {
		where = "TABLE_SCHEMA IN (" + in.String()[2:] + ")"
	}
	rows, err := t.client.Query(ctx, "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE "+strings.ReplaceAll(where, "TABLE_SCHEMA", "SCHEMA_NAME")+
		"; SELECT COUNT(*) FROM information_schema.TABLES WHERE "+where+";")
	if err != nil {
		return plugin.Probe{}, err
	}
	counts := map[string]int64{}
	for n, name := range []string{"databases", "tables"} {
		if counts[name], err = strconv.ParseInt(rows[n][0], 10, 64); err != nil {
			return plugin.Probe{}, err
		}
	}
	return plugin.Probe{Counts: counts, Versions: map[string]string{
		"server": s.server.String(), "tool": s.program.Name + " " + s.program.Version.Text,
	}}, nil
}
