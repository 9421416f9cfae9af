//! E07: what a look at the machines shows.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[
    CodeInfo {
        code: "E0701",
        title: "a machine that could not be looked at",
        text: "It could not be reached, or did not answer in time, or SLURM did not answer. Nothing is known of it, good or bad. The \
               message has the words of ssh or of SLURM; `ssh HOST true` by hand often shows more.",
    },
    CodeInfo {
        code: "E0702",
        title: "GPUs that are not there",
        text: "`nvidia-smi` of the machine does not list a GPU that `gpus` of the node names or counts. One may have fallen off the bus \
               (`dmesg` has `Xid 79`), or the machine has fewer.",
    },
    CodeInfo {
        code: "W0703",
        title: "GPUs that could not be looked at",
        text: "There is no `nvidia-smi` on the machine, or it failed or hung, so nobody knows whether the GPUs are there and free. \
               Or it does not say how much memory a GPU has, or how much of it is in use: `[N/A]` of one in parts (MIG), or of one that shares \
               the memory of its machine.",
    },
    CodeInfo {
        code: "W0704",
        title: "GPUs of another model",
        text: "`gpu` of the node names another card than the driver does, or one with another memory. What fits is reckoned with what is \
               written.",
    },
    CodeInfo {
        code: "E0705",
        title: "GPUs whose memory is taken",
        text: "vLLM refuses to start if less memory is free than `gpu_memory_utilization` asks for. The processes that hold it are named, \
               with user and process id, as far as they can be seen; those of this cluster's own run do not count.",
    },
    CodeInfo {
        code: "N0706",
        title: "GPUs that others use",
        text: "Somebody's process holds memory of a GPU that a server will use. There is enough left, but both share the GPU's time.",
    },
    CodeInfo {
        code: "E0707",
        title: "an environment that is not there",
        text: "The conda environment or virtual environment is not on the machine where the unit is to run, or, where none is written, its \
               PATH has no `vllm`. conda is looked for where CONDA_EXE leads and in the usual places.",
    },
    CodeInfo {
        code: "E0708",
        title: "an environment without vLLM",
        text: "The environment is there and has no `bin/vllm`. vLLM may be in another one.",
    },
    CodeInfo {
        code: "E0709",
        title: "another release of vLLM",
        text: "The environment has another release than `vllm.version` says, so that flags, parsers and what is known of them were checked \
               for the wrong one. The release is read from the installed package.",
    },
    CodeInfo {
        code: "E0710",
        title: "a flag that the installed vLLM does not have",
        text: "`vllm serve --help=all` of that installation does not name the flag. Its answer is kept in `~/.cache/toolorch` until the \
               installation changes, since it takes vLLM half a minute.",
    },
    CodeInfo {
        code: "W0711",
        title: "a limit of open files that cannot be reached",
        text: "The unit asks for more open files than the hard limit of the machine allows, and gets what is allowed. A client with many \
               questions in flight may run out of them.",
    },
    CodeInfo {
        code: "E0712",
        title: "a path that is not there",
        text: "A directory, a model's folder or a file of `setup` is not on the machine where the unit is to run.",
    },
    CodeInfo {
        code: "W0713",
        title: "a disk with too little room",
        text: "`/tmp` of the machine, where units keep their state, is all but full, or the file system of the Hugging Face cache has less \
               room than weights take that are not in it.",
    },
    CodeInfo {
        code: "E0714",
        title: "a port that is taken",
        text: "Somebody listens where a server is to listen, and it is no process of this cluster's run. With `port: auto` another one would \
               be taken.",
    },
    CodeInfo {
        code: "N0715",
        title: "what a look could not prove",
        text: "The release and the flags could not be told without starting the server: modules, `setup` lines or a container make its \
               environment, or vLLM's help failed. The server says its release when it is up.",
    },
    CodeInfo {
        code: "W0716",
        title: "a clock that is off",
        text: "The machine's clock differs from this one's by more than five seconds, beyond what the call itself took.",
    },
    CodeInfo {
        code: "E0717",
        title: "a node or partition that SLURM does not know",
        text: "`scontrol show node` or `sinfo` has nothing of that name where jobs are submitted.",
    },
    CodeInfo {
        code: "W0718",
        title: "a node or partition that takes no jobs now",
        text: "SLURM has it down, drained or in maintenance: the job would wait until it is back.",
    },
    CodeInfo {
        code: "E0719",
        title: "fewer GPUs in SLURM",
        text: "SLURM's `Gres` of the node counts fewer GPUs than `gpus` says, so that sbatch refuses a job for all of them.",
    },
    CodeInfo {
        code: "N0720",
        title: "what only the job will show",
        text: "Nodes that SLURM gives out are not looked at beforehand: that would take one. SLURM is asked about them instead.",
    },
    CodeInfo {
        code: "E0721",
        title: "a program that starts units is not there",
        text: "Units are started and watched by bash scripts, which need `flock`, `setsid`, `stat`, `timeout`, `find` and `grep`; with \
               `launcher: tmux` tmux as well. The machine's PATH has none that may be executed.",
    },
    CodeInfo {
        code: "E0722",
        title: "more time than the partition allows",
        text: "`slurm.time` is longer than the partition's `MaxTime`, as `sinfo -o %l` tells it: SLURM may take the job, and never lets it begin.",
    },
];
