package restic

import (
	"context"
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
)

// The tags of the plugin's snapshots. Both kinds have the key; the ones that
// say that an archive is whole have its size, and the number of the snapshot
// that holds it unless it is empty.
const (
	tagWhole = "shield-archive"
	tagData  = "shield-data"
	tagKey   = "shield-key="
	tagSize  = "shield-size="
	tagHolds = "shield-snapshot="
	tagPut   = "shield-put=" // one upload
)

// A snapshot is what restic says of one.
type snapshot struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	Tags []string  `json:"tags"`
}

// An archive is what a snapshot says of one that is whole.
type archive struct {
	key  string
	size int64
	data string // the snapshot that holds it; empty if it has no bytes
	at   time.Time
}

var snapshotID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// archive returns what the snapshot says; false if it says nothing of an
// archive.
func (n *snapshot) archive() (archive, bool) {
	a := archive{size: -1, at: n.Time}
	whole, valid := false, snapshotID.MatchString(n.ID)
	for _, t := range n.Tags {
		if text, ok := strings.CutPrefix(t, tagKey); ok {
			a.key, ok = unescape(text)
			valid = valid && ok
		}
		if text, ok := strings.CutPrefix(t, tagSize); ok {
			size, err := strconv.ParseInt(text, 10, 64)
			valid, a.size = valid && err == nil, size
		}
		if text, ok := strings.CutPrefix(t, tagHolds); ok {
			a.data = text
		}
		whole = whole || t == tagWhole
	}
	return a, whole && valid && a.key != "" && a.size >= 0 && (a.size == 0 || snapshotID.MatchString(a.data))
}

// find returns the archive with a key, the latest if there are several; nil if
// there is none.
func (s *store) find(ctx context.Context, key string) (found *archive, err error) {
	err = s.each(ctx, tagWhole+","+tagKey+escape(key), func(n *snapshot) error {
		if a, ok := n.archive(); ok && a.key == key && (found == nil || a.at.After(found.at)) {
			found = &a
		}
		return nil
	})
	return found, err
}

// List calls yield with each blob.
func (s *store) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	all := map[string]archive{}
	err := s.each(ctx, tagWhole, func(n *snapshot) error {
		a, ok := n.archive()
		if ok && strings.HasPrefix(a.key, prefix) && !a.at.Before(all[a.key].at) {
			all[a.key] = a
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, a := range all {
		if err := yield(plugin.Object{Key: a.key, Size: a.size, ModifiedAt: a.at.UTC()}); err != nil {
			return err
		}
	}
	return nil
}

// each calls yield with each snapshot that has all of some tags. Without a
// repository that is to be made there is none.
func (s *store) each(ctx context.Context, tags string, yield func(*snapshot) error) error {
	out := child.Stream(ctx, func(ctx context.Context, w io.Writer) error {
		r := s.command("snapshots", "--json", "--no-lock", "--tag="+tags)
		r.Stdout = w
		return s.program.Run(ctx, r)
	})
	defer out.Close()
	err := snapshots(out, yield)
	if absent(err) && s.init {
		return nil
	}
	return problem("restic.List", err)
}

// snapshots decodes an array of them, one at a time. The end of r proves that
// it is whole.
func snapshots(r io.Reader, yield func(*snapshot) error) error {
	d := json.NewDecoder(r)
	if err := array(d, yield); err != nil {
		return err
	}
	_, err := d.Token()
	if err == io.EOF {
		return nil
	}
	if err == nil {
		err = shield.Errorf(shield.StoreFailed, "restic.List", "restic lists more than an array")
	}
	return err
}

func array(d *json.Decoder, yield func(*snapshot) error) error {
	start, err := d.Token()
	if err != nil {
		return broken(err)
	}
	if start == nil {
		return nil
	}
	if start != json.Delim('[') {
		return shield.Errorf(shield.StoreFailed, "restic.List", "restic lists %v: an array is wanted", start)
	}
	for d.More() {
		var n snapshot
		if err := d.Decode(&n); err != nil {
			return broken(err)
		}
		if err := yield(&n); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return broken(err)
}

// broken names the end of an answer that came too early: io.EOF is no error of
// which a reader would hear.
func broken(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return shield.Errorf(shield.StoreFailed, "restic.List", "restic ended its list in the middle")
	}
	return err
}
