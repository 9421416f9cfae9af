//! E03, W03, N03: ports, GPUs and nodes.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[
    CodeInfo {
        code: "E0301",
        title: "one port, two servers",
        text: "Two servers would listen on the same port of the same address; the second would end at \
               its start, after a minute of imports. A model takes its first port and one more for each \
               further replica, over all its nodes. Leave room, or write `port: auto`.",
    },
    CodeInfo {
        code: "E0302",
        title: "no port left",
        text: "A model's ports are its first one, +1 for each replica; they end at 65535. With `port: \
               auto` they are taken from 20000 upwards, leaving out those that are written down or in \
               use here.",
    },
    CodeInfo {
        code: "E0303",
        title: "a port is in use",
        text: "Somebody listens already on a port that the YAML names. A named port is never moved: \
               clients and people may know it. Stop the process that is shown, or choose another port. \
               `port: auto` goes around busy ports by itself.",
    },
    CodeInfo {
        code: "W0304",
        title: "a port for root alone",
        text: "Ports below 1024 can be listened on by root or with a capability only; a server of yours would end at its start with `Permission denied`.",
    },
    CodeInfo {
        code: "N0305",
        title: "a port that the system gives away",
        text: "Linux gives each outgoing connection a port of `net.ipv4.ip_local_port_range`, 32768 to 60999 if nobody changed it. One of these may be in use for a moment just when a server wants to listen on it.",
    },
    CodeInfo {
        code: "E0306",
        title: "a port that nobody is told",
        text: "A service without `port`, or with `port: auto`, is given a free one when it starts, as `{port}` in its command or its variables. \
               One that is not told listens somewhere else, and never counts as ready.",
    },
    CodeInfo {
        code: "E0310",
        title: "there is no such GPU",
        text: "A GPU is named that the node does not have. GPUs count from 0, as `nvidia-smi` shows \
               them; a node with `gpus: 8` has 0 to 7, one with `gpus: [4, 5]` only these.",
    },
    CodeInfo {
        code: "E0311",
        title: "a GPU has too many owners",
        text: "Servers that are put on one GPU on purpose must share its memory: their \
               `gpu_memory_utilization` may add up to at most 1. Where it is not written, vLLM takes \
               0.9 (0.92 from 0.32 on).",
    },
    CodeInfo {
        code: "W0311",
        title: "a GPU is shared with something of unknown size",
        text: "A service and another unit are on one GPU. What a service takes is not written anywhere, \
               so nobody can say whether both fit. Give it a GPU of its own, or accept this with \
               `allow`.",
    },
    CodeInfo {
        code: "E0312",
        title: "not enough GPUs",
        text: "Each server gets `tensor_parallel` × `pipeline_parallel` GPUs of one node that nobody \
               else uses. There are not enough left. Lower `replicas`, spread over more nodes with \
               `node: [A, B]`, or share GPUs on purpose by naming them in `gpus`.",
    },
    CodeInfo {
        code: "E0313",
        title: "a server gets the wrong number of GPUs",
        text: "A server with `tensor_parallel: 2` works on two GPUs at once. `gpus: [4, 5]` gives one \
               GPU to each replica; write `gpus: [[4, 5], [6, 7]]` for a pair each.",
    },
    CodeInfo {
        code: "E0314",
        title: "GPUs and servers do not match in number",
        text: "`gpus` names GPUs (or groups) for more or fewer servers than `replicas` asks for. With \
               several nodes one list may serve the block of each node.",
    },
    CodeInfo {
        code: "E0315",
        title: "a service on several nodes",
        text: "A service is one server with one endpoint. For one on each node write several services; \
               a client's configuration names each by its key.",
    },
    CodeInfo {
        code: "E0316",
        title: "a SLURM job without a time limit",
        text: "Without `slurm.time` a job gets the partition's default, which may be minutes or \
               unlimited; and nothing could say whether an evaluation will end in time.",
    },
    CodeInfo {
        code: "E0317",
        title: "a GPU is listed twice",
        text: "A node's `gpus` lists the GPUs that may be used, each once. With `nvidia-smi -L` count them from 0.",
    },
    CodeInfo {
        code: "E0320",
        title: "an address that leads back",
        text: "Clients on another machine would connect to themselves. Debian and Ubuntu write a host's \
               own name to 127.0.1.1 in `/etc/hosts`, so the name of a node may resolve to a loopback \
               address on the node itself. Give the node an `address` that others can reach. Nodes that \
               are this machine say `transport: local`.",
    },
    CodeInfo {
        code: "N0321",
        title: "a node's name is not known here",
        text: "This machine's resolver does not know the node. Where clients run it must; `check \
               --nodes` looks there.",
    },
    CodeInfo {
        code: "E0322",
        title: "an IPv6 address that the client cannot use",
        text: "ToolOrchestra writes addresses into URLs without the brackets that IPv6 needs.",
    },
    CodeInfo {
        code: "W0323",
        title: "a server listens at every address",
        text: "`args: { host: 0.0.0.0 }` opens a server to every network of its node. Servers have no \
               key: whoever reaches the port can use the model, and vLLM has more routes than `/v1`. \
               Left out, a server listens at its node's address alone.",
    },
    CodeInfo {
        code: "N0324",
        title: "servers of a pool listen at every address",
        text: "SLURM chooses the node, so its address is not known when the script is written, and the \
               server listens at all of them. It has no key: whoever reaches the port can use the model.",
    },
    CodeInfo {
        code: "W0325",
        title: "one machine under two names",
        text: "Two nodes of the YAML lead to one address. GPUs and ports of each are given out as if they were two machines, so that servers of both meet on one GPU or one port.",
    },
    CodeInfo {
        code: "N0330",
        title: "evaluations on other machines",
        text: "The client is started there over ssh. It reads its dataset and its configuration from, and writes its results to, the \
               paths that this machine has for them, so these must be on a file system that both share. Before each start that is \
               proved with files that are put there, and that servers can be reached from there by connecting; otherwise the \
               evaluation is refused (3).",
    },
    CodeInfo {
        code: "E0331",
        title: "evaluations in SLURM jobs cannot be started",
        text: "This release starts clients where it runs itself, or over ssh: leave `node` of the evaluation out. The rendered script \
               can be run on the node by hand: its header says how.",
    },
    CodeInfo {
        code: "N0331",
        title: "evaluations in SLURM jobs",
        text: "`render` writes their scripts, and `up` refuses them with E0331: this release starts clients where it runs itself, or over ssh.",
    },
    CodeInfo {
        code: "E0332",
        title: "a tunnel that can lead nowhere",
        text: "`reach: tunnel` makes an ssh connection from this machine to the node, or, for a node that SLURM gives out, to \
               `slurm.login`, and leads clients through it. The places at its other end must be known when it is made: with SLURM \
               each server there needs a `port` of its own. A node that is this machine needs no tunnel.",
    },
    CodeInfo {
        code: "E0333",
        title: "servers that a client on a node cannot reach",
        text: "The address of a server is one of loopback, or the server is reached through a tunnel of this machine: on the client's \
               node that address means the node itself. Let the client run here, or give the server's node an `address`.",
    },
    CodeInfo {
        code: "E0334",
        title: "a fingerprint that no host key has",
        text: "`ssh.host_key_sha256` pins the host's key: what `ssh-keygen -lf FILE.pub` prints on that machine, `SHA256:` and 43 \
               letters and digits. Nothing is sent to a host whose key has another fingerprint, so a wrong one shuts the node out.",
    },
    CodeInfo {
        code: "E0340",
        title: "not a time limit of SLURM",
        text: "`sbatch --time` takes minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes and days-hours:minutes:seconds. Note that `\"04:00\"` is four minutes. A limit of nothing would mean none, and nothing could say whether an evaluation will end in time.",
    },
    CodeInfo {
        code: "E0341",
        title: "not a resource of a GPU",
        text: "`gres` names what SLURM calls a GPU: `gpu`, or `gpu:TYPE`. Each job adds the number of GPUs that its servers use.",
    },
    CodeInfo {
        code: "E0342",
        title: "an option of SLURM that is not plain text",
        text: "Options are written into lines `#SBATCH --option=value`. With a line end, a quote or a backslash SLURM would read something else than is written.",
    },
    CodeInfo {
        code: "E0343",
        title: "an option that every job has already",
        text: "These options follow from the YAML and the plan, and the supervision of jobs depends on them. `extra` is for others, such as `mem`, `exclusive` or `reservation`.",
    },
    CodeInfo {
        code: "W0343",
        title: "GPUs of a job that are asked for twice",
        text: "Each job asks for the GPUs that its servers use, with the `gres` of the YAML. SLURM takes the last of two such options, which is that of `extra`: more GPUs stand idle, and with fewer servers would find none.",
    },
    CodeInfo {
        code: "W0344",
        title: "a job shorter than the start of its servers",
        text: "SLURM ends the job at its time limit. Servers may take up to `ready.timeout` (30 minutes if nothing is written) to become ready, so that nothing may be left of it for the evaluation.",
    },
    CodeInfo {
        code: "E0345",
        title: "a job that excludes its own node",
        text: "Each node of the YAML with `launcher: slurm` gets a job for that node and no other. `slurm.exclude` holds for all jobs, \
               so a node that stands in both can never be given out.",
    },
    CodeInfo {
        code: "N0346",
        title: "runs are kept where nodes may not see them",
        text: "Jobs of SLURM read their scripts from the run's folder and write what they see into it. `/tmp`, `/var/tmp`, `/dev/shm` and `/run` are folders that each machine has for itself.",
    },
    CodeInfo {
        code: "W0347",
        title: "a job shorter than its evaluations",
        text: "`toolorch rehearse` predicts how long the evaluations take. SLURM ends a job at its time limit: its servers begin anew in the next \
               one, which waits its turn in the queue. Results are kept, and what is missing is asked there. With `renew: true` the next job \
               is submitted before this one ends.",
    },
];
