package fs

import "io"

// A blob is an open file of a store. It gives as many bytes as the file had
// when it was opened, or fails.
type blob struct {
	f    blobFile
	left int64
}

// blobOf returns the blob in an open file. It closes the disk when that is not
// needed any more.
func blobOf(d disk, f blobFile, size int64) io.ReadCloser {
	if b, ok := f.(interface{ blob(disk) io.ReadCloser }); ok {
		return b.blob(d)
	}
	_ = d.Close()
	return newBlob(f, size)
}

func newBlob(f blobFile, size int64) *blob {
	f.readAhead()
	return &blob{f, size}
}

func (b *blob) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.f.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF // cut short by somebody else
	}
	return n, err
}

// WriteTo spares callers that copy in small pieces.
func (b *blob) WriteTo(w io.Writer) (n int64, err error) {
	buf := make([]byte, blobBuffer)
	for {
		m, err := b.Read(buf)
		if m > 0 {
			k, err := w.Write(buf[:m])
			if n += int64(k); err != nil {
				return n, err
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func (b *blob) Close() error { return b.f.Close() }
