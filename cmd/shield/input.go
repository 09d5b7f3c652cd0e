package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/endpointarg"
	periods "github.com/shieldhq/shield/internal/period"
)

// endpoint reads an endpoint given as JSON, as @FILE, or as - for standard
// input.
func (e *env) endpoint(text string) (shield.Endpoint, error) {
	return endpointarg.Read(text, e.in)
}

// terminal is where a person can be asked, nil if nobody sits there.
func (e *env) terminal() *os.File {
	if f, ok := e.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// A period is a number of seconds, written as such or with a unit, like 90m.
type period int64

// UnmarshalText reads a period.
func (p *period) UnmarshalText(text []byte) error {
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil && n >= 0 {
		*p = period(n)
		return nil
	}
	n, err := periods.Parse(string(text))
	if err != nil || n == 0 {
		return fmt.Errorf("%q is no time: a number and s, m, h or d is wanted, like 90m", text)
	}
	*p = period(n)
	return nil
}

// parseExpiry reads a time to keep, like 30d, and returns seconds.
func parseExpiry(text string) (int64, error) {
	n, err := periods.Parse(text)
	if err != nil || n == 0 {
		return 0, shield.FieldErrorf("expiry", "%.100q is no time to keep: a number and s, m, h, d, w or y (365 days) is wanted, like 30d", text)
	}
	return n, nil
}

// limit reads a limit: a rate for both directions, none, or all of it as JSON,
// as @FILE, or as - for standard input.
func (e *env) limit(text string) (shield.Limit, error) {
	var l shield.Limit
	switch {
	case text == "" || text == "none":
		return l, nil
	case text != "-" && text[0] != '@' && text[0] != '{':
		l.Up, l.Down = text, text
		return l, nil
	}
	object, err := e.endpoint(text)
	if err != nil {
		var field *shield.Error
		if errors.As(err, &field) {
			field.Field = "limit"
		}
		return l, err
	}
	d := json.NewDecoder(bytes.NewReader(object))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, shield.FieldErrorf("limit", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return l, nil
}
