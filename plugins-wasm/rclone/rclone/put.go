package rclone

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
)

// features are what a remote can do.
type features struct {
	Hashes   []string
	Features struct {
		Move, Copy, SlowHash, PutStream bool
	}
}

// features asks rclone, once.
func (s *store) features(ctx context.Context) (*features, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known != nil {
		return s.known, nil
	}
	out, err := s.run(ctx, "backend", "features", place)
	if err != nil {
		return nil, problem("rclone.features", err)
	}
	f := &features{}
	if err := json.Unmarshal(out, f); err != nil {
		return nil, shield.Errorf(shield.StoreFailed, "rclone.features", "rclone describes the remote as no JSON: %w", err)
	}
	s.known = f
	return f, nil
}

// hashes are those that can be compared, the best first. It is never written
// to.
var hashes = []struct {
	name string
	make func() hash.Hash
}{{"sha256", sha256.New}, {"sha1", sha1.New}, {"md5", md5.New}}

// hash returns the name of the checksum that is to be compared, and its
// function; "" if none is.
func (s *store) hash(f *features) (string, hash.Hash) {
	if s.checksum == "never" || s.checksum == "cheap" && f.Features.SlowHash {
		return "", nil
	}
	for _, h := range hashes {
		if slices.Contains(f.Hashes, h.name) {
			return h.name, h.make()
		}
	}
	return "", nil
}

// Put uploads under another name, compares size and checksum, and moves. What
// fails before that is removed.
func (s *store) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	if err := checkKey(key); err != nil {
		return plugin.Stored{}, err
	}
	f, err := s.features(ctx)
	if err != nil {
		return plugin.Stored{}, err
	}
	u := &upload{store: s, key: key, part: part(key)}
	u.name, u.sum = s.hash(f)
	stored, err := u.run(ctx, r)
	if err != nil {
		u.undo(ctx)
	}
	return stored, err
}

// An upload is one Put under way.
type upload struct {
	*store
	key  string
	part string // where it is as long as it is not finished
	name string // of the checksum; "" if there is none
	sum  hash.Hash
}

func (u *upload) run(ctx context.Context, r io.Reader) (plugin.Stored, error) {
	var sum io.Writer
	if u.sum != nil {
		sum = u.sum
	}
	in := child.NewInput(r, sum)
	defer in.Close()
	cmd := u.command("rcat", place+u.part)
	cmd.Stdin = in
	if err := u.program.Run(ctx, cmd); err != nil {
		return plugin.Stored{}, problem("rclone.Put", err)
	}
	if !in.Ended() {
		return plugin.Stored{}, shield.Errorf(shield.StoreFailed, "rclone.Put", "rclone said that it had stored the archive before it was given all of it")
	}
	stored, err := u.check(ctx, in.Read)
	if err != nil {
		return plugin.Stored{}, err
	}
	if ctx.Err() != nil {
		return plugin.Stored{}, context.Cause(ctx)
	}
	// Whatever is there under the key is replaced, even if it looks the same.
	if _, err := u.store.run(ctx, "moveto", "--ignore-times", place+u.part, place+u.key); err != nil {
		return plugin.Stored{}, problem("rclone.Put", err)
	}
	return stored, u.moved(ctx, in.Read)
}

// check compares what the remote says of the upload with what was sent.
func (u *upload) check(ctx context.Context, size int64) (plugin.Stored, error) {
	stored := plugin.Stored{Key: u.key, Size: size}
	flags := []string{"--no-modtime"}
	if u.name != "" {
		flags = append(flags, "--hash", "--hash-type="+u.name)
	}
	e, err := u.stat(ctx, u.part, flags...)
	if err != nil {
		return stored, err
	}
	if e == nil {
		return stored, shield.Errorf(shield.StoreFailed, "rclone.Put", "rclone said that it had stored the archive, but the remote does not have it")
	}
	if e.Size < 0 {
		stored.Size = -1 // a remote that cannot tell
	} else if e.Size != size {
		return stored, shield.Errorf(shield.StoreFailed, "rclone.Put", "the remote has %d bytes of the %d that it was given", e.Size, size)
	}
	theirs := strings.ToLower(e.Hashes[u.name])
	if u.name == "" || theirs == "" {
		return stored, nil
	}
	if ours := hex.EncodeToString(u.sum.Sum(nil)); ours != theirs {
		return stored, shield.Errorf(shield.Corrupt, "rclone.Put", "the remote has %s %s, but was given %s", u.name, theirs, ours)
	}
	if u.name == "sha256" {
		stored.Digest = "sha256:" + theirs
	}
	return stored, nil
}

// moved looks whether the file is where it was moved to.
func (u *upload) moved(ctx context.Context, size int64) error {
	e, err := u.stat(ctx, u.key, "--no-modtime")
	switch {
	case err != nil:
		return err
	case e == nil:
		return shield.Errorf(shield.StoreFailed, "rclone.Put", "rclone said that it had moved the archive, but there is no %s", u.key)
	case e.Size >= 0 && e.Size != size:
		return shield.Errorf(shield.StoreFailed, "rclone.Put", "%s has %d bytes of %d after it was moved", u.key, e.Size, size)
	}
	return nil
}

// undoTime is how long removing what a failed upload left may take: less than
// a plugin that was told to end has.
const undoTime = 4 * time.Second

// undo removes what a failed upload has left. What it cannot remove, Delete
// will.
func (u *upload) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if err := u.remove(ctx, u.part); err != nil {
		u.log("an unfinished upload may be left as " + u.part + ": " + err.Error())
	}
}
