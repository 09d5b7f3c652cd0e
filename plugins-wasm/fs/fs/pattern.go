package fs

import (
	"path"
	"strings"

	"github.com/shieldhq/shield"
)

// A pattern is one glob, as in a .gitignore file.
type pattern struct {
	segments []string
	anywhere bool // matches the base name at any depth
	folders  bool // ended in a slash: matches folders only
}

type patterns []pattern

// parsePatterns reads patterns separated by commas or newlines. Its error is
// Invalid and names the pattern.
func parsePatterns(field, text string) (patterns, error) {
	var ps patterns
	for _, s := range splitPatterns(text) {
		p, problem := parsePattern(s)
		if problem != "" {
			return nil, shield.FieldErrorf("endpoint."+field, "has the pattern %q: %s", s, problem)
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// splitPatterns leaves an escaped comma in its pattern.
func splitPatterns(text string) []string {
	var out []string
	start, escaped := 0, false
	for i := 0; i <= len(text); i++ {
		if i == len(text) || !escaped && text[i] == ',' || text[i] == '\n' {
			if s := strings.TrimSpace(text[start:i]); s != "" {
				out = append(out, s)
			}
			start, escaped = i+1, false
			continue
		}
		escaped = text[i] == '\\' && !escaped
	}
	return out
}

func parsePattern(s string) (p pattern, problem string) {
	if strings.HasPrefix(s, "!") {
		return p, `there is no negation; write \! for a name that begins so`
	}
	body, folders := strings.CutSuffix(s, "/")
	p.folders = folders
	p.anywhere = !strings.Contains(body, "/")
	body = strings.TrimPrefix(strings.TrimPrefix(body, "./"), "/")
	p.segments = strings.Split(body, "/")
	for _, seg := range p.segments {
		if seg == "" || seg == "." || seg == ".." {
			return p, "it has an empty, . or .. segment: a path below base_dir is wanted"
		}
		if _, err := path.Match(seg, ""); err != nil {
			return p, `its syntax is wrong: *, ?, **, [a-z] and \ before a special character are known`
		}
	}
	if p.segments[len(p.segments)-1] == "**" {
		// As in .gitignore, a/** matches what is in a, not a itself.
		p.segments = append(p.segments, "*")
	}
	return p, ""
}

// match reports whether one of the patterns matches a path relative to
// base_dir.
func (ps patterns) match(name string, folder bool) bool {
	for i := range ps {
		if ps[i].match(name, folder) {
			return true
		}
	}
	return false
}

func (p *pattern) match(name string, folder bool) bool {
	if p.folders && !folder {
		return false
	}
	if p.anywhere {
		return matchSegments(p.segments, []string{name[strings.LastIndexByte(name, '/')+1:]})
	}
	return matchSegments(p.segments, strings.Split(name, "/"))
}

// matchSegments backtracks to the last ** only, so its time is bounded by the
// product of both lengths.
func matchSegments(pat, name []string) bool {
	p, n := 0, 0
	starP, starN := -1, 0
	for n < len(name) {
		if p < len(pat) && pat[p] == "**" {
			starP, starN = p, n
			p++
			continue
		}
		if p < len(pat) {
			if ok, _ := path.Match(pat[p], name[n]); ok {
				p, n = p+1, n+1
				continue
			}
		}
		if starP < 0 {
			return false
		}
		starN++
		p, n = starP+1, starN
	}
	for p < len(pat) && pat[p] == "**" {
		p++
	}
	return p == len(pat)
}
