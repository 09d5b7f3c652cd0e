package calling

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// escape matches what terminals act on: CSI and OSC sequences and the rest of
// the two-byte ones, in their 7-bit form.
var escape = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])")

// Clean returns a line that is safe to show in a terminal, a log or a page:
// valid UTF-8 without control characters, escape sequences and characters
// that change the direction of text.
func Clean(line string) string {
	line = strings.ToValidUTF8(line, "\uFFFD")
	line = escape.ReplaceAllString(line, "")
	// A progress bar rewrites its line: what a terminal would show is its end.
	line = strings.TrimRight(line, "\r\n")
	line = line[strings.LastIndexByte(line, '\r')+1:]
	line = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r), r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return -1
		}
		return r
	}, line)
	return strings.TrimRight(line, " ")
}

// Cut shortens valid UTF-8 to at most limit bytes.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

// secretMin is the length below which a secret is not looked for in texts:
// it would be found everywhere and so be told by what is hidden.
const secretMin = 4

// Secrets returns the values of the secret fields that e has.
func Secrets(info *plugin.Info, r plugin.Role, e shield.Endpoint) ([]string, error) {
	m, err := e.Fields()
	if err != nil {
		return nil, err
	}
	var values []string
	for _, name := range info.Secrets(r) {
		if v, _ := m[name].(string); v != "" {
			values = append(values, v)
		}
	}
	return values, nil
}

// redactor replaces secrets as they are and as they look in JSON and in URLs.
// Of a text of several lines each long line is a secret.
func redactor(secrets []string) *strings.Replacer {
	var pairs []string
	for _, s := range secrets {
		parts := append(strings.Split(s, "\n"), s)
		for _, part := range parts {
			if len(part) < secretMin || strings.HasPrefix(part, "-----") {
				continue
			}
			quoted, _ := json.Marshal(part) // a string always encodes
			for _, form := range []string{part, string(quoted[1 : len(quoted)-1]), url.QueryEscape(part), url.PathEscape(part)} {
				pairs = append(pairs, form, shield.Redacted)
			}
		}
	}
	return strings.NewReplacer(pairs...)
}
