package fs

// specials has the file systems that the kernel makes up, by the kind that
// statfs(2) tells. It is never written to.
var specials = map[uint32]string{
	0x9fa0: "proc", 0x62656572: "sysfs", 0x27e0eb: "cgroup", 0x63677270: "cgroup2", 0x64626720: "debugfs",
	0x74726163: "tracefs", 0x73636673: "securityfs", 0xcafe4a11: "bpf", 0x6165676c: "pstore", 0x1cd1: "devpts",
	0xde5e81e4: "efivarfs", 0x42494e4d: "binfmt_misc", 0xf97cff8c: "selinuxfs", 0x187: "autofs",
}
