package mysql

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// lineLimit bounds a line of comment and a command of the client.
const lineLimit = 64 << 10

// dash handles what may be a comment: two dashes, then white space.
func (l *lexer) dash() (int, error) {
	b, _ := l.r.Peek(3)
	if len(b) >= 2 && b[1] == '-' && (len(b) == 2 || b[2] <= ' ') {
		return l.line(nil)
	}
	l.mark(b[:1])
	return 1, nil
}

// line takes a comment that ends with its line.
func (l *lexer) line([]byte) (int, error) {
	alone := !l.some
	text, err := l.whole()
	if err != nil {
		return 0, err
	}
	l.newLine = true
	if alone && l.onComment != nil {
		return 0, l.onComment(text)
	}
	return 0, nil
}

// whole reads the rest of the line.
func (l *lexer) whole() (string, error) {
	var text []byte
	for {
		b, err := l.r.ReadSlice('\n')
		l.pos += int64(len(b))
		if room := lineLimit - len(text); len(text) < lineLimit {
			text = append(text, b[:min(len(b), room)]...)
		}
		switch {
		case err == nil || err == io.EOF:
			return strings.TrimRight(string(text), "\r\n"), nil
		case err.Error() != "bufio: buffer full":
			return "", err
		}
	}
}

// slash handles what may begin a comment. That of /*! and /*M! is code.
func (l *lexer) slash() (int, error) {
	b, _ := l.r.Peek(4)
	switch {
	case len(b) < 2 || b[1] != '*':
		l.mark(b[:1])
		return 1, nil
	case len(b) > 2 && b[2] == '!', len(b) > 3 && b[2] == 'M' && b[3] == '!':
		l.code++
		l.mark(b[:2])
	case l.code > 0:
		l.code++ // the server lets them nest
	default:
		l.state = comment
	}
	return 2, nil
}

// sandboxCommand begins the first line of newer dumps, which is a command to
// the client: nothing from here on may read files or run programs.
var sandboxCommand = []byte(`/*M!999999\-`)

// star handles what may be the end of /*! */.
func (l *lexer) star() (int, error) {
	b, _ := l.r.Peek(2)
	if len(b) == 2 && b[1] == '/' && l.code > 0 {
		l.code--
		if l.code == 0 && bytes.HasPrefix(l.head, sandboxCommand) {
			l.head, l.some = l.head[:0], false
		}
		return 2, nil
	}
	l.mark(b[:1])
	return 1, nil
}

var delimiterWord = []byte("DELIMITER ")

// delimiter handles the client's own command, which sets what ends a
// statement.
func (l *lexer) delimiter(b []byte) (bool, error) {
	if l.some || b[0]|0x20 != 'd' {
		return false, nil
	}
	if b, _ = l.r.Peek(len(delimiterWord)); !bytes.EqualFold(b, delimiterWord) {
		return false, nil
	}
	line, err := l.whole()
	if err != nil {
		return false, err
	}
	d := strings.TrimSpace(line[len(delimiterWord):])
	if d == "" || len(d) > 16 {
		return false, fmt.Errorf("DELIMITER %.40q before byte %d", d, l.pos)
	}
	if !interesting[d[0]] || d[0] == '\n' {
		return false, errors.New("a delimiter of letters: mysqldump writes none")
	}
	l.delim, l.newLine = []byte(d), true
	return true, nil
}
