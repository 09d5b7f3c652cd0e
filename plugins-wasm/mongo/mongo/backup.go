package mongo

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// Backup implements plugin.Target.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	s, err := t.source(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := t.checkPrivileges(ctx, s); err != nil {
		return err
	}
	args := []string{configFlag, "--archive"}
	if t.Database != "" {
		args = append(args, "--db="+t.Database)
	}
	var r tool.Result
	err = t.run(ctx, func(ctx context.Context) (err error) {
		r, err = t.host.Run(ctx, tool.Job{Name: "mongodump", Args: append(args, t.dump...), Files: t.files(), Stdout: w, Tail: tailSize})
		return err
	})
	if err != nil {
		return err
	}
	if err := checkEnd(s, r, len(t.dump) > 0); err != nil {
		return err
	}
	return t.checkSame(ctx, s)
}

// tailSize is how much of the end of an archive is looked at. A shorter one
// is looked at as a whole.
const tailSize = 64 << 10

// checkEnd looks whether an archive whose tool ended well is whole. Options
// may well leave collections out.
func checkEnd(s *source, r tool.Result, options bool) error {
	var has func(x collection) bool
	if len(r.Tail) < tailSize {
		a, err := readArchive(bytes.NewReader(r.Tail))
		if err != nil {
			return shield.Errorf(shield.TargetFailed, "", "what mongodump wrote is no whole archive: %v", err)
		}
		has = func(x collection) bool {
			return slices.ContainsFunc(a.spaces, func(n *namespace) bool { return n.db == x.db && n.collection == x.name })
		}
	} else if !endsWell(r.Tail) {
		return shield.Errorf(shield.TargetFailed, "", "mongodump has ended without an error but within a collection: the archive is not whole")
	}
	if options || has == nil {
		return nil
	}
	for _, x := range s.collections {
		if !has(x) {
			return shield.Errorf(shield.TargetFailed, "", "the archive lacks the collection %s", x)
		}
	}
	return nil
}

// endsWell reports whether the end of an archive is the end of a collection:
// a document that says so, and a terminator.
func endsWell(tail []byte) bool {
	if len(tail) < 9 || binary.LittleEndian.Uint32(tail[len(tail)-4:]) != terminator {
		return false
	}
	tail = tail[:len(tail)-4]
	for n := len(tail) - 5; n >= 0; n-- {
		if int(binary.LittleEndian.Uint32(tail[n:])) != len(tail)-n {
			continue
		}
		m, err := document(tail[n:]).decode()
		if ends, _ := m["EOF"].(bool); err == nil && ends && m["db"] != nil && m["collection"] != nil {
			return true
		}
	}
	return false
}

// checkSame looks whether a collection was dropped meanwhile: mongodump may
// take it for one without documents.
func (t *target) checkSame(ctx context.Context, before *source) error {
	after := &source{conn: before.conn}
	if err := after.ask(ctx, t.Database); err != nil && shield.CodeOf(err) != shield.NotFound {
		return err
	}
	for _, x := range before.collections {
		if !slices.Contains(after.collections, x) {
			return shield.Errorf(shield.TargetFailed, "", "the collection %s was dropped during the dump", x)
		}
	}
	return nil
}

// Test implements plugin.Tester.
func (t *target) Test(ctx context.Context) error {
	s, err := t.source(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, name := range []string{"mongodump", "mongorestore"} {
		v, err := tool.VersionOf(ctx, t.host, name)
		if err != nil {
			return err
		}
		t.log(name + " " + v.Text + ", server " + s.version.Text + " on " + s.where)
	}
	return t.checkPrivileges(ctx, s)
}
