package google_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

func (s *service) insert(w http.ResponseWriter, r *http.Request, body []byte) {
	if s.denied(w, "storage.objects.create") {
		return
	}
	q := r.URL.Query()
	var meta map[string]any
	var content []byte
	if q.Get("uploadType") == "multipart" {
		_, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		parts := multipart.NewReader(strings.NewReader(string(body)), params["boundary"])
		first, err := parts.NextPart()
		if err != nil {
			refuse(w, 400, "badRequest", err.Error())
			return
		}
		_ = json.NewDecoder(first).Decode(&meta)
		second, err := parts.NextPart()
		if err == nil {
			content, err = io.ReadAll(second)
		}
		if err != nil {
			refuse(w, 400, "badRequest", err.Error())
			return
		}
	} else if json.Unmarshal(body, &meta) != nil {
		refuse(w, 400, "parseError", "Parse Error")
		return
	}
	if s.taken(w, q, meta["name"].(string)) {
		return
	}
	if q.Get("uploadType") == "resumable" {
		s.next++
		id := fmt.Sprintf("session-%d", s.next)
		s.sessions[id] = &session{meta: meta, query: q}
		w.Header().Set("Location", "http://elsewhere.invalid"+r.URL.EscapedPath()+"?uploadType=resumable&upload_id="+id)
		return
	}
	if want, _ := meta["crc32c"].(string); want != "" && want != crcText(content) {
		refuse(w, 400, "invalid", "Provided CRC32C \""+want+"\" doesn't match calculated CRC32C \""+crcText(content)+"\".")
		return
	}
	s.answer(w, s.store(meta, content))
}

func (s *service) taken(w http.ResponseWriter, q url.Values, name string) bool {
	if q.Get("ifGenerationMatch") == "0" && s.objects[name] != nil {
		refuse(w, 412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
		return true
	}
	return false
}

func crcText(b []byte) string {
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

func (s *service) store(meta map[string]any, content []byte) *stored {
	s.next++
	name := meta["name"].(string)
	if before := s.objects[name]; before != nil && s.versions {
		s.old = append(s.old, before)
	}
	o := &stored{meta: meta, content: content, name: name, generation: s.next}
	s.objects[name] = o
	return o
}

func (s *service) answer(w http.ResponseWriter, o *stored) {
	m := map[string]any{
		"kind": "storage#object", "name": o.name, "size": strconv.Itoa(len(o.content)), "generation": strconv.FormatInt(o.generation, 10),
		"crc32c": crcText(o.content), "updated": time.Now().UTC().Format(time.RFC3339Nano),
	}
	for _, k := range []string{"metadata", "retention", "temporaryHold", "eventBasedHold", "storageClass"} {
		if v, ok := o.meta[k]; ok {
			m[k] = v
		}
	}
	if !s.policyUntil.IsZero() {
		m["retentionExpirationTime"] = s.policyUntil.Format(time.RFC3339Nano)
	}
	_ = json.NewEncoder(w).Encode(m)
}

// chunk takes what comes to a session.
func (s *service) chunk(w http.ResponseWriter, r *http.Request, id string, body []byte) {
	x := s.sessions[id]
	if x == nil {
		refuse(w, 404, "notFound", "")
		return
	}
	if x.made != nil && r.Method == http.MethodPut {
		s.answer(w, x.made)
		return
	}
	if r.Method == http.MethodDelete {
		delete(s.sessions, id)
		s.canceled++
		w.WriteHeader(499)
		return
	}
	span, totalText, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes "), "/")
	total := int64(-1)
	if totalText != "*" {
		total, _ = strconv.ParseInt(totalText, 10, 64)
	}
	if span != "*" {
		var from, to int64
		if _, err := fmt.Sscanf(span, "%d-%d", &from, &to); err != nil || to-from+1 != int64(len(body)) || from > int64(len(x.got)) {
			refuse(w, 400, "badRequest", "Invalid request.  According to the Content-Range header, the upload offset is wrong.")
			return
		}
		if total < 0 && len(body)%(256<<10) != 0 {
			refuse(w, 400, "badRequest", "Chunks have to be multiples of 256 KiB.")
			return
		}
		body = body[int64(len(x.got))-from:]
		if s.sessionCap > 0 && int64(len(body)) > s.sessionCap {
			body = body[:s.sessionCap]
		}
		x.got = append(x.got, body...)
	}
	if total < 0 || int64(len(x.got)) < total {
		if len(x.got) > 0 {
			w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", len(x.got)-1))
		}
		w.WriteHeader(308)
		return
	}
	if s.taken(w, x.query, x.meta["name"].(string)) {
		return
	}
	x.made, x.got = s.store(x.meta, x.got), nil
	s.answer(w, x.made)
}

func (s *service) find(name, generation string) *stored {
	o := s.objects[name]
	if generation == "" || o != nil && strconv.FormatInt(o.generation, 10) == generation {
		return o
	}
	for _, o := range s.old {
		if o.name == name && strconv.FormatInt(o.generation, 10) == generation {
			return o
		}
	}
	return nil
}

func (s *service) get(w http.ResponseWriter, r *http.Request, name string) {
	if s.denied(w, "storage.objects.get") {
		return
	}
	q := r.URL.Query()
	o := s.find(name, q.Get("generation"))
	if o == nil {
		refuse(w, 404, "notFound", "No such object: "+bucket+"/"+name)
		return
	}
	if q.Get("alt") != "media" {
		s.answer(w, o)
		return
	}
	w.Header().Set("X-Goog-Generation", strconv.FormatInt(o.generation, 10))
	w.Header().Set("X-Goog-Hash", "crc32c="+crcText(o.content)+",md5=AAAA")
	content, status := o.content, 200
	if text := r.Header.Get("Range"); text != "" {
		from, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(text, "bytes="), "-"))
		if err != nil || from >= len(content) {
			w.WriteHeader(416)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		content, status = content[from:], 206
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(status)
	_, _ = w.Write(content)
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	if s.denied(w, "storage.objects.list") {
		return
	}
	q := r.URL.Query()
	var names []string
	for name := range s.objects {
		if strings.HasPrefix(name, q.Get("prefix")) && name > q.Get("pageToken") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	answer := map[string]any{"kind": "storage#objects"}
	if len(names) > 2 {
		names = names[:2]
		answer["nextPageToken"] = names[1]
	}
	var items []map[string]string
	for _, name := range names {
		items = append(items, map[string]string{"name": name, "size": strconv.Itoa(len(s.objects[name].content)), "updated": time.Now().UTC().Format(time.RFC3339Nano)})
	}
	answer["items"] = items
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *service) remove(w http.ResponseWriter, r *http.Request, name string) {
	if s.denied(w, "storage.objects.delete") {
		return
	}
	generation := r.URL.Query().Get("generation")
	o := s.find(name, generation)
	if o == nil {
		refuse(w, 404, "notFound", "No such object: "+bucket+"/"+name)
		return
	}
	if time.Now().Before(s.policyUntil) {
		refuse(w, 403, "retentionPolicyNotMet", "Object '"+bucket+"/"+name+"' is subject to bucket's retention policy.")
		return
	}
	if s.objects[name] == o {
		delete(s.objects, name)
	}
	if generation == "" && s.versions {
		s.old = append(s.old, o)
	} else {
		for n := range s.old {
			if s.old[n] == o {
				s.old = append(s.old[:n], s.old[n+1:]...)
				break
			}
		}
	}
	w.WriteHeader(204)
}

func (s *service) patch(w http.ResponseWriter, name string, body []byte) {
	if s.denied(w, "storage.objects.setRetention") {
		return
	}
	o := s.objects[name]
	if o == nil {
		refuse(w, 404, "notFound", "No such object: "+bucket+"/"+name)
		return
	}
	if s.noRetention {
		refuse(w, 400, "invalid", "Object retention is not enabled on the bucket.")
		return
	}
	var change map[string]any
	_ = json.Unmarshal(body, &change)
	for k, v := range change {
		o.meta[k] = v
	}
	s.answer(w, o)
}

// names returns those of all objects.
func (s *service) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.objects {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// left returns all that there is: objects, generations that are not live, and
// sessions that have bytes. One whose first answer was lost has none, and
// nobody can end it.
func (s *service) left() []string {
	list := s.names()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.old {
		list = append(list, "old "+o.name)
	}
	for _, x := range s.sessions {
		if len(x.got) > 0 {
			list = append(list, fmt.Sprintf("session of %v", x.meta["name"]))
		}
	}
	return list
}
