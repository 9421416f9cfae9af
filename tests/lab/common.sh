# What a lab is made of: nodes, addresses, knobs. Sourced by the other scripts here; whoever calls `lab.sh up` sets what is
# to differ in the environment, and `up` keeps it with the lab.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this file use the names

: "${LAB_PLAIN_NODES=research-secure-05 research-secure-11 research-secure-12 research-secure-13}" # sshd and tmux, no SLURM
: "${LAB_SLURM_NODES=gpu-31-10}"      # slurmd as well; without any there is no SLURM at all
: "${LAB_INNER_NODES=inner01}"        # behind `bastion`, and reached through it alone
: "${LAB_PRIVATE_HOME=}"              # nodes that do not see the shared home
: "${LAB_ASKING_NODES=}"              # nodes whose sshd wants the password, keyboard-interactive, after the key
: "${LAB_GPUS=8}"                     # of each SLURM node
: "${LAB_MAX_SESSIONS=10}"            # of sshd_config, on every host
: "${LAB_MAX_STARTUPS=10:30:100}"
: "${LAB_SLURMD_TIMEOUT=5}"           # seconds of silence after which slurmctld takes a node for down (some 16 in all)
: "${LAB_CRED_EXPIRE=5}"              # a requeued job is held back this long and a second; SLURM takes less than 5 for 120
: "${LAB_ACCOUNTING=no}"              # yes: slurmdbd with MariaDB, for sacct; some ten seconds more
: "${LAB_OWNER=$PPID}"                # the process with which the lab ends; `none` for one that stays

# Names that users may hold: uid, which is the gid of their own group as well. Both are in the group `project`.
declare -A USERS=([tester]=4242 [other]=4243)
PROJECT=4200
# The password is `lab-secret`.
# shellcheck disable=SC2016 # it is no variable
PASSWORD='$6$toolorchlab$2i.D5H4/R52aCrsaxTlGCagduB21zOSmVUXWt5uLajQkt82gJyYWe7a2JmyD8EZOmQ.LRfoy/uSOlQNUslUm11'

# What each host is, and where. The SLURM nodes count from .10, so that gpu-31-10 is the log's 172.27.31.10.
declare -A ROLE=([login01]=login [bastion]=bastion) ADDRESS=([login01]=172.27.31.1 [bastion]=172.27.31.2)
place() { # ROLE NETWORK FIRST NODE...
    local role=$1 network=$2 number=$3 node
    for node in "${@:4}"; do
        ROLE[$node]=$role ADDRESS[$node]=$network.$((number++))
    done
}
read -ra slurm_nodes <<<"$LAB_SLURM_NODES"
read -ra plain_nodes <<<"$LAB_PLAIN_NODES"
read -ra inner_nodes <<<"$LAB_INNER_NODES"
place slurm 172.27.31 10 "${slurm_nodes[@]}"
place plain 172.27.31 $((10 + ${#slurm_nodes[@]})) "${plain_nodes[@]}"
place inner 172.27.32 10 "${inner_nodes[@]}"

listed() { # NODE NAMES: whether it is one of the names
    [[ " $2 " == *" $1 "* ]]
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

wait_for() { # SECONDS COMMAND...: until it succeeds, fifty times a second
    local tries=$(($1 * 50))
    shift
    until "$@"; do
        ((tries-- > 0)) || return 1
        sleep 0.02
    done
}

gone() { # PID: ended, whether or not somebody has taken note of it yet
    local stat
    { mapfile -t stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    [[ ${stat[*]##*) } == [ZX]* || -z ${stat[*]} ]]
}

# A kernel has one boot id, so hosts that are to have their own hide it behind a file. Runs as pid 1 of the host.
boot_id() { # NODE
    cp /proc/sys/kernel/random/uuid "$LAB/run/$1.boot"
    mount --bind "$LAB/run/$1.boot" /proc/sys/kernel/random/boot_id
}

# Pid 1 of a namespace stays and takes note of every end; a read that never returns needs no process of its own.
reap_for_ever() {
    local never
    exec {never}<> <(:)
    while :; do read -r -u "$never" || true; done
}
