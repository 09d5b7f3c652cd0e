package pdk

import "io"

// Copy copies src to dst until the end of src, and returns how many bytes
// that were. In the sandbox the host moves what goes from one of its streams
// to another, like the output of a Command to the blob: those bytes never
// enter the guest. Elsewhere it is a copy in large pieces.
func Copy(dst io.Writer, src io.Reader) (int64, error) {
	if n, done, err := copyOnHost(dst, src); done {
		return n, err
	}
	return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 256<<10))
}
