package restic

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
)

// Put makes a snapshot of r, looks at what it holds, and makes another that
// says that the archive is whole.
func (s *store) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	if err := checkKey(key); err != nil {
		return plugin.Stored{}, err
	}
	in := child.NewInput(r, nil)
	defer in.Close()
	u := &upload{store: s, in: in, key: escape(key), token: tagPut + strings.ToLower(rand.Text())}
	if err := u.run(ctx); err != nil {
		if in.Ended() { // else restic saw no end, and made no snapshot
			u.undo(ctx)
		}
		return plugin.Stored{}, problem("restic.Put", err)
	}
	return plugin.Stored{Key: key, Size: in.Read}, nil
}

// An upload is one Put under way.
type upload struct {
	*store
	in    *child.Input
	key   string // escaped
	token string // the tag of its snapshots
}

func (u *upload) run(ctx context.Context) error {
	sum, err := u.backup(ctx, u.in, u.key, tagData)
	data := ""
	switch {
	case u.in.Ended() && u.in.Read == 0:
		// restic refuses to keep nothing.
	case err != nil:
		return err
	case !u.in.Ended():
		return shield.Errorf(shield.StoreFailed, "", "restic said that it had stored the archive before it was given all of it")
	case sum.Bytes != u.in.Read:
		return shield.Errorf(shield.StoreFailed, "", "restic says that it stored %d bytes of the %d that it was given", sum.Bytes, u.in.Read)
	default:
		if data, err = u.look(ctx, sum.Snapshot); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return u.commit(ctx, data)
}

// commit makes the snapshot that says that the archive is whole.
func (u *upload) commit(ctx context.Context, data string) error {
	size := strconv.FormatInt(u.in.Read, 10)
	text, err := json.Marshal(map[string]string{"key": u.key, "size": size, "snapshot": data})
	if err != nil {
		return err
	}
	in := child.NewInput(bytes.NewReader(text), nil)
	defer in.Close()
	tags := []string{tagWhole, tagSize + size}
	if data != "" {
		tags = append(tags, tagHolds+data)
	}
	sum, err := u.backup(ctx, in, u.key+".shield", tags...)
	if err == nil && sum.Snapshot == "" {
		err = shield.Errorf(shield.StoreFailed, "", "restic ended well and made no snapshot")
	}
	return err
}

// A summary is the last message of a backup.
type summary struct {
	Type     string `json:"message_type"`
	Bytes    int64  `json:"total_bytes_processed"`
	Snapshot string `json:"snapshot_id"`
}

// backup makes a snapshot of an input as one file.
func (u *upload) backup(ctx context.Context, in *child.Input, file string, tags ...string) (summary, error) {
	args := []string{"--json", "--force", "--host=" + u.host, "--stdin", "--stdin-filename=" + file, "--tag=" + tagKey + u.key, "--tag=" + u.token}
	if u.tag != "" {
		tags = append(tags, u.tag)
	}
	for _, t := range tags {
		args = append(args, "--tag="+t)
	}
	var out last
	err := u.patiently(ctx, func() (bool, error) {
		out = last{}
		r := u.command("backup", args...)
		r.Stdin, r.Stdout = in, &out
		err := u.program.Run(ctx, r)
		if err == nil || !locked(err) && !absent(err) {
			return false, err
		}
		return in.Rewind(), err
	})
	if err != nil {
		return summary{}, err
	}
	var sum summary
	if err := json.Unmarshal(out.line, &sum); err != nil || sum.Type != "summary" {
		return summary{}, shield.Errorf(shield.StoreFailed, "", "restic ended well without a summary of what it stored")
	}
	return sum, nil
}

// last keeps the last line that is written to it.
type last struct {
	line, part []byte
}

const lineLimit = 64 << 10

// Write implements io.Writer.
func (l *last) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		l.part = append(l.part, line[:min(len(line), lineLimit-len(l.part))]...)
		if ended {
			l.line, l.part = append(l.line[:0], l.part...), l.part[:0]
		}
		p = rest
	}
	return n, nil
}

// look asks what the repository holds of a snapshot: one file of that size. It
// returns the snapshot's whole number.
func (u *upload) look(ctx context.Context, id string) (string, error) {
	if id == "" {
		return "", shield.Errorf(shield.StoreFailed, "", "restic ended well and made no snapshot")
	}
	out, err := u.store.run(ctx, "ls", "--json", "--no-lock", id)
	if err != nil {
		return "", err
	}
	whole, size := "", int64(-1)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var node struct {
			Struct string `json:"struct_type"`
			ID     string `json:"id"`
			Type   string `json:"type"`
			Path   string `json:"path"`
			Size   int64  `json:"size"`
		}
		if err := d.Decode(&node); err == io.EOF {
			break
		} else if err != nil {
			return "", shield.Errorf(shield.StoreFailed, "", "restic describes the snapshot as no JSON: %w", err)
		}
		if node.Struct == "snapshot" {
			whole = node.ID
		} else if node.Type == "file" && node.Path == "/"+u.key {
			size = node.Size
		}
	}
	if !snapshotID.MatchString(whole) || size != u.in.Read {
		return "", shield.Errorf(shield.StoreFailed, "", "the snapshot %s holds %d bytes of the %d that restic was given", id, size, u.in.Read)
	}
	return whole, nil
}

// undoTime is how long removing what a failed upload left may take: less than
// a plugin that was told to end has.
const undoTime = 4 * time.Second

// undo forgets what a failed upload has made. What it cannot forget nobody
// sees, and Delete will.
func (u *upload) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	var ids []string
	err := u.each(ctx, u.token, func(n *snapshot) error { ids = append(ids, n.ID); return nil })
	if err == nil && len(ids) > 0 {
		err = u.forget(ctx, ids, false)
	}
	if err != nil {
		u.log("a snapshot with the tag " + u.token + " may be left: " + err.Error())
	}
}
