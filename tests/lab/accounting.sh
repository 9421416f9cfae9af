#!/usr/bin/env bash
# accounting.sh LAB: MariaDB and slurmdbd on login01, so that there is `sacct`. Before the first start of slurmctld.
set -euo pipefail
LAB=$1
# shellcheck disable=SC1091 # it is written by `up`
source "$LAB/lib/shape"
# shellcheck source=tests/lab/common.sh
source "$LAB/lib/common.sh"

data=$LAB/slurm/mysql socket=/run/mysqld/mysqld.sock
for program in mariadbd mariadb-install-db slurmdbd; do
    command -v "$program" >/dev/null || die "$program is missing: apt-get install slurmdbd mariadb-server"
done

database() {
    mkdir -p "$data" /run/mysqld
    chown mysql:mysql "$data" /run/mysqld
    # What a disk would have to keep does not matter here, and takes most of the time.
    mariadb-install-db --no-defaults --user=mysql --datadir="$data" --skip-test-db --auth-root-authentication-method=socket \
        --innodb-flush-log-at-trx-commit=0 >>"$LAB/log/mysql.log" 2>&1
    mariadbd --no-defaults --user=mysql --datadir="$data" --socket="$socket" --skip-networking --pid-file=/run/mysqld/pid \
        --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0 </dev/null >>"$LAB/log/mysql.log" 2>&1 &
    wait_for 60 mariadb-admin --socket="$socket" --silent ping >/dev/null 2>&1 || die "MariaDB does not answer"
    mariadb --socket="$socket" --execute='create database slurm_acct_db'
}

configuration() {
    cat <<EOF
AuthType=auth/munge
AuthInfo=socket=$LAB/run/munge.socket
DbdHost=login01
DbdAddr=${ADDRESS[login01]}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
LogFile=$LAB/log/slurmdbd.log
PidFile=/run/slurmdbd.pid
EOF
}

people() {
    local name
    sacctmgr -iQ add cluster lab
    sacctmgr -iQ add account lab cluster=lab
    for name in "${!USERS[@]}"; do sacctmgr -iQ add user "$name" account=lab cluster=lab; done
}

knows_clusters() {
    sacctmgr -nQ show cluster >/dev/null 2>&1
}

database
(umask 077 && configuration >/etc/slurm/slurmdbd.conf)
MYSQL_UNIX_PORT=$socket slurmdbd </dev/null >>"$LAB/log/slurmdbd.log" 2>&1
wait_for 30 knows_clusters || die "slurmdbd does not answer"
people
