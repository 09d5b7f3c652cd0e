package tool

// packages are Debian's for programs that dump and load. It is never written
// to.
var packages = map[string]string{
	"psql": "postgresql-client", "pg_dump": "postgresql-client", "pg_dumpall": "postgresql-client",
	"pg_restore": "postgresql-client", "pg_basebackup": "postgresql-client", "pg_verifybackup": "postgresql",
	"mysql": "default-mysql-client", "mysqldump": "default-mysql-client", "mysqladmin": "default-mysql-client",
	"mariadb": "mariadb-client", "mariadb-dump": "mariadb-client", "mariadb-admin": "mariadb-client",
	"mariabackup": "mariadb-backup", "mariadb-backup": "mariadb-backup", "mbstream": "mariadb-backup",
	"mongodump": "mongodb-database-tools", "mongorestore": "mongodb-database-tools",
	"redis-cli": "redis-tools", "redis-check-rdb": "redis-tools", "redis-server": "redis-server",
	"rabbitmqctl": "rabbitmq-server", "rabbitmqadmin": "rabbitmq-server",
	"docker": "docker.io", "tar": "tar", "nodetool": "cassandra-tools",
	"consul": "consul", "etcdctl": "etcd-client", "systemctl": "systemd",
}

// Package returns the Debian package that has a program, empty if none is
// known.
func Package(name string) string { return packages[name] }
