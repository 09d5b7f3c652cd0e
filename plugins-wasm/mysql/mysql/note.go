package mysql

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
)

// A note is the first line of an archive: what a restore wants to know before
// it begins. To SQL it is a comment.
type note struct {
	Plugin    string   `json:"plugin"` // its version
	Server    string   `json:"server"` // as it tells its version itself
	Tool      string   `json:"tool"`
	Databases []string `json:"databases"`
	All       bool     `json:"all"`    // the server's own database, too
	Tables    int      `json:"tables"` // how many at the begin
	// Collations are the defaults of the databases, which a dump does not
	// change where it finds a database.
	Collations map[string]string `json:"collations,omitempty"`
}

const notePrefix = "-- shield: "

// line returns the note as the line of an archive.
func (n *note) line() ([]byte, error) {
	b, err := json.Marshal(n)
	if err == nil && len(b) > headRoom/2 {
		short := *n
		short.Databases, short.Collations = nil, nil // too many for a line; a restore can do without
		b, err = json.Marshal(short)
	}
	return append(append([]byte(notePrefix), b...), '\n'), err
}

// headRoom bounds what is read of an archive before the tool gets the rest.
const headRoom = 256 << 10

// headLines is within how many lines a dump without a note says its versions.
const headLines = 10

// readHead reads the begin of an archive, a line at a time, so that the rest
// need not pass through the plugin, and returns what it says. What it has
// read is comment that the server has no need of.
func readHead(r io.Reader) (*note, error) {
	n, b := &note{}, make([]byte, 1)
	var line []byte
	for lines := 0; lines < headLines; {
		if _, err := io.ReadFull(r, b); err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, errors.New("it ends before it has begun")
		} else if err != nil {
			return nil, err
		}
		if b[0] != '\n' {
			if line = append(line, b[0]); len(line) > headRoom {
				return nil, errors.New("its first line is too long")
			}
			continue
		}
		done, err := n.take(string(line))
		if done || err != nil {
			return n, err
		}
		line, lines = line[:0], lines+1
	}
	return nil, errors.New("its first lines do not say which server it is of")
}

// sessionLine is what the original plugin wrote first.
var sessionLine = regexp.MustCompile(`(?i)^SET SESSION SQL_LOG_BIN ?= ?0;$`)

// take takes a line and reports whether it was the last one of interest.
func (n *note) take(line string) (bool, error) {
	line = strings.TrimRight(line, "\r ")
	if text, ok := strings.CutPrefix(line, notePrefix); ok {
		if err := json.Unmarshal([]byte(text), n); err != nil {
			return false, errors.New("its first line is damaged")
		}
		return true, nil
	}
	if m := titleLine.FindStringSubmatch(line); m != nil {
		n.Tool = m[2]
	} else if m := oldTitleLine.FindStringSubmatch(line); m != nil {
		n.Tool = m[2]
	} else if m := serverLine.FindStringSubmatch(line); m != nil {
		n.Server = m[1]
		return true, nil
	}
	if line == "" || strings.HasPrefix(line, "--") || strings.HasPrefix(line, "/*M!999999") || sessionLine.MatchString(line) {
		return false, nil
	}
	return false, errors.New("it does not begin as a dump does")
}

// fits reports whether an archive of the note can be restored into a server.
func (n *note) fits(server *mysqlcli.Server) error {
	from := mysqlcli.ParseServer(n.Server)
	const ignore = "; mysql_any_version goes on regardless"
	switch {
	case n.Server == "":
		return nil
	case from.Vendor != server.Vendor:
		return shield.Errorf(shield.Invalid, "", "the archive is of %s and the server is %s: they do not understand each other's SQL in all%s", from, server, ignore)
	case n.All && (from.Version.Major != server.Version.Major || from.Version.Minor != server.Version.Minor):
		return shield.Errorf(shield.Invalid, "", "the archive has the accounts and tables of %s itself, and the server is %s: the same series is wanted%s", from, server, ignore)
	case older(server.Version, from.Version):
		return shield.Errorf(shield.Invalid, "", "the archive is of %s and the server is %s, which is older%s", from, server, ignore)
	}
	return nil
}
