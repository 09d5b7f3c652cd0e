package dockerpg

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"archive/tar"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func TestValidate(t *testing.T) {
	for text, field := range map[string]string{
		`{}`: "",
		`{"socket":"unix:///var/vcap/sys/run/docker/docker.sock"}`: "",
		`{"socket":"tcp://host:2375"}`:                             "socket",
		`{"socket":"unix://docker.sock"}`:                          "socket",
		`{"image":" , "}`:                                          "image",
		`{"image":"a["}`:                                           "image",
		`{"container":"db1, -x"}`:                                  "container",
		`{"label":"=x"}`:                                           "label",
		`{"start_timeout":"soon"}`:                                 "start_timeout",
		`{"pg_existing":"merge"}`:                                  "pg_existing",
	} {
		target, err := openTarget(shield.Endpoint(text), func(string) {})
		if err == nil {
			err = target.(plugin.Validator).Validate(t.Context())
		}
		if (field == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), "endpoint."+field) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestImages(t *testing.T) {
	c := &config{images: []string{"*postgres*", "registry.example:5000/db/*"}}
	for image, want := range map[string]bool{
		"postgres": true, "postgres:15": true, "library/postgres:15-alpine": true, "localhost:5000/x/my-postgres@sha256:abc": true,
		"registry.example:5000/db/pg:1": true, "registry.example:5000/other/pg:1": false, "mysql:8": false, "postgres/tools:1": false,
	} {
		if c.isImage(image) != want {
			t.Errorf("%s: %v", image, !want)
		}
	}
}

const inspected = `[{"Id":"0123456789abcdef","Name":"/db","State":{"Running":true},
"Config":{"Image":"postgres:15","Hostname":"0123456789ab","Env":["POSTGRES_PASSWORD=pw","A=b c"],"Entrypoint":["/entry","x"],"Cmd":["-c","y"],
 "Labels":{"l":"v"},"ExposedPorts":{"5432/tcp":{}},"Healthcheck":{"Test":["CMD-SHELL","pg_isready"],"Interval":30000000000,"Retries":3}},
"HostConfig":{"Binds":["data:/data"],"Mounts":[{"Type":"bind","Source":"/a","Target":"/b","ReadOnly":true}],"NetworkMode":"mine",
 "PortBindings":{"5432/tcp":[{"HostIp":"::1","HostPort":"15432"}]},"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3},
 "LogConfig":{"Type":"json-file","Config":{"max-size":"1m"}},"NanoCpus":1500000000,"Memory":1048576,"Init":true,
 "Ulimits":[{"Name":"nofile","Hard":20,"Soft":10}],"Tmpfs":{"/tmp":"size=1m"}},
"NetworkSettings":{"Networks":{"mine":{"Aliases":["pg","0123456789ab"],"IPAMConfig":{"IPv4Address":"10.0.0.5"}}}}}]`

func TestCreateArgs(t *testing.T) {
	list, err := parseContainers([]byte(inspected))
	if err != nil {
		t.Fatal(err)
	}
	args, files, err := list[0].createArgs(false)
	if err != nil {
		t.Fatal(err)
	}
	want := "create --name db --env-file ./env --label-file ./labels --pull=never --expose 5432/tcp --health-cmd pg_isready --health-interval 30s --health-retries 3 " +
		"--volume data:/data --mount type=bind,target=/b,source=/a,readonly --network mine --publish [::1]:15432:5432/tcp --restart on-failure:3 " +
		"--log-driver json-file --log-opt max-size=1m --memory 1048576 --cpus 1.5 --ulimit nofile=10:20 --init=true --tmpfs /tmp:size=1m " +
		"--network-alias pg --ip 10.0.0.5 --entrypoint /entry postgres:15 x -c y"
	if got := strings.Join(args, " "); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if files["env"] != "POSTGRES_PASSWORD=pw\nA=b c\n" || files["labels"] != "l=v\n" {
		t.Errorf("files %q", files)
	}
	list[0].Config.Env = append(list[0].Config.Env, "LONG=a\nb")
	if _, _, err := list[0].createArgs(true); err == nil || !strings.Contains(err.Error(), "LONG") || strings.Contains(err.Error(), "a\nb") {
		t.Errorf("a variable of two lines: %v", err)
	}
}

func TestDiffers(t *testing.T) {
	parse := func(old, new string) *container {
		list, err := parseContainers([]byte(strings.ReplaceAll(inspected, old, new)))
		if err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	was := parse("", "")
	for _, c := range []struct{ old, new, key string }{
		{"x", "x", ""},
		{`"0123456789ab"`, `"ffffffffffff"`, ""},
		{`"Memory":1048576`, `"Memory":0`, "HostConfig.Memory"},
		{`["POSTGRES_PASSWORD=pw","A=b c"]`, `["A=b c","POSTGRES_PASSWORD=pw"]`, ""},
		{`"A=b c"`, `"A=b"`, "Config.Env"},
		{`"Entrypoint":["/entry","x"],"Cmd":["-c","y"]`, `"Entrypoint":["/entry"],"Cmd":["x","-c","y"]`, ""},
		{`"Cmd":["-c","y"]`, `"Cmd":["-c"]`, "Config.Cmd"},
		{`"NetworkMode"`, `"Dns":[],"NetworkMode"`, ""},
	} {
		if got := was.differs(parse(c.old, c.new)); got != c.key {
			t.Errorf("%s for %s: differs in %q, want %q", c.new, c.old, got, c.key)
		}
	}
}

// stream returns a stream of two containers with dumps of these sizes.
func stream(t testing.TB, sizes ...int) []byte {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	var list []*container
	for n := range sizes {
		c, err := parseContainers([]byte(strings.Replace(inspected, "/db", "/db"+string(rune('0'+n)), 1)))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c...)
	}
	text, err := marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeMember(out, listMember, text); err != nil {
		t.Fatal(err)
	}
	for n, size := range sizes {
		p := &pieces{t: out, name: list[n].name()}
		if _, err := io.Copy(p, strings.NewReader(strings.Repeat("0123456789", size/10))); err != nil {
			t.Fatal(err)
		}
		if err := p.flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readStream(b []byte, read func(io.Reader) (int64, error)) (sizes []int64, err error) {
	r := &reader{r: bytes.NewReader(b)}
	list, err := r.containers()
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		n, err := read(r.dump(c.name()))
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, n)
	}
	if err := r.next(); err != io.EOF {
		return nil, damaged("more than that: %v", err)
	}
	return sizes, nil
}

func TestStream(t *testing.T) {
	whole := stream(t, 10, 2*pieceSize/10*10+50, 30)
	for name, read := range map[string]func(io.Reader) (int64, error){
		"WriteTo": func(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) },
		"Read":    func(r io.Reader) (int64, error) { return io.Copy(io.Discard, struct{ io.Reader }{r}) },
	} {
		sizes, err := readStream(whole, read)
		if want := []int64{10, 2*pieceSize/10*10 + 50, 30}; err != nil || !slices.Equal(sizes, want) {
			t.Errorf("%s: %v, %v, want %v", name, sizes, err, want)
		}
		for n := 0; n < len(whole); n += 1 + n/10 {
			if _, err := readStream(whole[:n], read); shield.CodeOf(err) != shield.Corrupt {
				t.Errorf("%s: cut after %d of %d bytes: %v", name, n, len(whole), err)
			}
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add(stream(f, 10, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := readStream(b, func(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) })
		if err != nil && shield.CodeOf(err) != shield.Corrupt {
			t.Error(err)
		}
	})
}
