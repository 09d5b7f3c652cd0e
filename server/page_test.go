package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// pages reads a list page by page and returns the field of all, calling between
// after each page.
func (f *fixture) pages(path, field string, between func()) []string {
	f.t.Helper()
	var all []string
	for next := path; next != ""; {
		a := f.do("GET", next, "")
		var page []map[string]any
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != 200 {
			f.t.Fatalf("%s: %d %s", next, a.status, a.body)
		}
		for _, v := range page {
			all = append(all, fmt.Sprint(v[field]))
		}
		next, _, _ = strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"), ">")
		between()
	}
	return all
}

// TestPages reads lists in pages of every size, sorted every way, while things
// are added and removed: nothing that was there all the time is missed or comes
// twice.
func TestPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var names []string
	for n := range 13 {
		names = append(names, fmt.Sprintf("n%02d", n))
		_, err := f.client.Schedules().Create(t.Context(), &shield.Schedule{Meta: shield.Meta{Name: names[n]}, Timespec: "daily 4:00"})
		f.must(err)
	}
	added := 0
	for _, size := range []int{1, 2, 5, 13, 14} {
		for _, sort := range []string{"", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"} {
			got := f.pages(fmt.Sprintf("/v1/schedules?limit=%d&sort=%s", size, sort), "name", func() {
				for _, name := range []string{fmt.Sprintf("a%03d", added), fmt.Sprintf("z%03d", added)} {
					_, err := f.client.Schedules().Create(t.Context(), &shield.Schedule{Meta: shield.Meta{Name: name}, Timespec: "daily 4:00"})
					f.must(err)
					f.must(f.client.Schedules().Delete(t.Context(), name))
				}
				added++
			})
			want := slices.Clone(names)
			if strings.HasPrefix(sort, "-") {
				slices.Reverse(want)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d by %q: %q", size, sort, got)
			}
		}
	}
}

// TestPagesOfEqualTimes: what has one time is told apart.
func TestPagesOfEqualTimes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at := time.Date(2030, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	f.must(f.scheduler.Stop(t.Context()))
	var tasks, events []string
	for range 9 {
		task := &shield.Task{Op: shield.OpTestStore, StorePlugin: "memory", RequestedAt: at}
		f.must(f.catalog.CreateTask(t.Context(), task))
		e := &shield.Event{Kind: "test.made", At: at}
		f.must(f.catalog.RecordEvent(t.Context(), e))
		tasks, events = append(tasks, task.UUID), append(events, fmt.Sprint(e.ID))
	}
	for _, c := range []struct {
		path, field string
		want        []string
	}{{"/v1/tasks?limit=2&sort=requested_at", "uuid", tasks}, {"/v1/events?limit=4&sort=at&after=2030-01-01", "id", events}} {
		if got := f.pages(c.path, c.field, func() {}); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
		slices.Reverse(c.want)
		if got := f.pages(strings.Replace(c.path, "sort=", "sort=-", 1), c.field, func() {}); !slices.Equal(got, c.want) {
			t.Errorf("%s reversed: %q, want %q", c.path, got, c.want)
		}
	}
}

// TestPagesOfArchives sorts archives by size, and keeps the filter from page to
// page.
func TestPagesOfArchives(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.setUp("b")
	var want []string
	for n := range 3 {
		f.memory.SetTarget("a", make([]byte, 1000*(n+1)))
		want = append(want, f.backup("a").UUID)
	}
	f.backup("b")
	for _, sort := range []string{"raw_size", "taken_at"} {
		if got := f.pages("/v1/archives?limit=1&target=a&status=valid&sort="+sort, "uuid", func() {}); !slices.Equal(got, want) {
			t.Errorf("by %s: %q, want %q", sort, got, want)
		}
	}
}

// TestPagesOfPlugins: what is in no table comes in pages, too.
func TestPagesOfPlugins(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.register("zip", plugintest.NewMemory())
	f.register("album", plugintest.NewMemory())
	var want []string
	plugins, err := f.client.Plugins(t.Context())
	f.must(err)
	for _, p := range plugins {
		want = append(want, p.Name)
	}
	if len(want) != 3 || !slices.IsSorted(want) {
		t.Fatalf("the plugins are %q", want)
	}
	for _, sort := range []string{"name", "-name"} {
		if got := f.pages("/v1/plugins?limit=1&sort="+sort, "name", func() {}); !slices.Equal(got, want) {
			t.Errorf("by %s: %q, want %q", sort, got, want)
		}
		slices.Reverse(want)
	}
}

func TestCursorsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.setUp("b")
	a := f.do("GET", "/v1/targets?limit=1", "")
	next, _, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"), ">")
	u, err := url.Parse(next)
	f.must(err)
	good := u.Query().Get("cursor")
	for _, c := range []struct{ path, field string }{
		{"/v1/targets?cursor=x", "cursor"}, {"/v1/targets?cursor=bnVsbA", "cursor"}, {"/v1/targets?cursor=%00", "cursor"},
		{"/v1/targets?sort=-name&cursor=" + good, "cursor"}, {"/v1/archives?cursor=" + good, "cursor"},
		{"/v1/targets?sort=colour", "sort"}, {"/v1/targets?sort=taken_at", "sort"}, {"/v1/archives?sort=name", "sort"}, {"/v1/targets?sort=name&sort=name", "sort"},
	} {
		if p := f.refused(f.do("GET", c.path, "")); p.Status != http.StatusBadRequest || p.Field != c.field {
			t.Errorf("%s: %+v", c.path, p)
		}
	}
}

// TestClientPages: the client's lists are whole, however long they are.
func TestClientPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 1203 {
		f.must(f.catalog.RecordEvent(t.Context(), &shield.Event{Kind: "test.made"}))
	}
	all, err := f.client.Events(t.Context(), nil)
	if err != nil || len(all) != 1203 || all[0].ID < all[1202].ID {
		t.Errorf("%d events, %v", len(all), err)
	}
	some, err := f.client.Events(t.Context(), url.Values{"limit": {"3"}})
	if err != nil || len(some) != 3 {
		t.Errorf("%d events, %v", len(some), err)
	}
	none, err := f.client.Targets().List(t.Context(), nil)
	if err != nil || none == nil || len(none) > 0 {
		t.Errorf("%v, %v", none, err)
	}
}
