#!/usr/bin/env bash
# slurm.sh start|kill|idle LAB: slurmctld on login01, with munged and slurm.conf at its first start.
#
# Works without cgroups: processes are followed by their parents. Times are short, so that what takes a site minutes is seen
# in seconds, and scheduling is immediate.
set -euo pipefail
LAB=$2
# shellcheck disable=SC1091 # it is written by `up`
source "$LAB/lib/shape"
# shellcheck source=tests/lab/common.sh
source "$LAB/lib/common.sh"

all=$(IFS=,; echo "${slurm_nodes[*]}")
socket=$LAB/run/munge.socket

configuration() {
    local node
    cat <<EOF
ClusterName=lab
SlurmctldHost=login01(${ADDRESS[login01]})
AuthType=auth/munge
# A job that is requeued or preempted is held back for cred_expire and a second.
AuthInfo=socket=$socket,cred_expire=$LAB_CRED_EXPIRE
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
$(accounting)
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$LAB/slurm/state
SlurmdSpoolDir=$LAB/slurm/spool/%n
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=$LAB/log/slurmctld.log
SlurmdLogFile=$LAB/log/slurmd.%n.log
# Nodes claim more than this machine has.
SlurmdParameters=config_overrides
SlurmdTimeout=$LAB_SLURMD_TIMEOUT
SlurmctldTimeout=10
MessageTimeout=5
KillWait=3
BatchStartTimeout=10
InactiveLimit=0
MinJobAge=300
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0,default_queue_depth=100
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
PropagateResourceLimits=NONE
EOF
    for node in "${slurm_nodes[@]}"; do
        echo "NodeName=$node NodeAddr=${ADDRESS[$node]} CPUs=64 RealMemory=512000 Gres=gpu:h100:$LAB_GPUS State=UNKNOWN"
    done
    # The usual one; one with a limit of a minute; one whose jobs give way to those of `main`, and are queued again.
    echo "PartitionName=main Nodes=$all Default=YES MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF"
    echo "PartitionName=short Nodes=$all MaxTime=00:01:00 PriorityTier=10 PreemptMode=OFF"
    echo "PartitionName=scavenge Nodes=$all MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE"
}

accounting() {
    if [[ $LAB_ACCOUNTING == yes ]]; then
        echo AccountingStorageType=accounting_storage/slurmdbd
        echo AccountingStorageHost=login01
        # Not a password: the socket of the munged by which slurmdbd knows its clients.
        echo "AccountingStoragePass=$socket"
    else
        echo AccountingStorageType=accounting_storage/none
    fi
}

configure() {
    local gpu
    mkdir -p "$LAB"/slurm/{state,spool} /etc/slurm
    # /dev/null by another name: slurmd wants a device for each GPU, and asks no more of it.
    for ((gpu = 0; gpu < LAB_GPUS; gpu++)); do mknod -m 666 "$LAB/dev/nvidia$gpu" c 1 3; done
    echo "Name=gpu Type=h100 File=$LAB/dev/nvidia[0-$((LAB_GPUS - 1))]" >/etc/slurm/gres.conf
    configuration >/etc/slurm/slurm.conf
}

start_munged() {
    # In the lab's own place, which all nodes see; --force, because the folders above it are not munge's.
    (umask 077 && head -c 128 /dev/urandom >/etc/munge.key.lab)
    munged --force --key-file=/etc/munge.key.lab --socket="$socket" --pid-file=/run/munged.pid \
        --log-file="$LAB/log/munged.log" --seed-file=/run/munged.seed 2>>"$LAB/log/munged.log"
}

start() {
    if [[ ! -e /run/munged.pid ]]; then
        configure
        start_munged
        [[ $LAB_ACCOUNTING != yes ]] || "$LAB/lib/accounting.sh" "$LAB"
    fi
    slurmctld </dev/null >>"$LAB/log/slurmctld.log" 2>&1
    wait_for 10 answers || die "slurmctld does not answer"
}

answers() {
    [[ $(scontrol ping 2>/dev/null) == *"is UP"* ]]
}

kill_it() {
    local pid
    pid=$(</run/slurmctld.pid)
    kill -KILL "$pid"
    wait_for 5 gone "$pid"
}

idle() {
    wait_for 30 all_idle || die "the nodes do not become idle: $(sinfo -h -N -p main)"
}

all_idle() {
    local state count=0
    while read -r state; do [[ $state != idle ]] || ((++count)); done < <(sinfo -h -N -p main -o %T 2>/dev/null)
    ((count == ${#slurm_nodes[@]}))
}

case $1 in
    start | idle) "$1" ;;
    kill) kill_it ;;
    *) die "slurmctld kill|start" ;;
esac
