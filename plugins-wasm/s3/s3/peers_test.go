//go:build linux

package s3_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// BenchmarkPeers compares a backup to a server and a restore from it with what
// others take for the same file: rclone, which only copies, with archives that
// are neither compressed nor encrypted; restic with sealed ones. All send three
// parts at a time.
func BenchmarkPeers(b *testing.B) {
	server := startVersityGW(b)
	for name, p := range map[string]*shieldtest.Peer{
		"rclone": {
			Backup: "rclone copyto $FROM there:$BUCKET/file", Restore: "rclone copyto there:$BUCKET/file $TO",
			Env: []string{
				"RCLONE_CONFIG=/dev/null", "AWS_CA_BUNDLE=", "RCLONE_S3_UPLOAD_CONCURRENCY=3", "RCLONE_S3_CHUNK_SIZE=16M",
				"RCLONE_CONFIG_THERE_TYPE=s3", "RCLONE_CONFIG_THERE_PROVIDER=Other", "RCLONE_CONFIG_THERE_ENDPOINT=" + server.URL,
				"RCLONE_CONFIG_THERE_ACCESS_KEY_ID=" + server.AccessKey, "RCLONE_CONFIG_THERE_SECRET_ACCESS_KEY=" + server.SecretKey,
			},
		},
		"restic": {
			Setup: "restic init", Backup: "restic -o s3.connections=3 backup --force $FROM", Restore: "restic -o s3.connections=3 restore latest --target $TO",
			Env: []string{
				"RESTIC_REPOSITORY=s3:" + server.URL + "/$BUCKET/restic", "RESTIC_PASSWORD=benchmark",
				"AWS_ACCESS_KEY_ID=" + server.AccessKey, "AWS_SECRET_ACCESS_KEY=" + server.SecretKey,
			},
		},
	} {
		b.Run(name, func(b *testing.B) {
			testserver.Tool(b, name)
			bucket, dir := server.bucket(b, false), b.TempDir()
			from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
			if err := os.Mkdir(from, 0o700); err != nil {
				b.Fatal(err)
			}
			f, err := os.Create(filepath.Join(from, "file"))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(f, plugintest.Stream(shieldtest.BenchSize(), 1)); err != nil {
				b.Fatal(err)
			}
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
			s := shieldtest.Start(b)
			s.Install(shieldtest.Module(b, "s3"))
			s.Target("from", "fs", fmt.Sprintf(`{"base_dir":%q}`, from))
			s.Target("to", "fs", fmt.Sprintf(`{"base_dir":%q}`, to))
			s.Store("bucket", "s3", string(server.endpoint(b, bucket, nil)))
			s.Job("job", "from", "bucket")
			if name == "rclone" {
				s.Run("edit", "job", "job", "--compression", "none", "--unencrypted")
			}
			p.System, p.Job, p.To, p.Prepare = s, "job", "to", "rm -rf $TO"
			for i, e := range p.Env {
				p.Env[i] = os.Expand(e, func(string) string { return bucket })
			}
			p.Env = append(p.Env, "BUCKET="+bucket, "FROM="+filepath.Join(from, "file"), "TO="+filepath.Join(to, "file"), "RESTIC_CACHE_DIR="+filepath.Join(dir, "cache"))
			p.Bench(b)
		})
	}
}
