package timespec

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/shieldhq/shield"
)

// Limit is the length, in bytes, of the longest timespec.
const Limit = 1000

// Parse reads a timespec, case-insensitively:
//
//	every minute | every N minutes          N 1 to 1440, a grid from midnight
//	hourly [at] :MM | every hour [at] :MM
//	daily [at] TIME | every day [at] TIME
//	DAYS [at] TIME                          "sundays", "mondays, fridays", "weekdays"
//
// A TIME is 16:30, 4:30 pm, 4pm, noon or midnight. An error is Invalid and
// says at which byte what was wrong and what would be right.
func Parse(text string) (Spec, error) {
	if len(text) > Limit {
		return Spec{}, shield.FieldErrorf("timespec", "has %d bytes: at most %d are allowed", len(text), Limit)
	}
	p := &parser{text: text, tokens: scan(text)}
	s, err := p.spec()
	if err == nil && !p.done() {
		err = p.errorf("nothing more was expected after a complete schedule")
	}
	return s, err
}

// A token is a word, a number, or one other character.
type token struct {
	text  string // in lower case
	at    int
	isNum bool
}

func scan(text string) []token {
	var tokens []token
	for i := 0; i < len(text); {
		c := rune(text[i])
		j := i + 1
		switch {
		case unicode.IsSpace(c):
			i++
			continue
		case isDigit(c):
			for j < len(text) && isDigit(rune(text[j])) {
				j++
			}
		case isLetter(c):
			for j < len(text) && isLetter(rune(text[j])) {
				j++
			}
		}
		tokens = append(tokens, token{strings.ToLower(text[i:j]), i, isDigit(c)})
		i = j
	}
	return tokens
}

func isDigit(c rune) bool  { return '0' <= c && c <= '9' }
func isLetter(c rune) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

type parser struct {
	text   string
	tokens []token
	pos    int
}

func (p *parser) done() bool { return p.pos >= len(p.tokens) }

func (p *parser) peek() token {
	if p.done() {
		return token{at: len(p.text)}
	}
	return p.tokens[p.pos]
}

func (p *parser) accept(words ...string) bool {
	for _, w := range words {
		if !p.done() && p.peek().text == w {
			p.pos++
			return true
		}
	}
	return false
}

// errorf returns an error at the next token.
func (p *parser) errorf(format string, args ...any) error {
	t := p.peek()
	where := fmt.Sprintf("at byte %d, %q", t.at, t.text)
	if p.done() {
		where = "at its end"
	}
	return shield.FieldErrorf("timespec", "%q: %s: %s", p.text, where, fmt.Sprintf(format, args...))
}

const forms = `"every 5 minutes", "hourly at :15", "daily 4:00" or "sundays 8am" would be right`

func (p *parser) spec() (Spec, error) {
	switch {
	case p.done():
		return Spec{}, p.errorf("is empty: %s", forms)
	case p.accept("every"):
		return p.everySpec()
	case p.accept("hourly"):
		return p.hourlySpec()
	case p.accept("daily"):
		return p.at(allDays)
	}
	set, err := p.dayList()
	if err != nil {
		return Spec{}, err
	}
	return p.at(set)
}

func (p *parser) everySpec() (Spec, error) {
	switch {
	case p.accept("minute"):
		return Spec{kind: everyMinutes, every: 1}, nil
	case p.accept("hour"):
		return p.hourlySpec()
	case p.accept("day"):
		return p.at(allDays)
	}
	n, err := p.number("minutes between runs", 1, 1440)
	if err != nil {
		return Spec{}, err
	}
	if !p.accept("minutes", "minute") {
		return Spec{}, p.errorf(`"minutes" was expected`)
	}
	return Spec{kind: everyMinutes, every: n}, nil
}

func (p *parser) hourlySpec() (Spec, error) {
	p.accept("at")
	p.accept("h", "x")
	p.accept(":")
	m, err := p.number("minute", 0, 59)
	return Spec{kind: hourly, minute: m}, err
}

// number reads a number and checks its range.
func (p *parser) number(what string, low, high int) (int, error) {
	t := p.peek()
	n, err := strconv.Atoi(t.text)
	if !t.isNum || (err != nil && len(t.text) < 10) {
		return 0, p.errorf("a number was expected (%s, %d to %d)", what, low, high)
	}
	if err != nil || n < low || n > high {
		return 0, p.errorf("%s %s: it runs %d to %d", what, t.text, low, high)
	}
	p.pos++
	return n, nil
}

// at reads [at] TIME for a set of days.
func (p *parser) at(set days) (Spec, error) {
	p.accept("at")
	s := Spec{kind: daily, days: set}
	switch {
	case p.accept("noon"):
		s.hour = 12
		return s, nil
	case p.accept("midnight"):
		return s, nil
	}
	var err error
	if s.hour, err = p.number("hour", 0, 23); err != nil {
		return s, err
	}
	minutes := p.accept(":")
	if minutes {
		if s.minute, err = p.number("minute", 0, 59); err != nil {
			return s, err
		}
	}
	return s, p.halfDay(&s, minutes)
}

// halfDay reads am or pm, which a time without minutes must have.
func (p *parser) halfDay(s *Spec, minutes bool) error {
	half := p.peek().text
	if half != "am" && half != "pm" {
		if minutes {
			return nil
		}
		return p.errorf(`hour %d: am, pm or minutes were expected, like "%d:00"`, s.hour, s.hour)
	}
	if s.hour < 1 || s.hour > 12 {
		return p.errorf("hour %d: with am or pm hours run 1 to 12", s.hour)
	}
	p.pos++
	s.hour %= 12
	if half == "pm" {
		s.hour += 12
	}
	return nil
}

func (p *parser) dayList() (days, error) {
	var set days
	for {
		d, err := p.day()
		if err != nil {
			return 0, err
		}
		set |= d
		comma := p.accept(",")
		if !p.accept("and") && !comma {
			return set, nil
		}
	}
}

func (p *parser) day() (days, error) {
	word := p.peek().text
	switch strings.TrimSuffix(word, "s") {
	case "weekday":
		p.pos++
		return allDays &^ (1<<time.Sunday | 1<<time.Saturday), nil
	case "weekend":
		p.pos++
		return 1<<time.Sunday | 1<<time.Saturday, nil
	}
	if len(word) >= 3 {
		for w := time.Sunday; w <= time.Saturday; w++ {
			if strings.HasPrefix(strings.ToLower(w.String())+"s", word) {
				p.pos++
				return 1 << w, nil
			}
		}
	}
	if d := nearestDay(word); d != "" {
		return 0, p.errorf("did you mean %s?", d)
	}
	return 0, p.errorf("%s", forms)
}

// nearestDay returns the day's name that a misspelt word is closest to.
func nearestDay(word string) string {
	best, least := "", 3
	for w := time.Sunday; w <= time.Saturday; w++ {
		name := strings.ToLower(w.String())
		if d := distance(word, name); len(word) > 4 && d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
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
