package timespec

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// A cursor reads a text from left to right. White space between words is
// optional, and letters match whatever their case.
type cursor struct {
	field string // what the text is, for errors
	text  string
	lower string // text with the letters A to Z in lower case: offsets agree
	pos   int
	end   int
}

func newCursor(field, text string) *cursor {
	c := &cursor{field: field, text: text, lower: lowerASCII(text), end: len(text)}
	for c.end > 0 && isSpace(text[c.end-1]) {
		c.end--
	}
	return c
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, x := range b {
		if 'A' <= x && x <= 'Z' {
			b[i] = x + 'a' - 'A'
		}
	}
	return string(b)
}

func isSpace(x byte) bool  { return x == ' ' || '\t' <= x && x <= '\r' }
func isDigit(x byte) bool  { return '0' <= x && x <= '9' }
func isLetter(x byte) bool { return 'a' <= x && x <= 'z' || 'A' <= x && x <= 'Z' }

func (c *cursor) skipSpace() {
	for c.pos < c.end && isSpace(c.lower[c.pos]) {
		c.pos++
	}
}

// rest is what was not read yet, in lower case.
func (c *cursor) rest() string {
	c.skipSpace()
	return c.lower[c.pos:c.end]
}

func (c *cursor) done() bool { return c.rest() == "" }

// accept reads the first of the words that the rest begins with. A word that
// begins with another has to come before it.
func (c *cursor) accept(words ...string) bool {
	return c.acceptWord(words...) != ""
}

func (c *cursor) acceptWord(words ...string) string {
	rest := c.rest()
	for _, w := range words {
		if strings.HasPrefix(rest, w) {
			c.pos += len(w)
			return w
		}
	}
	return ""
}

// glued reads a text that follows without space.
func (c *cursor) glued(text string) bool {
	if !strings.HasPrefix(c.lower[c.pos:c.end], text) {
		return false
	}
	c.pos += len(text)
	return true
}

// token returns the word or number at the cursor, or one other character.
func (c *cursor) token() string {
	rest := c.rest()
	for _, is := range []func(byte) bool{isDigit, isLetter} {
		n := 0
		for n < len(rest) && is(rest[n]) {
			n++
		}
		if n > 0 {
			return c.text[c.pos : c.pos+n]
		}
	}
	for i := range rest {
		if i > 0 {
			return c.text[c.pos : c.pos+i]
		}
	}
	return c.text[c.pos : c.pos+len(rest)]
}

// errorf returns an error about what is at the cursor.
func (c *cursor) errorf(format string, args ...any) error {
	where := "at its end"
	if !c.done() {
		where = fmt.Sprintf("at byte %d, %q", c.pos, c.token())
	}
	return shield.FieldErrorf(c.field, "%q: %s: %s", c.text, where, fmt.Sprintf(format, args...))
}

func (c *cursor) unexpected() error {
	return c.errorf("nothing more was expected after a complete schedule")
}

// unknown is an error at a word that is none of those that could be there.
func (c *cursor) unknown(otherwise string, words ...string) error {
	if w := nearest(lowerASCII(c.token()), words); w != "" {
		return c.errorf("did you mean %s?", w)
	}
	return c.errorf("%s", otherwise)
}

// A unit is what numbers count, and the range that they have.
type unit struct {
	name, plural string
	low, high    int
	names        []string // in lower case, of the numbers from low on
}

var (
	minuteUnit = unit{name: "minute", plural: "minutes", low: 0, high: 59}
	hourUnit   = unit{name: "hour", plural: "hours", low: 0, high: 23}
	dateUnit   = unit{name: "day", plural: "days of the month", low: 1, high: 31}
	monthUnit  = unit{name: "month", plural: "months", low: 1, high: 12, names: monthNames()}
	dayUnit    = unit{name: "day of the week", plural: "days of the week", low: 0, high: 7, names: dayNames()}
	yearUnit   = unit{name: "year", plural: "years", low: firstYear, high: firstYear + yearCount - 1}
)

func monthNames() []string {
	var names []string
	for m := time.January; m <= time.December; m++ {
		names = append(names, strings.ToLower(m.String()))
	}
	return names
}

func dayNames() []string {
	var names []string
	for w := time.Sunday; w <= time.Saturday; w++ {
		names = append(names, strings.ToLower(w.String()))
	}
	return names
}

func (u unit) wanted() string { return fmt.Sprintf("%s run %d to %d", u.plural, u.low, u.high) }

// number reads a number and checks its range. On an error the cursor is at
// the number.
func (c *cursor) number(u unit) (int, error) {
	text := c.token()
	if text == "" || !isDigit(text[0]) {
		return 0, c.errorf("a number was expected (%s, %d to %d)", u.name, u.low, u.high)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < u.low || n > u.high {
		return 0, c.errorf("%s %s: %s", u.name, text, u.wanted())
	}
	c.pos += len(text)
	return n, nil
}

// value reads a number or a name of the unit, whole or its first three
// letters.
func (c *cursor) value(u unit) (int, error) {
	word := lowerASCII(c.token())
	if word == "" || !isLetter(word[0]) || u.names == nil {
		return c.number(u)
	}
	var short []string
	for i, name := range u.names {
		// Cron's friL is Friday and an L.
		for _, w := range []string{word, strings.TrimSuffix(word, "l")} {
			if w == name || w == name[:3] {
				c.pos += len(w)
				return u.low + i, nil
			}
		}
		short = append(short, name[:3])
	}
	return 0, c.unknown(fmt.Sprintf("a %s was expected: %s, or names like %s", u.name, u.wanted(), short[0]), append(short, u.names...)...)
}

// An item is one element of a list: a value, a range or all, with a step.
type item struct {
	from, to, step int
	all            bool // it is written with an asterisk
	single         bool
}

// each calls f with the numbers of the item.
func (i item) each(f func(int)) {
	for n := i.from; n <= i.to; n += i.step {
		f(n)
	}
}

// item reads one element of a list whose ranges are written with dash.
func (c *cursor) item(u unit, dash string) (item, error) {
	i := item{from: u.low, to: u.high, step: 1}
	var err error
	if c.glued("*") {
		i.all = true
	} else {
		at := c.pos
		if i.from, err = c.value(u); err != nil {
			return i, err
		}
		i.single, i.to = true, i.from
		if c.glued(dash) {
			i.single = false
			if i.to, err = c.value(u); err != nil {
				return i, err
			}
		}
		if i.to < i.from {
			c.pos = at
			return i, c.errorf("the range %d%s%d runs backwards: write it as two, %d%s%d and %d%s%d",
				i.from, dash, i.to, i.from, dash, u.high, u.low, dash, i.to)
		}
	}
	if !c.glued("/") {
		return i, nil
	}
	if i.step, err = c.number(unit{name: "step", plural: "steps", low: 1, high: max(u.high-u.low, 1)}); err != nil {
		return i, err
	}
	if i.single { // 5/15 is 5, 20, 35 and so on
		i.single, i.to = false, u.high
	}
	return i, nil
}

// list reads items between commas.
func (c *cursor) list(u unit, dash string, add func(int)) (first item, err error) {
	for n := 0; ; n++ {
		i, err := c.item(u, dash)
		if err != nil {
			return first, err
		}
		if n == 0 {
			first = i
		} else {
			first.all = false // only a lone asterisk stands for all
		}
		i.each(add)
		if !c.glued(",") {
			return first, nil
		}
	}
}

// cutZone takes an IANA zone from the end of the text.
func (c *cursor) cutZone() (string, error) {
	start := c.end
	for start > 0 && !isSpace(c.text[start-1]) {
		start--
	}
	name := c.text[start:c.end]
	if start == 0 || !likeZone(name) {
		return "", nil
	}
	if _, err := time.LoadLocation(name); err != nil {
		c.pos = start
		return "", c.errorf(`the time zone %q is unknown: a name like "Europe/Rome" is wanted`, name)
	}
	for c.end = start; c.end > 0 && isSpace(c.text[c.end-1]); {
		c.end--
	}
	return name, nil
}

// likeZone reports whether a word has the form of a zone's name, like
// Europe/Rome: nothing else in a timespec has a slash before a capital.
func likeZone(name string) bool {
	if name == "UTC" {
		return true
	}
	area, city, found := strings.Cut(name, "/")
	capital := func(s string) bool { return s != "" && 'A' <= s[0] && s[0] <= 'Z' }
	return found && capital(area) && capital(city) && !strings.ContainsAny(name, "*,.:")
}

// nearest returns the one of words that a misspelt word is closest to, or "".
func nearest(word string, words []string) string {
	best, least := "", 3
	for _, w := range words {
		// In a short word, two wrong letters are a different word.
		if d := distance(word, w); d < least && d*3 <= len(word) {
			best, least = w, d
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	if len(a) > 2*len(b)+2 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
