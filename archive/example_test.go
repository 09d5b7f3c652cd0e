package archive_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/shieldhq/shield/archive"
)

func Example() {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	var blob bytes.Buffer
	w, err := archive.NewWriter(&blob, archive.Header{
		Archive:    "0b6a7a1e-6f5e-4a45-9d0c-0d8b1d7c2f10",
		TargetUUID: "5f0f4f0e-7a61-4b5e-8b68-0f3d9a0f6c11",
		TargetName: "orders",
		Plugin:     "postgres",
		TakenAt:    time.Now(),
	}, &archive.WriterOptions{Recipients: []age.Recipient{id.Recipient()}})
	if err != nil {
		panic(err)
	}
	if _, err := io.Copy(w, strings.NewReader("the dump")); err != nil {
		w.Abort(err)
	}
	sum, err := w.Close() // only now the archive is whole
	if err != nil {
		panic(err)
	}

	r, err := archive.NewReader(&blob, &archive.ReaderOptions{
		Identities: []age.Identity{id},
		Want:       &archive.Expect{RawDigest: sum.RawDigest},
	})
	if err != nil {
		panic(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r) // no error: everything was checked
	fmt.Println(r.Header().TargetName, string(raw), err)
	// Output: orders the dump <nil>
}
