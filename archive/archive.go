// Package archive is the sealed stream that a backup leaves in a store, and
// the manifest beside it.
//
// A blob is zstd inside age: a run of independent zstd frames, each of 2 MiB
// of raw bytes, between two skippable frames that carry what was known
// at the start (Header) and what is known at the end (length, digest, number
// of frames). With recipients all of it is the payload of an age v1 file. So
//
//	age -d -i key.txt blob | zstd -d
//
// gives back the raw bytes without shield. docs/formats.md specifies every
// byte.
//
// Writer and Reader work on all cores and hold a bounded number of segments,
// whatever the size of the stream. A Reader returns io.EOF only when
// everything was found good; a Writer makes a good end only in Close.
package archive

import (
	"errors"
	"io"

	"github.com/shieldhq/shield"
)

// Sizes of the format and limits on what is accepted from a blob.
const (
	segmentSize  = 2 << 20 // raw bytes in one zstd frame
	maxFrameSize = 8 << 20 // raw bytes accepted in one zstd frame
	maxMetaSize  = 64 << 10
	maxAgeHeader = 256 << 10
)

// Format, kind and version of what this package writes.
const (
	StreamFormat  = "shield-archive"
	StreamKind    = "stream"
	StreamVersion = 1
)

// A Level says how hard the writer compresses.
type Level string

// The levels. None still makes zstd frames, of raw blocks, so that one tool
// opens every archive.
const (
	Fastest Level = "fastest"
	Default Level = "default"
	Better  Level = "better"
	None    Level = "none"
)

// ParseLevel returns the level called s; "" is Fastest.
func ParseLevel(s string) (Level, error) {
	switch l := Level(s); l {
	case "":
		return Fastest, nil
	case Fastest, Default, Better, None, Raw:
		return l, nil
	}
	return "", shield.FieldErrorf("level", "%q is not one of fastest, default, better, none, raw", s)
}

// A Summary is what is known of a stream once it ended well.
type Summary struct {
	RawSize      int64  // bytes that went in
	RawDigest    string // "blake3:<hex>" of them
	SealedSize   int64  // bytes that came out: the size of the blob
	SealedDigest string // "blake3:<hex>" of them; from a Reader only if it was asked for
	Frames       int64  // zstd frames of data
	Seal         string // the age header: FileKey gets the file key from it; "" when not encrypted
}

// corruptf formats causes with %v: those of the decoders may wrap io.EOF, for
// which no caller may take the error.
func corruptf(format string, args ...any) error {
	return shield.Errorf(shield.Corrupt, "archive.Reader", format, args...)
}

// foreign wraps an error of the source or the destination, and keeps its code.
// It hides an io.EOF inside, for which the error must not be taken.
func foreign(op, what string, err error) error {
	if errors.Is(err, io.EOF) {
		return shield.Errorf(shield.CodeOf(err), op, "%s: %v", what, err)
	}
	return shield.Errorf(shield.CodeOf(err), op, "%s: %w", what, err)
}
