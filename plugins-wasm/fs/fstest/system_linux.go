package fstest

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// system adds what only some systems, users and file systems have.
func (m *maker) system() {
	m.must(os.MkdirAll(m.path("system"), 0o755))
	m.must(unix.Mkfifo(m.path("system/fifo"), 0o640))
	m.must(unix.Mknod(m.path("system/socket"), unix.S_IFSOCK|0o600, 0))
	m.must(os.Link(m.path("system/fifo"), m.path("system/fifo-second")))
	m.attributes()
	m.must(unix.UtimesNanoAt(unix.AT_FDCWD, m.path("links/dangling"),
		[]unix.Timespec{{Sec: 1e9, Nsec: 1}, {Sec: 1e9, Nsec: 123456789}}, unix.AT_SYMLINK_NOFOLLOW))
	if os.Geteuid() == 0 {
		m.owners()
	}
}

func (m *maker) owners() {
	// Some containers have root without the right to make devices.
	_ = unix.Mknod(m.path("system/char"), unix.S_IFCHR|0o620, int(unix.Mkdev(1, 3)))
	_ = unix.Mknod(m.path("system/block"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70_000)))
	m.write("system/owned", 10, 0o644)
	m.must(os.Chown(m.path("system/owned"), 12345, 54321))
	m.write("system/owned-high", 10, 0o644)
	m.must(os.Chown(m.path("system/owned-high"), 3_000_000, 4_000_000))
	m.must(os.Lchown(m.path("links/absolute"), 12345, 0))
	m.write("system/setuid", 10, 0o755)
	m.must(os.Chown(m.path("system/setuid"), 12345, 54321))
	m.must(os.Chmod(m.path("system/setuid"), os.ModeSetuid|os.ModeSetgid|0o755))
}

// attributes are not to be had on every file system.
func (m *maker) attributes() {
	m.write("system/attributes", 10, 0o644)
	name := m.path("system/attributes")
	if unix.Setxattr(name, "user.plain", []byte("value"), 0) == unix.EOPNOTSUPP {
		return
	}
	m.must(unix.Setxattr(name, "user.empty", nil, 0))
	m.must(unix.Setxattr(name, "user.binary", []byte("\x00\n=\xff"), 0))
	m.must(unix.Setxattr(name, "user.a=b%3D", []byte(strings.Repeat("long", 500)), 0))
	m.must(unix.Setxattr(m.path("folders/empty"), "user.folder", []byte("value"), 0))
	// An ACL: user::rw-, user:1:r--, group::r--, mask::r--, other::r--.
	acl := "\x02\x00\x00\x00" +
		"\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\x01\x00\x00\x00" + "\x04\x00\x04\x00\xff\xff\xff\xff" +
		"\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x04\x00\xff\xff\xff\xff"
	m.write("system/acl", 10, 0o644)
	_ = unix.Setxattr(m.path("system/acl"), "system.posix_acl_access", []byte(acl), 0)
	_ = unix.Setxattr(m.path("folders/one"), "system.posix_acl_default", []byte(acl), 0)
	if os.Geteuid() == 0 {
		_ = unix.Setxattr(name, "trusted.mine", []byte("root's"), 0)
		_ = unix.Setxattr(name, "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0)
		_ = unix.Lsetxattr(m.path("links/dangling"), "trusted.link", []byte("x"), 0)
	}
}
