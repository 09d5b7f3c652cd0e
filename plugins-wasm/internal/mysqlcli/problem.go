package mysqlcli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// Dialect is how the programs of MySQL and MariaDB tell of failures.
func Dialect() *tool.Dialect { return &tool.Dialect{Complaint: complaint, Rules: rules} }

// meanings are the numbers of errors that mean something in particular.
var meanings = []struct {
	code    shield.Code
	numbers []int
}{
	{shield.Unauthorized, []int{1045, 1251, 1698, 1820, 1862, 2059, 4151}},
	{shield.Forbidden, []int{1044, 1142, 1143, 1227, 1370, 1410, 1419, 3118}},
	{shield.NotFound, []int{1049}},
	{shield.Unavailable, []int{1040, 1053, 1129, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1927, 2002, 2003, 2005, 2006, 2013, 2055}},
}

// rules is never written to.
var rules = makeRules()

// makeRules: the client says "ERROR 1045 (28000): ...", mysqldump "Got error:
// 1045: ...", "Error 2013: ..." or "... (1146)".
func makeRules() []tool.Rule {
	var all []tool.Rule
	for _, m := range meanings {
		for _, n := range m.numbers {
			for _, form := range []string{"error %d ", "error %d:", "error: %d:", "(%d)"} {
				all = append(all, tool.Rule{Text: fmt.Sprintf(form, n), Code: m.code})
			}
		}
	}
	return append(all,
		tool.Rule{Text: "(using password: ", Code: shield.Unauthorized},
		tool.Rule{Text: "insufficent privileges", Code: shield.Forbidden}, // as mysqldump spells it
		tool.Rule{Text: "can't connect to ", Code: shield.Unavailable},
		tool.Rule{Text: "server has gone away", Code: shield.Unavailable},
		tool.Rule{Text: "lost connection to ", Code: shield.Unavailable},
	)
}

// Lines that have nothing to do with the result, and those that mean that
// something went wrong whatever the exit status says.
var (
	harmless = regexp.MustCompile(`(?i)^(?:\S+: )?\[?(?:warning|note|info)\b|^-- Warning|\[(?:note|warning)\]|Deprecated`)
	serious  = regexp.MustCompile(`(?i)\berror\b|couldn't|can't|cannot|denied|insuffic|lost connection|\bfailed\b|disk full|no space`)
)

func complaint(line string) bool {
	line = strings.TrimSpace(line)
	return !harmless.MatchString(line) && serious.MatchString(line)
}
