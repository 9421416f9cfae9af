#!/usr/bin/env bash
# init.sh LAB: pid 1 of the lab, which is login01. It makes the users, the network and the daemons, boots the nodes, and stays.
set -euo pipefail
LAB=$1
# shellcheck disable=SC1091 # it is written by `up`
source "$LAB/lib/shape"
# shellcheck source=tests/lab/common.sh
source "$LAB/lib/common.sh"

# /proc is still the host's, so this is the number that we have out there.
read -r pid _ </proc/self/stat
echo "$pid" >"$LAB/run/login01.pid"
hostname login01

own_places() {
    mount -t proc proc /proc
    mount -t tmpfs -o mode=755 tmpfs /run
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    # All of /etc, because whoever installs a package on the host renames a new passwd into place, and the kernel then
    # drops what was mounted on the old one.
    mount -t tmpfs -o mode=755 tmpfs "$LAB/etc"
    cp -a /etc/. "$LAB/etc/"
    mount --bind "$LAB/etc" /etc
    boot_id login01
}

# Two files: who is not behind the bastion does not even know the names there.
names() {
    local node
    {
        echo '127.0.0.1 localhost'
        for node in "${!ROLE[@]}"; do
            [[ ${ROLE[$node]} == inner ]] || echo "${ADDRESS[$node]} $node"
        done
    } >/etc/hosts
    cp /etc/hosts /etc/hosts.bastion
    for node in "${inner_nodes[@]}"; do echo "${ADDRESS[$node]} $node" >>/etc/hosts.bastion; done
    printf '%s\n' 'passwd: files' 'group: files' 'shadow: files' 'hosts: files' 'services: files' >/etc/nsswitch.conf
    echo login01 >/etc/hostname
}

users() {
    local name number
    echo "project:x:$PROJECT:$(IFS=,; echo "${!USERS[*]}")" >>/etc/group
    for name in "${!USERS[@]}"; do
        number=${USERS[$name]}
        sed -i "/^$name:/d" /etc/passwd /etc/group /etc/shadow
        echo "$name:x:$number:$number::$LAB/home/$name:/bin/bash" >>/etc/passwd
        echo "$name:x:$number:" >>/etc/group
        echo "$name:$PASSWORD:19000:0:99999:7:::" >>/etc/shadow
        home "$name" &
    done
}

home() { # USER: a home with a key that all nodes accept, and one for the nodes that do not see it
    local home=$LAB/home/$1 private=$LAB/private/$1
    mkdir -p "$home/.ssh" "$private/.ssh"
    ssh-keygen -q -t ed25519 -N '' -C "$1@lab" -f "$home/.ssh/id_ed25519"
    cp "$home/.ssh/id_ed25519.pub" "$home/.ssh/authorized_keys"
    cp "$home/.ssh/authorized_keys" "$private/.ssh/"
    if ((${#inner_nodes[@]})); then
        printf 'Host %s\n    ProxyJump bastion\n' "${inner_nodes[*]}" >"$home/.ssh/config"
    fi
    chown -R "$1:$1" "$home" "$private"
    chmod 755 "$home" "$private"
    chmod -R go= "$home/.ssh" "$private/.ssh"
}

host_keys() {
    local node
    mkdir /etc/ssh/keys
    for node in "${!ROLE[@]}"; do ssh-keygen -q -t ed25519 -N '' -C "$node" -f "/etc/ssh/keys/$node" & done
    wait
    for node in "${!ROLE[@]}"; do
        echo "$node,${ADDRESS[$node]} $(cut -d ' ' -f 1,2 "/etc/ssh/keys/$node.pub")"
    done >/etc/ssh/ssh_known_hosts.lab
    for node in "${!USERS[@]}"; do
        install -o "$node" -g "$node" -m 600 /etc/ssh/ssh_known_hosts.lab "$LAB/home/$node/.ssh/known_hosts"
    done
}

network() {
    ip link set lo up
    ip link add br0 type bridge stp_state 0 forward_delay 0
    ip addr add "${ADDRESS[login01]}/24" dev br0
    ip link set br0 up
}

nodes() {
    local node pids=()
    "$LAB/lib/node.sh" sshd "$LAB" login01 start
    "$LAB/lib/node.sh" boot "$LAB" bastion
    for node in "${slurm_nodes[@]}" "${plain_nodes[@]}" "${inner_nodes[@]}"; do
        "$LAB/lib/node.sh" boot "$LAB" "$node" &
        pids+=($!)
    done
    for node in "${pids[@]}"; do wait "$node"; done
}

# Where people work on login01: like any host it shows its own processes, and not those of the nodes.
desk() {
    local outer inner=''
    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child --propagation private \
        bash -c 'mount -t proc proc /proc; mount --bind "$2" /proc/sys/kernel/random/boot_id; source "$1"; reap_for_ever' \
        desk "$LAB/lib/common.sh" "$LAB/run/login01.boot" &
    outer=$!
    until [[ $inner ]]; do read -r inner <"/proc/$outer/task/$outer/children" || true; done
    echo "${inner% }" >"$LAB/run/desk.number"
}

own_places
names
network
users
host_keys
if ((${#slurm_nodes[@]})); then "$LAB/lib/slurm.sh" start "$LAB"; fi
nodes
if ((${#slurm_nodes[@]})); then "$LAB/lib/slurm.sh" idle "$LAB"; fi
desk
touch "$LAB/run/ready"
reap_for_ever
