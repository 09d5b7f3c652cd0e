package xtrabackup

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
)

// A note is the first file of an archive: what a restore wants to know before
// it begins. Extracted by hand it is one small file more.
type note struct {
	Plugin    string   `json:"plugin"` // its version
	Server    string   `json:"server"` // as it tells its version itself
	Tool      string   `json:"tool"`
	Databases []string `json:"databases,omitempty"` // none for all
}

// noteName is the file that a note is.
const noteName = "shield_info.json"

// noteLimit bounds the content of a note.
const noteLimit = 64 << 10

// chunks returns the note as chunks of an xbstream.
func (n *note) chunks() ([]byte, error) {
	content, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	b := appendHead(nil, 'P', noteName)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(content)))
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(content))
	return appendHead(append(b, content...), 'E', noteName), nil
}

func appendHead(b []byte, kind byte, name string) []byte {
	b = append(append(b, chunkMagic...), 0, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
	return append(b, name...)
}

// readNote reads no more than the note of an archive, so that the rest need
// not pass through the plugin. Without a note it returns what it has read.
func readNote(r io.Reader) (n *note, read []byte, err error) {
	want := appendHead(nil, 'P', noteName)
	head := make([]byte, len(want))
	if size, err := io.ReadFull(r, head); err != nil {
		return nil, nil, fmt.Errorf("it ends within its first chunk, after %d bytes: %w", size, noEOF(err))
	}
	if string(head[:len(chunkMagic)]) != chunkMagic {
		return nil, nil, fmt.Errorf("it is no xbstream: its first bytes are %q", head[:len(chunkMagic)])
	}
	if string(head) != string(want) {
		return nil, head, nil
	}
	var about [20]byte
	if _, err := io.ReadFull(r, about[:]); err != nil {
		return nil, nil, fmt.Errorf("it ends within its first chunk: %w", noEOF(err))
	}
	size := binary.LittleEndian.Uint64(about[:])
	if size > noteLimit {
		return nil, nil, fmt.Errorf("its first file has %d bytes: at most %d are right", size, noteLimit)
	}
	rest := make([]byte, int(size)+len(appendHead(nil, 'E', noteName)))
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, nil, fmt.Errorf("it ends within its first chunk: %w", noEOF(err))
	}
	content := rest[:size]
	if crc32.ChecksumIEEE(content) != binary.LittleEndian.Uint32(about[16:]) || string(rest[size:]) != string(appendHead(nil, 'E', noteName)) {
		return nil, nil, fmt.Errorf("its first file is damaged")
	}
	n = &note{}
	return n, nil, json.Unmarshal(content, n)
}

// noEOF keeps an end that comes too early from looking like a good one.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// endsWell reports whether the end of a stream is the end of a file.
func endsWell(tail []byte) bool {
	for n := len(tail) - len(chunkMagic) - 6; n >= 0 && n > len(tail)-pathLimit; n-- {
		if string(tail[n:n+len(chunkMagic)]) != chunkMagic {
			continue
		}
		head := tail[n+len(chunkMagic):]
		return head[1] == 'E' && int(binary.LittleEndian.Uint32(head[2:])) == len(head)-6
	}
	return false
}
