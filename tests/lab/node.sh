#!/usr/bin/env bash
# node.sh VERB LAB NODE [WHAT [P]]: what becomes of one node; runs in the namespaces of login01. `init` is the node's pid 1.
set -euo pipefail
verb=$1 LAB=$2 node=$3 what=${4-}
# shellcheck disable=SC1091 # it is written by `up`
source "$LAB/lib/shape"
# shellcheck source=tests/lab/common.sh
source "$LAB/lib/common.sh"
[[ -n ${ROLE[$node]-} ]] || die "no node is called $node: ${!ROLE[*]}"
role=${ROLE[$node]} address=${ADDRESS[$node]}

number() { # NODE: its pid 1, as login01 sees it
    cat "$LAB/run/$1.pid" 2>/dev/null || die "$1 is not up"
}

inside() { # COMMAND...: in the node
    if [[ $role == login ]]; then
        "$@"
        return
    fi
    local pid
    pid=$(number "$node")
    nsenter --target "$pid" --mount --net --uts --pid --ipc -- "$@"
}

# --- the cable -------------------------------------------------------------------------------------------

# Its other end: on login01, or on the bastion for who is behind it.
cable=v-${address##*.} bridge=br0
if [[ $role == inner ]]; then bridge=br1; fi

there() { # COMMAND...: in the network of the other end
    if [[ $role != inner ]]; then
        "$@"
        return
    fi
    local pid
    pid=$(number bastion)
    nsenter --target "$pid" --net -- "$@"
}

plug_in() { # PID
    # What a crash left may not be cleaned up yet.
    there ip link del "$cable" 2>/dev/null || true
    # A fixed hardware address: nobody knows of the reboot, and a neighbour that remembers another one would be deaf.
    there ip link add "$cable" type veth peer name eth0 address "$(hardware_address)" netns "$1"
    there ip link set "$cable" master "$bridge" up
    local network=(nsenter --target "$1" --net -- ip)
    "${network[@]}" addr add "$address/24" dev eth0
    "${network[@]}" link set lo up
    "${network[@]}" link set eth0 up
    if [[ $role == bastion ]]; then
        "${network[@]}" link add br1 type bridge stp_state 0 forward_delay 0
        "${network[@]}" addr add 172.27.32.1/24 dev br1
        "${network[@]}" link set br1 up
    fi
    wait_for 10 carries
}

hardware_address() {
    local -a numbers
    IFS=. read -ra numbers <<<"$address"
    printf '02:00:%02x:%02x:%02x:%02x' "${numbers[@]}"
}

carries() {
    [[ $(there bridge -details link show dev "$cable" 2>/dev/null) == *"state forwarding"* ]]
}

link() { # PROBABILITY
    [[ $role != login ]] || die "login01 has no cable"
    case $what in
        down) there ip link set "$cable" down ;;
        up)
            there ip link set "$cable" up
            wait_for 10 carries
            # Who failed to find the node would say so once more.
            there ip neigh flush dev "$bridge"
            ;;
        drop) inside bash -c 'iptables -I INPUT -i eth0 -j DROP; iptables -I OUTPUT -o eth0 -j DROP' ;;
        loss) inside iptables -I INPUT -i eth0 -m statistic --mode random --probability "${1:?the probability of a loss}" -j DROP ;;
        nodrop) inside iptables -F ;;
        *) die "link $node up|down|drop|nodrop|loss P" ;;
    esac
}

# --- on and off --------------------------------------------------------------------------------------------

boot() {
    local pid
    [[ $role != login ]] || die "login01 is up for as long as the lab is"
    [[ ! -e $LAB/run/$node.pid ]] || die "$node is up already"
    setsid unshare --mount --net --uts --pid --ipc --propagation private --fork --kill-child \
        "$LAB/lib/node.sh" init "$LAB" "$node" </dev/null >>"$LAB/log/node.$node.log" 2>&1 &
    wait_for 10 test -s "$LAB/run/$node.pid" || die "$node does not come up"
    pid=$(number "$node")
    plug_in "$pid"
    touch "$LAB/run/$node.cable"
    wait_for 10 test -e "$LAB/run/$node.up" || die "$node does not come up"
    [[ $role != bastion ]] || plug_in_again
}

# With the bastion went the cables of those behind it, both ends of each.
plug_in_again() {
    local inner
    for inner in "${inner_nodes[@]}"; do
        [[ ! -e $LAB/run/$inner.up ]] || "$LAB/lib/node.sh" local "$LAB" "$inner" plug_in "$(number "$inner")"
    done
}

crash() {
    local pid
    [[ $role != login ]] || die "login01 is up for as long as the lab is"
    pid=$(number "$node")
    # The cable first: a kernel that ends a process closes its connections, and a power cut closes none.
    there ip link set "$cable" down
    kill -KILL "$pid"
    wait_for 10 gone "$pid"
    rm -f "$LAB/run/$node".{pid,cable,up}
}

# Pid 1 of the node. What it does not mount is as on login01: the shared home, /etc, programs.
init() {
    read -r pid _ </proc/self/stat # /proc is still login01's
    hostname "$node"
    mount -t proc proc /proc
    mount -t tmpfs -o mode=755 tmpfs /run
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    boot_id "$node"
    if [[ $role == @(bastion|inner) ]]; then mount --bind /etc/hosts.bastion /etc/hosts; fi
    if listed "$node" "$LAB_PRIVATE_HOME"; then
        # A disk of its own, which a reboot leaves alone.
        [[ -d $LAB/private-$node ]] || cp -a "$LAB/private" "$LAB/private-$node"
        mount --bind "$LAB/private-$node" "$LAB/home"
    fi
    echo "$pid" >"$LAB/run/$node.pid.new"
    mv "$LAB/run/$node.pid.new" "$LAB/run/$node.pid"
    wait_for 10 test -e "$LAB/run/$node.cable"
    start_sshd
    [[ $role != slurm ]] || start_slurmd
    touch "$LAB/run/$node.up"
    reap_for_ever
}

# --- daemons -------------------------------------------------------------------------------------------------

start_sshd() {
    mkdir -p /run/sshd
    sshd_config >/run/sshd_config
    /usr/sbin/sshd -f /run/sshd_config -E "$LAB/log/sshd.$node.log"
}

sshd_config() {
    cat <<EOF
HostKey /etc/ssh/keys/$node
PidFile /run/sshd.pid
StrictModes no
AcceptEnv LANG LC_*
SetEnv PATH=$LAB/bin:/usr/local/bin:/usr/bin:/bin
PasswordAuthentication no
MaxSessions $LAB_MAX_SESSIONS
MaxStartups $LAB_MAX_STARTUPS
Subsystem sftp internal-sftp
LogLevel VERBOSE
UseDNS no
EOF
    if listed "$node" "$LAB_ASKING_NODES"; then
        printf '%s\n' 'UsePAM yes' 'KbdInteractiveAuthentication yes' 'AuthenticationMethods publickey,keyboard-interactive'
    else
        printf '%s\n' 'UsePAM no' 'KbdInteractiveAuthentication no'
    fi
}

start_slurmd() {
    mkdir -p "$LAB/slurm/spool/$node"
    /usr/sbin/slurmd -N "$node"
}

# A function of this file, in the node.
in_node() {
    inside "$LAB/lib/node.sh" local "$LAB" "$node" "$@"
}

kill_daemon() { # NAME
    kill -KILL "$(<"/run/$1.pid")"
    wait_for 5 gone "$(<"/run/$1.pid")"
}

sshd() {
    case $what in
        start) in_node start_sshd ;;
        kill) in_node kill_daemon sshd ;;
        # What they started lives on: sshd ends nothing that has no terminal.
        cut) in_node cut_connections ;;
        newkey)
            rm -f "/etc/ssh/keys/$node"{,.pub}
            ssh-keygen -q -t ed25519 -N '' -C "$node" -f "/etc/ssh/keys/$node"
            in_node kill_daemon sshd
            in_node start_sshd
            ;;
        *) die "sshd $node kill|start|cut|newkey" ;;
    esac
}

cut_connections() {
    local pid listener
    listener=$(</run/sshd.pid)
    while read -r pid; do
        [[ $pid == "$listener" ]] || kill -KILL "$pid" 2>/dev/null || true
    done < <(pgrep '^sshd')
}

slurmd() {
    [[ $role == slurm ]] || die "$node is no SLURM node"
    case $what in
        start) in_node start_slurmd ;;
        kill) in_node kill_daemon slurmd ;;
        *) die "slurmd $node kill|start" ;;
    esac
}

case $verb in
    boot | crash | init) "$verb" ;;
    link) link "${5-}" ;;
    sshd | slurmd) "$verb" ;;
    local) "${@:4}" ;;
    *) die "no such verb: $verb" ;;
esac
