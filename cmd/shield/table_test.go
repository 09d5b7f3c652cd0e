package main

import (
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	for _, c := range []struct {
		screen int
		want   []int
	}{
		{200, []int{36, 30, 10, 60}},
		{120, []int{36, 30, 10, 38}},
		{100, []int{36, 24, 10, 24}},
		{40, []int{36, 10, 10, 10}}, // no less, and never a UUID
	} {
		widths := []int{36, 30, 10, 60}
		fit([]string{"uuid", "target", "raw", "notes"}, widths, c.screen)
		for i, n := range c.want {
			if widths[i] != n {
				t.Errorf("%d: %v, want %v", c.screen, widths, c.want)
				break
			}
		}
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	rows := [][]string{{"ü", "one\ntwo\x1b[31m"}, {"a long name", ""}}
	if err := table(&b, []string{"name", "summary"}, rows); err != nil {
		t.Fatal(err)
	}
	want := "NAME         SUMMARY\nü            one two\\x1b[31m\na long name\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	if err := printRow(&b, []string{"a long name", "x"}, []int{5, 0}, nil); err != nil || b.String() != "a lo…  x\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestUnits(t *testing.T) {
	for text, seconds := range map[string]int64{"1s": 1, "90m": 5400, "36h": 129600, "30d": 2592000, "8w": 4838400, "1y": 31536000} {
		if n, err := parseExpiry(text); err != nil || n != seconds {
			t.Errorf("parseExpiry(%s) = %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "d", "30", "0d", "-1d", "1.5d", "1 d", "1D", "٣d", "9223372036854775807y", "1e3d"} {
		if n, err := parseExpiry(text); err == nil {
			t.Errorf("parseExpiry(%q) = %d", text, n)
		}
	}
	for n, text := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 30: "1.0 GiB", 1 << 62: "4096.0 PiB"} {
		if size(n) != text {
			t.Errorf("size(%d) = %s, want %s", n, size(n), text)
		}
	}
}
