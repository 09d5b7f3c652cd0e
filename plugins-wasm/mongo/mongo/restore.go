package mongo

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// headLimit bounds the header of an archive.
const headLimit = 64 << 10

// readHead reads no more than the magic number and the header of an archive,
// so that the rest need not pass through the plugin. It returns the bytes,
// too.
func readHead(r io.Reader) (*archive, []byte, error) {
	b := make([]byte, 8)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, nil, fmt.Errorf("it has less than 8 bytes: %w", err)
	}
	if binary.LittleEndian.Uint32(b) != magic {
		return nil, nil, errors.New("it is none of mongodump: its first bytes are other ones")
	}
	size := binary.LittleEndian.Uint32(b[4:])
	if size < 5 || size > headLimit {
		return nil, nil, fmt.Errorf("its header has %d bytes", size)
	}
	b = append(b, make([]byte, size-4)...)
	if _, err := io.ReadFull(r, b[8:]); err != nil {
		return nil, nil, fmt.Errorf("it ends within its header: %w", err)
	}
	header, err := document(b[4:]).decode()
	if err != nil {
		return nil, nil, err
	}
	a := &archive{}
	a.format, _ = header["version"].(string)
	a.server, _ = header["server_version"].(string)
	a.tool, _ = header["tool_version"].(string)
	return a, b, nil
}

// Restore implements plugin.Target.
func (t *target) Restore(ctx context.Context, r io.Reader) error {
	var a *archive
	var head []byte
	err := tool.Inspect(ctx, r, "the archive", func(r io.Reader) (err error) {
		a, head, err = readHead(r)
		return err
	})
	if err != nil {
		return err
	}
	if err := t.preflight(ctx, a); err != nil {
		return err
	}
	args := []string{configFlag, "--archive", "--stopOnError"}
	if !t.Keep {
		args = append(args, "--drop")
	}
	if t.Database != "" {
		args = append(args, "--nsInclude="+t.Database+".*")
	} else if !t.Users {
		args = append(args, "--nsExclude=admin.*")
	}
	return t.run(ctx, func(ctx context.Context) error {
		_, err := t.host.Run(ctx, tool.Job{
			Name: "mongorestore", Args: append(args, t.reload...), Files: t.files(), Stdin: pdk.Concat(bytes.NewReader(head), r),
		})
		return err
	})
}

// preflight looks whether server and tool know what the archive has.
func (t *target) preflight(ctx context.Context, a *archive) error {
	c, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	server, err := c.version(ctx)
	if err != nil {
		return err
	}
	from, ok := tool.ParseVersion(a.server)
	if ok && !t.AnyVersion && (server.Major < from.Major || server.Major == from.Major && server.Minor < from.Minor) {
		return shield.Errorf(shield.Invalid, "", "the archive is of MongoDB %s and the server is %s, which is older; mongo_any_version goes on regardless", from.Text, server.Text)
	}
	v, err := tool.VersionOf(ctx, t.host, "mongorestore")
	if err != nil {
		return err
	}
	made, ok := tool.ParseVersion(a.tool)
	if ok && !t.AnyVersion && v.Major < made.Major {
		return shield.Errorf(shield.Invalid, "", "the archive was made by mongodump %s and mongorestore is %s, which is older; mongo_any_version goes on regardless", made.Text, v.Text)
	}
	return nil
}
