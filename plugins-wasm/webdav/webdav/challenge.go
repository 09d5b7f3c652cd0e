package webdav

import "strings"

// A challenge is one of those by which a server asks for a proof of who sends
// a request.
// https://www.rfc-editor.org/rfc/rfc9110#section-11.3
type challenge struct {
	scheme string            // in lower case
	params map[string]string // by names in lower case
}

// parseChallenges reads headers WWW-Authenticate, each of which may hold
// several challenges. What makes no sense is left out.
func parseChallenges(lines []string) []challenge {
	var all []challenge
	for _, line := range lines {
		p := &challengeParser{text: line}
		all = append(all, p.parse()...)
	}
	return all
}

// parseParams reads a header that has only parameters.
func parseParams(line string) map[string]string {
	for _, c := range parseChallenges([]string{"x " + line}) {
		return c.params
	}
	return nil
}

type challengeParser struct{ text string }

func (p *challengeParser) parse() []challenge {
	var all []challenge
	for {
		p.text = strings.TrimLeft(p.text, " \t,=")
		name := p.token()
		if name == "" {
			if p.text == "" {
				return all
			}
			p.text = p.text[1:]
			continue
		}
		p.text = strings.TrimLeft(p.text, " \t")
		value, isParam := strings.CutPrefix(p.text, "=")
		switch {
		case !isParam:
			all = append(all, challenge{strings.ToLower(name), map[string]string{}})
		default:
			p.text = strings.TrimLeft(value, " \t")
			value = p.value()
			if len(all) > 0 {
				all[len(all)-1].params[strings.ToLower(name)] = value
			}
		}
	}
}

// token takes a token from the front, empty if there is none.
func (p *challengeParser) token() string {
	n := strings.IndexFunc(p.text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`",;=()<>@\[]?{}`, r)
	})
	if n < 0 {
		n = len(p.text)
	}
	token := p.text[:n]
	p.text = p.text[n:]
	return token
}

func (p *challengeParser) value() string {
	if !strings.HasPrefix(p.text, `"`) {
		return p.token()
	}
	var b strings.Builder
	for n := 1; n < len(p.text); n++ {
		switch c := p.text[n]; {
		case c == '"':
			p.text = p.text[n+1:]
			return b.String()
		case c == '\\' && n+1 < len(p.text):
			n++
			b.WriteByte(p.text[n])
		default:
			b.WriteByte(c)
		}
	}
	p.text = ""
	return b.String()
}

// quote returns a text as a quoted string.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
