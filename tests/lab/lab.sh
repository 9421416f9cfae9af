#!/usr/bin/env bash
# A throw-away cluster on this machine, made of namespaces, with real sshd, slurmctld, slurmd and munged. As root:
#
#   lab.sh up DIR                  builds it, in one or two seconds; all of it lies in DIR, which may not be below /tmp
#   lab.sh down DIR                ends it, in a tenth of a second; DIR/log and DIR/home stay
#   lab.sh exec DIR COMMAND...     as `tester` on login01, in the home that all nodes share
#   lab.sh as DIR USER COMMAND...  the same as tester or other
#   lab.sh root DIR COMMAND...     as root on login01
#   lab.sh on DIR NODE COMMAND...  as root inside NODE
#   lab.sh crash DIR NODE          a power cut: nothing says goodbye
#   lab.sh boot DIR NODE           starts it again, with an empty /tmp and another boot id
#   lab.sh link DIR NODE up|down|drop|nodrop|loss P
#                                  the cable in or out; or it carries nothing, all, or loses packets with probability P
#   lab.sh sshd DIR NODE kill|start|cut|newkey
#                                  the listener alone; the connections alone; another host key
#   lab.sh slurmd DIR NODE kill|start
#   lab.sh slurmctld DIR kill|start
#
# common.sh lists what can differ, README.md says how it is made. A lab ends when its owner does: the process that called
# `lab.sh up`, or the pid in LAB_OWNER.
set -euo pipefail

usage() {
    sed -n '/^# A throw/,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

(($# >= 2)) || usage
verb=$1 LAB=$(realpath -m -- "$2")
shift 2
source_dir=$(dirname "$(readlink -f "$0")")
if [[ $verb != up ]]; then
    [[ -f $LAB/lib/shape ]] || { echo "lab.sh: $LAB is no lab" >&2; exit 1; }
    # shellcheck disable=SC1091 # it is written by `up`
    source "$LAB/lib/shape"
fi
# shellcheck source=tests/lab/common.sh
source "$source_dir/common.sh"

# --- from outside into the lab -----------------------------------------------------------------------

# Nothing of the caller's environment comes along.
clean=(env -i "PATH=$LAB/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/)

ours() { # PID: a process of this lab, by its command line
    [[ -n $1 ]] && ! gone "$1" && grep -sqzF -- "$LAB/lib/" "/proc/$1/cmdline"
}

pid_of() { # NAME: the number that it has where it was written down
    cat "$LAB/run/$1.pid" 2>/dev/null || true
}

into() { # NODE -> WAY: the words before a command
    local pid
    pid=$(pid_of login01)
    ours "$pid" || die "$LAB is not up"
    [[ -n ${ROLE[$1]-} ]] || die "no node is called $1: ${!ROLE[*]}"
    WAY=(nsenter --target "$pid" --mount --net --uts --pid --ipc -- "${clean[@]}")
    [[ $1 != login01 ]] || return 0
    # The number of a node's pid 1 counts inside the lab only, so there is a second step.
    pid=$(pid_of "$1")
    [[ -n $pid ]] || die "$1 is not up"
    WAY+=(nsenter --target "$pid" --mount --net --uts --pid --ipc --)
}

as_user() { # USER COMMAND...
    [[ -n ${USERS[$1]-} ]] || die "no user is called $1: ${!USERS[*]}"
    into login01
    WAY+=(nsenter --target "$(<"$LAB/run/desk.number")" --mount --pid --)
    exec "${WAY[@]}" setpriv --reuid "$1" --regid "$1" --init-groups --reset-env -- \
        env -C "$LAB/home/$1" "PATH=$LAB/bin:/usr/local/bin:/usr/bin:/bin" "${@:2}"
}

# --- up and down ---------------------------------------------------------------------------------------

check_machine() {
    local program
    ((EUID == 0)) || die "namespaces with users of their own need root"
    [[ $LAB/ != /tmp/* && $LAB/ != /run/* && $LAB/ != /etc/* ]] || die "$LAB is hidden inside the lab: choose a place such as /var/tmp"
    for program in unshare nsenter setpriv ip iptables sshd ssh ssh-keygen tmux munged slurmctld slurmd sbatch; do
        command -v "$program" >/dev/null || die "$program is missing; ./tests/run installs what is needed"
    done
}

up() {
    local keeper
    PATH=$PATH:/usr/sbin:/sbin check_machine
    ! ours "$(pid_of login01)" || die "$LAB is up already"
    (mkdir -p "$LAB" && cd "$LAB" && rm -rf run etc log slurm home private private-* dev lib && mkdir -p run etc log slurm home private dev lib bin)
    # Other users must find their way in, whatever the caller's umask is.
    chmod 755 "$LAB" "$LAB"/{home,private,lib,bin,log}
    # The lab may hide the place where these scripts are, and a test may change them while it lives.
    cp "$source_dir"/*.sh "$LAB/lib/"
    declare -p "${!LAB_@}" >"$LAB/lib/shape"
    # Its own session and no pipe of ours: it outlives this call.
    "${clean[@]}" setsid "$LAB/lib/lab.sh" keep "$LAB" </dev/null >"$LAB/log/lab.log" 2>&1 &
    keeper=$!
    wait_for 60 up_or_failed "$keeper" && [[ -e $LAB/run/ready ]] && return
    cat "$LAB"/log/*.log >&2
    down
    die "$LAB does not come up"
}

up_or_failed() { # KEEPER
    [[ -e $LAB/run/ready ]] || gone "$1"
}

# Holds the lab for as long as its owner lives. Who ends this process ends the lab: each link of the chain, down to pid 1
# of the namespaces, dies with the one before it, and with pid 1 all that is in them.
keep() {
    local owner never lab
    echo "$$" >"$LAB/run/keeper.pid"
    started "$LAB_OWNER" || die "the owner, pid $LAB_OWNER, is gone"
    owner=$STARTED
    setpriv --pdeathsig KILL \
        unshare --mount --net --uts --pid --ipc --propagation private --fork --kill-child \
        "$LAB/lib/init.sh" "$LAB" &
    lab=$!
    echo "$lab" >"$LAB/run/unshare.pid"
    exec {never}<> <(:)
    until gone "$lab"; do
        if ! started "$LAB_OWNER" || [[ $STARTED != "$owner" ]]; then break; fi
        read -r -t 0.2 -u "$never" || true
    done
    kill -KILL "$lab" 2>/dev/null || true
    wait
}

started() { # PID -> STARTED: since when it runs; fails once it has ended
    local stat
    STARTED=
    [[ $1 != none ]] || return 0
    ! gone "$1" && { mapfile -t stat <"/proc/$1/stat"; } 2>/dev/null || return
    read -ra stat <<<"${stat[*]##*) }"
    STARTED=${stat[19]}
}

down() {
    local name pid
    for name in login01 unshare keeper; do
        pid=$(pid_of "$name")
        ours "$pid" || continue
        kill -KILL "$pid" 2>/dev/null || true
        # The kernel lets pid 1 go only after all that is in its namespace, and in those within.
        wait_for 10 gone "$pid" || die "pid $pid of $LAB does not end"
    done
    rm -rf "$LAB/run"
}

case $verb in
    up | down | keep) "$verb" ;;
    exec) as_user tester "$@" ;;
    as) as_user "$@" ;;
    root)
        into login01
        exec "${WAY[@]}" "$@"
        ;;
    on)
        into "$1"
        exec "${WAY[@]}" "${@:2}"
        ;;
    crash | boot | link | sshd | slurmd)
        into login01
        exec "${WAY[@]}" "$LAB/lib/node.sh" "$verb" "$LAB" "$@"
        ;;
    slurmctld)
        into login01
        exec "${WAY[@]}" "$LAB/lib/slurm.sh" "$1" "$LAB"
        ;;
    *) usage ;;
esac
