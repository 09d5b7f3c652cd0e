package mysqlcli

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// A Client runs the tools of one connection.
type Client struct {
	Connection
	Host *tool.Host

	programs map[string]Program
}

// NewClient returns a client whose tools log to log. What a tool complains of
// is part of the error that it makes, and only logged where it makes none.
func NewClient(c Connection, log plugin.Log) *Client {
	return &Client{
		Connection: c, programs: map[string]Program{},
		Host: &tool.Host{Folder: c.BinDir, Field: "mysql_bindir", Dialect: Dialect(), Log: log, Secrets: []string{c.Password}},
	}
}

// A Program is a tool that was found.
type Program struct {
	Name    string
	Vendor  Vendor
	Version tool.Version
}

// String is for people: "mariadb-dump 10.11.19 (MariaDB)".
func (p Program) String() string {
	return p.Name + " " + p.Version.Text + " (" + string(p.Vendor) + ")"
}

// Find returns the first of the programs that is there.
func (c *Client) Find(ctx context.Context, names ...string) (Program, error) {
	var first error
	for _, name := range names {
		p, err := c.find(ctx, name)
		if err == nil {
			return p, nil
		}
		if first == nil {
			first = err
		}
		if !isMissing(err) {
			return p, err
		}
	}
	return Program{}, first
}

// isMissing reports whether the error says that there is no such program.
func isMissing(err error) bool {
	var e *shield.Error
	return errors.As(err, &e) && strings.Contains(e.Message, "Debian")
}

func (c *Client) find(ctx context.Context, name string) (Program, error) {
	if p, ok := c.programs[name]; ok {
		return p, nil
	}
	var out bytes.Buffer
	r, err := c.Host.Run(ctx, tool.Job{Name: name, Args: []string{"--version"}, Stdout: &out})
	if err != nil {
		return Program{}, err
	}
	p := ParseProgram(name, out.String()+"\n"+strings.Join(r.Lines, "\n"))
	if p.Version.Text == "" {
		return p, shield.Errorf(shield.TargetFailed, "", "%s --version prints no version: %.100q", name, out.String())
	}
	c.programs[name] = p
	return p, nil
}

// ParseProgram reads what a tool says of its version. The tools of MariaDB,
// and old ones of MySQL, have a version of their own before that of the
// distribution: "mysqldump  Ver 10.13 Distrib 5.7.44, for Linux".
func ParseProgram(name, text string) Program {
	p := Program{Name: name, Vendor: MySQL}
	if strings.Contains(text, "MariaDB") {
		p.Vendor = MariaDB
	}
	for _, mark := range []string{"Distrib ", "server ", "version ", "Ver ", "from "} {
		if _, rest, ok := strings.Cut(text, mark); ok {
			p.Version, _ = tool.ParseVersion(firstWord(rest))
			if p.Version.Text != "" {
				p.Version.Text = strings.TrimSuffix(p.Version.Text, "-MariaDB")
				return p
			}
		}
	}
	return p
}

func firstWord(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	return strings.Trim(s, ",")
}

// Query runs statements and returns the rows of all results, those before an
// error, too. SQL comes by standard input, so it may hold anything.
func (c *Client) Query(ctx context.Context, sql string) ([][]string, error) {
	return c.query(ctx, sql, "--skip-column-names")
}

// QueryNamed is Query with the names of the columns: as a first row, or, for
// a statement that ends with \G, before each value.
func (c *Client) QueryNamed(ctx context.Context, sql string) ([][]string, error) {
	return c.query(ctx, sql)
}

func (c *Client) query(ctx context.Context, sql string, flags ...string) ([][]string, error) {
	p, err := c.Find(ctx, "mariadb", "mysql")
	if err != nil {
		return nil, err
	}
	files, err := c.Files(p.Vendor)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = c.Host.Run(ctx, tool.Job{
		Name: p.Name, Files: files, Stdin: strings.NewReader(sql), Stdout: &out,
		Args: append([]string{OptionsFlag, "--batch", "--default-character-set=utf8mb4", "--connect-timeout=10"}, flags...),
	})
	rows := ParseRows(out.String())
	if err != nil {
		return rows, c.Explain(err)
	}
	return rows, nil
}

// Explain adds to an error which server it is about.
func (c *Client) Explain(err error) error {
	var e *shield.Error
	if !errors.As(err, &e) || e.Field != "" || isMissing(err) {
		return err
	}
	return shield.Errorf(e.Code, "", "%s: %s", c.Where(), e.Message)
}

// ParseRows reads what the client prints in batch mode: tabs between values,
// which have escapes for what would be confused with that.
func ParseRows(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		row := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for n := range row {
			row[n] = unescape.Replace(row[n])
		}
		rows = append(rows, row)
	}
	return rows
}

var unescape = strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n", `\0`, "\x00")

// Server is what a server says of itself.
type Server struct {
	Vendor  Vendor
	Version tool.Version
	Account string // 'user'@'host', as the server took it
}

// String is for people: "MariaDB 10.11.19".
func (s *Server) String() string { return string(s.Vendor) + " " + s.Version.Text }

// helloSQL asks a server who it is, in two rows.
const helloSQL = "SELECT VERSION(), CURRENT_USER(); SHOW SESSION STATUS LIKE 'Ssl_cipher';\n"

// Hello connects and asks the server who it is.
func (c *Client) Hello(ctx context.Context) (*Server, error) {
	rows, err := c.Query(ctx, helloSQL)
	if err != nil {
		return nil, err
	}
	return c.greeted(rows)
}

// HelloAnd asks the server who it is and runs statements in the same session:
// a client for each would take longer than what they ask. The rows are those
// of the statements; if only they have failed, there is a server beside the
// error. Where TLS is required nothing is asked before it is known to be there.
func (c *Client) HelloAnd(ctx context.Context, sql string) (*Server, [][]string, error) {
	if c.TLS == TLSRequire {
		s, err := c.Hello(ctx)
		if err != nil {
			return nil, nil, err
		}
		rows, err := c.Query(ctx, sql)
		return s, rows, err
	}
	rows, err := c.Query(ctx, helloSQL+sql)
	if err != nil && len(rows) < 2 {
		return nil, nil, err
	}
	s, bad := c.greeted(rows[:min(2, len(rows))])
	if bad != nil {
		return nil, nil, bad
	}
	return s, rows[2:], err
}

// greeted returns what the rows of helloSQL say.
func (c *Client) greeted(rows [][]string) (*Server, error) {
	if len(rows) != 2 || len(rows[0]) != 2 || len(rows[1]) != 2 {
		return nil, shield.Errorf(shield.TargetFailed, "", "%s answers something else than its version", c.Where())
	}
	if c.TLS == TLSRequire && rows[1][1] == "" && c.Socket == "" {
		return nil, shield.Errorf(shield.TargetFailed, "", "%s does not speak TLS, and mysql_tls is %s", c.Where(), c.TLS)
	}
	s := ParseServer(rows[0][0])
	s.Account = QuoteAccount(rows[0][1])
	return s, nil
}

// ParseServer reads the version of a server: "10.11.19-MariaDB-0+deb12u1-log"
// or "8.0.36".
func ParseServer(text string) *Server {
	s := &Server{Vendor: MySQL}
	if strings.Contains(text, "MariaDB") {
		s.Vendor = MariaDB
		text = strings.TrimPrefix(text, "5.5.5-") // what it tells clients of old
	}
	number, _, _ := strings.Cut(text, "-")
	s.Version, _ = tool.ParseVersion(number)
	return s
}

// QuoteAccount returns user@host as information_schema has it.
func QuoteAccount(account string) string {
	n := strings.LastIndexByte(account, '@')
	if n < 0 {
		return "'" + account + "'"
	}
	return "'" + account[:n] + "'@'" + account[n+1:] + "'"
}

// QuoteName returns a name as SQL has it.
func QuoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// QuoteText returns a text as SQL has it.
func QuoteText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''", "\x00", `\0`).Replace(text) + "'"
}
