package mysql

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// A lexer reads a script of SQL the way the command-line client does and
// tells what it is made of: comments that end with the line, statements, and
// the tuples of values within them. It keeps no more than the begin of each.
type lexer struct {
	r     *bufio.Reader
	pos   int64
	delim []byte

	// onComment gets the text of each comment of a line of its own, onStatement
	// the begin of each statement, without strings and with the number of
	// tuples that follow VALUES.
	onComment   func(line string) error
	onStatement func(head string, tuples int64) error

	state   state
	depth   int // of parentheses
	code    int // of /*! */, whose content is code
	head    []byte
	some    bool   // the statement has something
	values  bool   // VALUES has come
	last    uint64 // the last letters, in upper case
	tuples  int64
	newLine bool // nothing of the line has come
}

// A state is what the lexer is within.
type state byte

const (
	plain   state = 0
	comment state = '*' // /* */
	// The others are the quotes ' " and `.
)

// headLimit is how much of a statement is kept.
const headLimit = 300

// interesting are the bytes that mean something in code; all others are
// passed over at once.
var interesting = [256]bool{
	'\'': true, '"': true, '`': true, '-': true, '#': true, '/': true, '*': true,
	'(': true, ')': true, ';': true, '\n': true, '$': true, '@': true, '|': true, '~': true, '%': true, '!': true, '\\': true,
}

func newLexer(r io.Reader) *lexer {
	return &lexer{r: bufio.NewReaderSize(r, 256<<10), delim: []byte(";"), newLine: true}
}

// run reads to the end. An error of the reader comes through; any other says
// where the script is broken.
func (l *lexer) run() error {
	for {
		b, err := l.r.Peek(1)
		if err == io.EOF {
			return l.ended()
		}
		if err != nil {
			return err
		}
		if n := l.r.Buffered(); n > 1 {
			b, _ = l.r.Peek(n)
		}
		n, err := l.step(b)
		if err != nil {
			return err
		}
		l.skip(n)
	}
}

func (l *lexer) skip(n int) {
	_, _ = l.r.Discard(n) // they are buffered
	l.pos += int64(n)
}

func (l *lexer) ended() error {
	switch {
	case l.state == comment:
		return errors.New("it ends within a comment")
	case l.state != plain:
		return fmt.Errorf("it ends within text in %c quotes", l.state)
	case l.some:
		return fmt.Errorf("it ends within a statement: %.60q", l.head)
	}
	return nil
}

// step takes some of what is buffered and returns how much that was.
func (l *lexer) step(b []byte) (int, error) {
	switch {
	case l.state == comment:
		return l.inComment(b), nil
	case l.state != plain:
		return l.inQuotes(b), nil
	}
	n := 0
	for n < len(b) && !interesting[b[n]] {
		n++
	}
	if n > 0 && (l.newLine || !l.some) {
		if ok, err := l.delimiter(b); ok || err != nil {
			return 0, err
		}
	}
	if n > 0 {
		l.text(b[:n])
		return n, nil
	}
	return l.special(b)
}

// inComment looks for the end of a comment.
func (l *lexer) inComment(b []byte) int {
	if n := bytes.Index(b, []byte("*/")); n >= 0 {
		l.state = plain
		return n + 2
	}
	if len(b) == 1 {
		return 1 - l.more(2)
	}
	return len(b) - 1
}

// more returns 1 if so many bytes are there after all, so that what was
// looked at has to be looked at again.
func (l *lexer) more(n int) int {
	if b, _ := l.r.Peek(n); len(b) >= n {
		return 1
	}
	return 0
}

// inQuotes looks for the end of quoted text. Doubled quotes end it and begin
// it anew.
func (l *lexer) inQuotes(b []byte) int {
	q := byte(l.state)
	for n := 0; n < len(b); n++ {
		if b[n] == q {
			l.state = plain
			l.name(b[:n+1])
			return n + 1
		}
		if b[n] == '\\' && q != '`' {
			if n+1 == len(b) {
				l.name(b[:n])
				if n > 0 {
					return n
				}
				return 1 - l.more(2)
			}
			n++
		}
	}
	l.name(b)
	return len(b)
}

// name keeps what is in backticks, up to some length: it is a name.
func (l *lexer) name(b []byte) {
	if l.state == '`' || len(b) > 0 && b[len(b)-1] == '`' {
		l.keep(b)
	}
}

func (l *lexer) keep(b []byte) {
	if l.values {
		return
	}
	l.head = append(l.head, b[:min(len(b), max(0, headLimit-len(l.head)))]...)
}

// text takes note of code without anything special.
func (l *lexer) text(b []byte) {
	trimmed := bytes.TrimSpace(b)
	if len(trimmed) > 0 {
		l.some, l.newLine = true, false
	}
	if l.some {
		l.keep(b)
	}
	for n := 0; n < len(trimmed) && !l.values; n++ {
		if c := trimmed[n]; c > ' ' {
			l.last = l.last<<8 | uint64(c&^0x20)
		}
	}
}

// isValues reports whether the last word was the VALUES of an INSERT or a
// REPLACE.
func (l *lexer) isValues() bool {
	const values, mask = 'V'<<40 | 'A'<<32 | 'L'<<24 | 'U'<<16 | 'E'<<8 | 'S', 1<<48 - 1
	return l.last&mask == values && len(l.head) > 0 && (l.head[0]|0x20 == 'i' || l.head[0]|0x20 == 'r')
}

// special handles a byte that means something.
func (l *lexer) special(b []byte) (int, error) {
	if n := l.ends(b); n != 0 {
		return max(n, 0), l.finish(n)
	}
	switch c := b[0]; c {
	case '\n':
		l.newLine = true
		if l.some {
			l.keep(b[:1])
		}
		return 1, nil
	case '\'', '"', '`':
		l.state = state(c)
		l.mark(b[:1])
		return 1, nil
	case '(':
		l.values = l.values || l.depth == 0 && l.isValues()
		if l.depth == 0 && l.values {
			l.tuples++
		}
		l.depth++
	case ')':
		l.depth--
	case '#':
		return l.line(b)
	case '-':
		return l.dash()
	case '/':
		return l.slash()
	case '*':
		return l.star()
	}
	l.mark(b[:1])
	return 1, nil
}

// mark takes note of something that belongs to the statement.
func (l *lexer) mark(b []byte) {
	l.some, l.newLine, l.last = true, false, 0
	l.keep(b)
}

// ends returns the length of the delimiter if it is here, 0 if not, and -1 if
// more has to be buffered to know.
func (l *lexer) ends(b []byte) int {
	if b[0] != l.delim[0] {
		return 0
	}
	if len(b) < len(l.delim) {
		b, _ = l.r.Peek(len(l.delim))
	}
	if bytes.HasPrefix(b, l.delim) {
		return len(l.delim)
	}
	return 0
}

// finish ends a statement.
func (l *lexer) finish(int) error {
	head, tuples := string(bytes.TrimSpace(l.head)), l.tuples
	some, depth := l.some, l.depth
	l.head, l.tuples, l.some, l.values, l.depth, l.code = l.head[:0], 0, false, false, 0, 0
	l.newLine, l.last = false, 0
	if depth != 0 {
		return fmt.Errorf("the parentheses of a statement before byte %d do not match: %.60q", l.pos, head)
	}
	if some && l.onStatement != nil {
		return l.onStatement(head, tuples)
	}
	return nil
}
