package pg

import (
	"bytes"
	"strings"
)

// A statement of SQL as psql reads it, or a line for psql itself, which
// begins with a backslash.
type statement struct {
	text string // without what surrounds it and without comments before it
	end  int    // where it ends in the script
}

// words returns the first words, in capitals, of a statement.
func (s *statement) words(n int) string {
	f := strings.Fields(s.text)
	return strings.ToUpper(strings.Join(f[:min(n, len(f))], " "))
}

// next returns the statement that begins at or after from. It is not found
// if the script ends before it does.
func next(script []byte, from int) (statement, bool) {
	p := skip(script, from)
	if p < 0 || p >= len(script) {
		return statement{}, false
	}
	if script[p] == '\\' {
		n := bytes.IndexByte(script[p:], '\n')
		if n < 0 {
			return statement{}, false
		}
		return statement{string(script[p : p+n]), p + n + 1}, true
	}
	for start := p; p >= 0 && p < len(script); {
		if script[p] == ';' {
			return statement{string(script[start : p+1]), p + 1}, true
		}
		p = token(script, p)
	}
	return statement{}, false
}

// skip passes white space and comments, -1 if one of them has no end.
func skip(b []byte, p int) int {
	for p >= 0 && p < len(b) {
		switch {
		case b[p] <= ' ':
			p++
		case bytes.HasPrefix(b[p:], []byte("--")), bytes.HasPrefix(b[p:], []byte("/*")):
			p = token(b, p)
		default:
			return p
		}
	}
	return p
}

// token returns the end of the token at p, -1 if it has none.
func token(b []byte, p int) int {
	rest := b[p:]
	switch {
	case bytes.HasPrefix(rest, []byte("--")):
		return after(b, p, "\n")
	case bytes.HasPrefix(rest, []byte("/*")):
		return commentEnd(b, p+2)
	case rest[0] == '\'':
		return quoteEnd(b, p+1, '\'', escaping(b, p))
	case rest[0] == '"':
		return quoteEnd(b, p+1, '"', false)
	case rest[0] == '$':
		if tag := dollarTag(b, p); tag != "" {
			return after(b, p+len(tag), tag)
		}
	}
	return p + 1
}

// escaping reports whether the quote at p begins a string like E'...'.
func escaping(b []byte, p int) bool {
	return p > 0 && (b[p-1] == 'E' || b[p-1] == 'e') && (p == 1 || !wordByte(b[p-2]))
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func after(b []byte, p int, mark string) int {
	n := bytes.Index(b[p:], []byte(mark))
	if n < 0 {
		return -1
	}
	return p + n + len(mark)
}

func commentEnd(b []byte, p int) int {
	for depth := 1; p+1 < len(b); p++ {
		switch string(b[p : p+2]) {
		case "/*":
			depth++
			p++
		case "*/":
			p++
			if depth--; depth == 0 {
				return p + 1
			}
		}
	}
	return -1
}

func quoteEnd(b []byte, p int, quote byte, escapes bool) int {
	for ; p < len(b); p++ {
		switch {
		case escapes && b[p] == '\\':
			p++
		case b[p] == quote && p+1 < len(b) && b[p+1] == quote:
			p++
		case b[p] == quote:
			return p + 1
		}
	}
	return -1
}

// dollarTag returns the $tag$ at p, if there is one.
func dollarTag(b []byte, p int) string {
	if p > 0 && wordByte(b[p-1]) {
		return ""
	}
	for n := p + 1; n < len(b); n++ {
		switch {
		case b[n] == '$':
			return string(b[p : n+1])
		case !wordByte(b[n]) || n == p+1 && b[n] >= '0' && b[n] <= '9':
			return ""
		}
	}
	return ""
}

// statements returns the statements of a whole script.
func statements(script []byte) (all []statement, complete bool) {
	p := 0
	for {
		s, ok := next(script, p)
		if !ok {
			rest := skip(script, p)
			return all, rest >= len(script)
		}
		all, p = append(all, s), s.end
	}
}

// nameAfter returns where in a statement the name stands that follows the
// words, which must be whole tokens, and the name itself. It looks at the
// top level only, so that no text of a user is taken for a word.
func nameAfter(text string, words ...string) (from, to int, name string) {
	b := []byte(text)
	matched := 0
	for p := skip(b, 0); p >= 0 && p < len(b); p = skip(b, p) {
		end := wordEnd(b, p)
		if matched == len(words) {
			return p, end, unquote(string(b[p:end]))
		}
		switch word := string(b[p:end]); {
		case strings.EqualFold(word, words[matched]):
			matched++
		case strings.EqualFold(word, words[0]):
			matched = 1
		default:
			matched = 0
		}
		p = end
	}
	return 0, 0, ""
}

func wordEnd(b []byte, p int) int {
	if !wordByte(b[p]) {
		if end := token(b, p); end > 0 {
			return end
		}
		return len(b)
	}
	for p < len(b) && (wordByte(b[p]) || b[p] == '$') {
		p++
	}
	return p
}

func unquote(ident string) string {
	if len(ident) >= 2 && ident[0] == '"' {
		return strings.ReplaceAll(ident[1:len(ident)-1], `""`, `"`)
	}
	return ident
}

// renamed returns a statement about the database old as one about another.
func renamed(text, old, to string) string {
	from, end, name := nameAfter(text, "DATABASE")
	if name != old || end == 0 {
		return text
	}
	return text[:from] + Ident(to) + text[end:]
}
