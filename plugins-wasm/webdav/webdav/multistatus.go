package webdav

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A resource is what a server says of a file or a folder.
type resource struct {
	path     string // as the server names it, unescaped, without a slash at its end
	folder   bool
	size     int64 // -1 if the server does not say
	modified time.Time
	free     int64 // bytes that may still be written below it, -1 if the server does not say
}

// responseLimit bounds one resource's part of a list.
const responseLimit = 1 << 20

// parseMultistatus calls yield with the resources of an answer, one by one, as
// they come. Those that the answer says are not there are left out.
// https://www.rfc-editor.org/rfc/rfc4918#section-13
func parseMultistatus(r io.Reader, yield func(resource) error) error {
	limited := &io.LimitedReader{R: r, N: responseLimit}
	d := xml.NewDecoder(limited)
	root := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return errNotMultistatus
		}
		if err != nil {
			return worded(err, limited)
		}
		switch t := token.(type) {
		case xml.EndElement:
			return nil // of the root: all others are taken whole
		case xml.StartElement:
			if !root {
				if t.Name != (xml.Name{Space: "DAV:", Local: "multistatus"}) {
					return errNotMultistatus
				}
				root = true
				continue
			}
			if t.Name != (xml.Name{Space: "DAV:", Local: "response"}) {
				err = d.Skip()
			} else {
				err = parseResponse(d, &t, yield)
			}
			if err != nil {
				return worded(err, limited)
			}
			limited.N = responseLimit
		}
	}
}

var errNotMultistatus = errors.New("the answer is not the list of properties that was wanted")

func worded(err error, r *io.LimitedReader) error {
	var syntax *xml.SyntaxError
	switch {
	case r.N <= 0:
		return fmt.Errorf("one resource of the list has more than %d bytes", responseLimit)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: %w", errNotMultistatus, err)
	}
	return err
}

// A response is the part of an answer about one resource.
type response struct {
	Href     string `xml:"DAV: href"`
	Status   string `xml:"DAV: status"`
	Propstat []struct {
		Status string `xml:"DAV: status"`
		Prop   struct {
			ResourceType *struct {
				Collection *struct{} `xml:"DAV: collection"`
			} `xml:"DAV: resourcetype"`
			Length   string `xml:"DAV: getcontentlength"`
			Modified string `xml:"DAV: getlastmodified"`
			Free     string `xml:"DAV: quota-available-bytes"`
		} `xml:"DAV: prop"`
	} `xml:"DAV: propstat"`
}

func parseResponse(d *xml.Decoder, start *xml.StartElement, yield func(resource) error) error {
	var r response
	if err := d.DecodeElement(&r, start); err != nil {
		return err
	}
	if !isSuccess(r.Status) {
		return nil
	}
	out := resource{path: hrefPath(r.Href), size: -1, free: -1}
	for _, p := range r.Propstat {
		if !isSuccess(p.Status) {
			continue
		}
		if p.Prop.ResourceType != nil && p.Prop.ResourceType.Collection != nil {
			out.folder = true
		}
		out.size = max(out.size, number(p.Prop.Length))
		out.free = max(out.free, number(p.Prop.Free))
		if at, err := http.ParseTime(strings.TrimSpace(p.Prop.Modified)); err == nil {
			out.modified = at.UTC()
		}
	}
	return yield(out)
}

// isSuccess reads a status line. There need not be one.
func isSuccess(line string) bool {
	fields := strings.Fields(line)
	return len(fields) == 0 || len(fields) > 1 && strings.HasPrefix(fields[1], "2")
}

// number reads a size. Servers have said -2 and -3 for what they do not know.
func number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// hrefPath returns the path of a URL, or of a path that stands for one. Some
// servers forget to escape it.
func hrefPath(href string) string {
	href = strings.TrimSpace(href)
	if u, err := url.Parse(href); err == nil {
		href = u.Path
	}
	return strings.TrimRight(href, "/")
}
