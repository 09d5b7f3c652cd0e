package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// printList prints a table, or that there are none of what.
func printList[T any](e *env, all []*T, v view[T], what string) error {
	if e.json {
		return e.printJSON(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintf(e.err, "there are no %s\n", what)
		return err
	}
	if e.wide {
		return printWide(e, all, v)
	}
	rows := make([][]string, 0, len(all))
	for _, one := range all {
		rows = append(rows, v.row(one))
	}
	return table(e.out, v.columns, rows)
}

// printWide prints a table with all that show shows, of which nothing is cut.
func printWide[T any](e *env, all []*T, v view[T]) error {
	columns := slices.Clone(v.columns)
	var rows [][]string
	for _, one := range all {
		row := v.row(one)
		for _, l := range v.lines(one) {
			if l[0] == "" {
				continue
			}
			at := slices.Index(columns, l[0])
			if at < 0 {
				at = len(columns)
				columns = append(columns, l[0])
			}
			for len(row) <= at {
				row = append(row, "")
			}
			row[at] = l[1]
		}
		rows = append(rows, row)
	}
	for n := range rows {
		rows[n] = append(rows[n], make([]string, len(columns)-len(rows[n]))...)
	}
	return fitted(e.out, columns, rows, 0)
}

// lines are what a view has beside its columns.
func (v *view[T]) lines(one *T) [][2]string {
	var lines [][2]string
	if v.more != nil {
		lines = v.more(one)
	}
	if v.uuid != nil {
		lines = append(lines, [2]string{"uuid", v.uuid(one)})
	}
	return lines
}

// printOne prints a label and a value a line.
func printOne[T any](e *env, one *T, v view[T]) error {
	if e.json {
		return e.printJSON(one)
	}
	var lines [][2]string
	row := v.row(one)
	for i, c := range v.columns {
		lines = append(lines, [2]string{c, row[i]})
	}
	lines = append(lines, v.lines(one)...)
	width := 0
	for _, l := range lines {
		width = max(width, cells(l[0])+1)
	}
	for _, l := range lines {
		label := l[0]
		if label != "" {
			label += ":"
		}
		if err := printRow(e.out, []string{label, l[1]}, []int{width, 0}, nil); err != nil {
			return err
		}
	}
	return nil
}

// table prints rows under headings. On a terminal, long texts are cut so
// that a row fits; elsewhere nothing is.
func table(w io.Writer, columns []string, rows [][]string) error {
	return fitted(w, columns, rows, screenWidth(w))
}

// fitted prints a table for a screen of so many cells; 0: of any number.
func fitted(w io.Writer, columns []string, rows [][]string, screen int) error {
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = strings.ToUpper(c)
	}
	widths := make([]int, len(columns))
	for _, r := range append(rows, head) {
		for i := range r {
			r[i] = plain(r[i])
			widths[i] = max(widths[i], cells(r[i]))
		}
	}
	if screen > 0 {
		fit(columns, widths, screen)
	}
	if err := printRow(w, head, widths, nil); err != nil {
		return err
	}
	paint := painter(w, columns)
	for _, r := range rows {
		if err := printRow(w, r, widths, paint); err != nil {
			return err
		}
	}
	return nil
}

// gap is what separates columns.
const gap = "  "

// printRow prints cells, each as wide as its column, without space at the
// end. The last is as long as it is unless its width says otherwise. What paint
// returns for a cell takes its place.
func printRow(w io.Writer, row []string, widths []int, paint func(column int, cell string) string) error {
	var b strings.Builder
	for i, cell := range row {
		cell = plain(cell)
		if n := widths[i]; n > 0 && cells(cell) > n {
			cell = string([]rune(cell)[:n-1]) + "…"
		}
		if paint != nil {
			b.WriteString(paint(i, cell))
		} else {
			b.WriteString(cell)
		}
		b.WriteString(strings.Repeat(" ", max(widths[i]-cells(cell), 0)) + gap)
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	return err
}

// texts are the columns that may be cut: what is in others is of use only
// whole.
var texts = []string{"summary", "notes", "reason", "name", "job", "target", "store", "schedule", "retention policy", "timespec"}

// fit narrows the widest columns of text, to no less than 10 cells, until a
// row fits.
func fit(columns []string, widths []int, screen int) {
	total := len(gap) * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	for ; total > screen; total-- {
		widest := -1
		for i, c := range columns {
			if slices.Contains(texts, c) && widths[i] > 10 && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

func cells(s string) int { return utf8.RuneCountInString(s) }

// screenWidth is the width of the terminal that w is, or 0.
func screenWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// plain shows control characters as such: texts come from users and plugins,
// and are not to steer the terminal.
func plain(s string) string {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t' || r == '\n':
			b.WriteByte(' ')
		case unicode.IsControl(r):
			fmt.Fprintf(&b, "\\x%02x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
