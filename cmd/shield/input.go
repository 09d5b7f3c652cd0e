package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/endpointarg"
)

// endpoint reads an endpoint given as JSON, as @FILE, or as - for standard
// input.
func (e *env) endpoint(text string) (shield.Endpoint, error) {
	return endpointarg.Read(text, e.in)
}

var expiryUnits = map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400, 'y': 365 * 86400}

// A period is a number of seconds, written as such or with a unit, like 90m.
type period int64

// UnmarshalText reads a period.
func (p *period) UnmarshalText(text []byte) error {
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil && n >= 0 {
		*p = period(n)
		return nil
	}
	n, err := parseExpiry(string(text))
	if err != nil {
		return fmt.Errorf("%q is no time: a number and s, m, h or d is wanted, like 90m", text)
	}
	*p = period(n)
	return nil
}

// parseExpiry reads a time to keep, like 30d, and returns seconds.
func parseExpiry(text string) (int64, error) {
	bad := shield.FieldErrorf("expiry", "%q is no time to keep: a number and s, m, h, d, w or y (365 days) is wanted, like 30d", text)
	if len(text) < 2 {
		return 0, bad
	}
	unit := expiryUnits[text[len(text)-1]]
	n, err := strconv.ParseInt(text[:len(text)-1], 10, 64)
	if err != nil || unit == 0 || n < 1 || n > math.MaxInt64/unit {
		return 0, bad
	}
	return n * unit, nil
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
