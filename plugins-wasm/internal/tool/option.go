package tool

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
)

// SplitOptions splits a text into options as a shell would: at white space,
// except within quotes, a backslash taking the meaning from what follows.
// Nothing is expanded.
func SplitOptions(text string) ([]string, error) {
	var all []string
	var word []rune
	started, escaped := false, false
	quote := rune(0)
	for _, r := range text {
		switch {
		case escaped:
			word, escaped = append(word, r), false
		case r == '\\' && quote != '\'':
			started, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word = append(word, r)
		case r == '\'' || r == '"':
			started, quote = true, r
		case strings.ContainsRune(" \t\r\n", r):
			if started {
				all = append(all, string(word))
			}
			word, started = word[:0], false
		default:
			word, started = append(word, r), true
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("ends within quotes or after a backslash")
	}
	if started {
		all = append(all, string(word))
	}
	return all, nil
}

// CheckOptions splits the options that a field of the endpoint has and
// refuses those that are not an operator's to set, like "-f" or "--file",
// also where a program would take a part of the long name, or several short
// ones in a row.
func CheckOptions(field, text string, refused ...string) ([]string, error) {
	options, err := SplitOptions(text)
	if err != nil {
		return nil, shield.FieldErrorf("endpoint."+field, "%v", err)
	}
	for _, o := range options {
		if flag := refusedBy(o, refused); flag != "" {
			return nil, shield.FieldErrorf("endpoint."+field, "has %s: the plugin itself decides about %s", strings.SplitN(o, "=", 2)[0], flag)
		}
	}
	return options, nil
}

func refusedBy(option string, refused []string) string {
	name, _, _ := strings.Cut(option, "=")
	n := slices.IndexFunc(refused, func(flag string) bool {
		if strings.HasPrefix(flag, "--") {
			return len(name) > 2 && strings.HasPrefix(flag, name)
		}
		return len(name) > 1 && name[0] == '-' && name[1] != '-' && strings.Contains(name[1:], flag[1:])
	})
	if n < 0 {
		return ""
	}
	return refused[n]
}

// OptionFile returns the text of an option file as the programs of MySQL,
// MariaDB and others read them: a section of options, whose values are
// quoted.
func OptionFile(section string, options ...[2]string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\n", section)
	for _, o := range options {
		if strings.ContainsRune(o[1], 0) {
			return "", fmt.Errorf("%s has a NUL character", o[0])
		}
		fmt.Fprintf(&b, "%s=\"%s\"\n", o[0], optionEscapes.Replace(o[1]))
	}
	return b.String(), nil
}

var optionEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\b", `\b`)
