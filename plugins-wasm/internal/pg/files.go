package pg

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// AboutFiles is what a copy of the files of a cluster says of itself, as a
// comment that programs which read tar pass over.
type AboutFiles struct {
	Server string `json:"server"` // versions
	Tool   string `json:"pg_basebackup"`
}

const filesMark = "shield "

// tarEnd is how a tar stream ends.
const tarEnd = 1024

// CopyFiles writes the files of the cluster as pg_basebackup copies them, a
// tar stream with all of the log that is needed to start from it.
func (s *Server) CopyFiles(ctx context.Context, w io.Writer) error {
	f, err := s.Facts(ctx, Maintenance(""))
	if err != nil {
		return err
	}
	v, err := s.CheckClient(ctx, "pg_basebackup", f)
	if err != nil {
		return err
	}
	if err := s.MayCopyFiles(ctx, f); err != nil {
		return err
	}
	s.log("%s, pg_basebackup %s: the files of the cluster", f, v.Text)
	about, _ := json.Marshal(AboutFiles{f.Version.Text, v.Text}) // strings always encode
	t := tar.NewWriter(w)
	err = t.WriteHeader(&tar.Header{
		Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header",
		PAXRecords: map[string]string{"comment": filesMark + string(about)},
	})
	if err := shield.FirstError(err, t.Flush()); err != nil {
		return err
	}
	r, err := s.run(ctx, tool.Job{
		Name: "pg_basebackup", Args: []string{"-D", "-", "-Ft", "-X", "fetch", "-c", "fast", "-w", "-l", "shield"},
		Stdout: w, Tail: 4 * tarEnd,
	})
	if err != nil {
		return err
	}
	if !wholeCopy(r.Tail, f) {
		return shield.Errorf(shield.TargetFailed, "", "pg_basebackup: exit status 0, but the copy ends early: the end of the tar stream is missing")
	}
	return nil
}

// manifestEnd is in the last line of the manifest, which is the last file of
// a copy since PostgreSQL 13.
var manifestEnd = []byte(`"Manifest-Checksum": "`)

// wholeCopy reports whether a copy has an end like this. Zeros alone, with
// which tar ends, are within it, too.
func wholeCopy(tail []byte, f *Facts) bool {
	return bytes.HasSuffix(tail, make([]byte, tarEnd)) && (f.Version.Major < 13 || bytes.Contains(tail, manifestEnd))
}

// MayCopyFiles says what the role or the server lacks for CopyFiles.
func (s *Server) MayCopyFiles(_ context.Context, f *Facts) error {
	if !f.Replicate {
		return shield.Errorf(shield.Forbidden, "", "the role %s may not copy the files of the cluster: ALTER ROLE %s REPLICATION", f.User, Ident(f.User))
	}
	if f.Senders < 1 {
		return shield.Errorf(shield.Invalid, "", "the server has max_wal_senders = %d: at least 1 is wanted", f.Senders)
	}
	return nil
}

// ReadAboutFiles reads what a copy says of itself, exactly: the rest of r is
// a tar stream. begin are its first KindSize bytes, already read. ok is false
// if it says nothing, and begin is the first block of the tar stream.
func ReadAboutFiles(begin []byte, r io.Reader) (about AboutFiles, ok bool, err error) {
	if begin[156] != tar.TypeXGlobalHeader {
		return about, false, nil
	}
	size, err := strconv.ParseInt(strings.TrimRight(string(begin[124:135]), " \x00"), 8, 32)
	if err != nil || size < 0 || size > 1<<20 {
		return about, false, shield.Errorf(shield.Corrupt, "", "the header of the tar stream makes no sense")
	}
	records := make([]byte, (size+511)/512*512)
	if _, err := io.ReadFull(r, records); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = shield.Errorf(shield.Corrupt, "", "the tar stream ends within its header")
		}
		return about, false, err
	}
	if _, text, found := strings.Cut(string(records[:size]), "comment="+filesMark); found {
		err = json.Unmarshal([]byte(strings.TrimRight(text, "\n")), &about)
	}
	if err != nil {
		return about, false, shield.Errorf(shield.Corrupt, "", "what the copy says of itself: %w", err)
	}
	return about, true, nil
}

// InspectFiles reads a stream of CopyFiles to its end and says whether it is
// whole: all of the tar stream, with the files that a server needs to start.
func InspectFiles(r io.Reader) (plugin.Probe, error) {
	p := plugin.Probe{Counts: map[string]int64{}, Versions: map[string]string{}}
	end := &lastBytes{r: r}
	missing := map[string]bool{"backup_label": true, "PG_VERSION": true, "global/pg_control": true}
	damaged := func(err error) error {
		return shield.Errorf(shield.Corrupt, "", "the tar stream of pg_basebackup is damaged or cut off: %w", err)
	}
	t := tar.NewReader(end)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p, damaged(err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		delete(missing, name)
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
			var about AboutFiles
			if text, ok := strings.CutPrefix(h.PAXRecords["comment"], filesMark); ok && json.Unmarshal([]byte(text), &about) == nil {
				p.Versions["server"], p.Versions["pg_basebackup"] = "PostgreSQL "+about.Server, about.Tool
			}
		case tar.TypeReg:
			p.Counts["files"]++
			p.Counts["bytes"] += h.Size // Next reads it; to expand what is sparse could take for ever
		}
	}
	if _, err := io.Copy(io.Discard, end); err != nil {
		return p, err
	}
	if !bytes.Equal(end.b, make([]byte, tarEnd)) {
		return p, damaged(errors.New("its end is missing"))
	}
	for _, name := range []string{"backup_label", "PG_VERSION", "global/pg_control"} {
		if missing[name] {
			return p, shield.Errorf(shield.Corrupt, "", "the tar stream is whole, but it lacks the file %s: no server can start from it", name)
		}
	}
	return p, nil
}

// lastBytes keeps the end of what a reader gives.
type lastBytes struct {
	r io.Reader
	b []byte
}

// Read implements io.Reader.
func (l *lastBytes) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	l.b = append(l.b, p[max(0, n-tarEnd):n]...)
	l.b = append(l.b[:0], l.b[max(0, len(l.b)-tarEnd):]...)
	return n, err
}
