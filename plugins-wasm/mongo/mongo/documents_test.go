package mongo

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"
)

// answering returns a source whose server answers commands in turn with
// documents, and what tells which commands these were.
func answering(t *testing.T, answers ...[]field) (*source, func() []string) {
	client, server := net.Pipe()
	done := make(chan []string, 1)
	go func() {
		var names []string
		defer func() { done <- names }()
		for _, a := range answers {
			head := make([]byte, 21)
			if _, err := io.ReadFull(server, head); err != nil {
				return
			}
			command := make([]byte, binary.LittleEndian.Uint32(head)-21)
			if _, err := io.ReadFull(server, command); err != nil {
				return
			}
			name, _, _ := bytes.Cut(command[5:], []byte{0}) // after the length and the type of the first value
			names = append(names, string(name))
			b := append(slices.Clone(head), encode(a)...)
			binary.LittleEndian.PutUint32(b, uint32(len(b)))
			if _, err := server.Write(b); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return &source{conn: &conn{Conn: client, where: "there"}}, func() []string { return <-done }
}

// TestDocuments: statistics tell the number, and count where they do not.
func TestDocuments(t *testing.T) {
	batch := func(docs ...any) []field {
		return []field{{"cursor", []field{{"firstBatch", docs}, {"id", int64(0)}, {"ns", "a.b"}}}, {"ok", int32(1)}}
	}
	count := []field{{"n", int32(5)}, {"ok", int32(1)}}
	for _, c := range []struct {
		name, kind string
		answers    [][]field
		asked      []string
		want       int64
	}{
		{"one server", "collection", [][]field{batch([]field{{"count", int64(3)}})}, []string{"aggregate"}, 3},
		{"shards", "collection", [][]field{batch([]field{{"count", int64(3)}}, []field{{"count", int32(4)}})}, []string{"aggregate"}, 7},
		{"said to be empty", "collection", [][]field{batch([]field{{"count", int64(0)}}), count}, []string{"aggregate", "count"}, 5},
		{"no right to statistics", "collection", [][]field{{{"ok", int32(0)}, {"code", int32(13)}, {"errmsg", "no"}}, count}, []string{"aggregate", "count"}, 5},
		{"time series", "timeseries", [][]field{count}, []string{"count"}, 5},
	} {
		s, asked := answering(t, c.answers...)
		got, err := s.documents(t.Context(), collection{db: "a", name: "b", kind: c.kind})
		if names := asked(); err != nil || got != c.want || !slices.Equal(names, c.asked) {
			t.Errorf("%s: got %d, %v by %q; want %d by %q", c.name, got, err, names, c.want, c.asked)
		}
	}
}
