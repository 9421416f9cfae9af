//! E06, W06, N06: environment and paths.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[
    CodeInfo {
        code: "E0601",
        title: "the YAML holds a key",
        text: "The YAML names secrets, it never holds them: it is committed, shared and printed. Put \
               the key into a variable or a file and name that. A key that was written here should be \
               revoked.",
    },
    CodeInfo {
        code: "E0602",
        title: "a server with a key of its own",
        text: "With `--api-key` or VLLM_API_KEY a server answers only those who name the key. The probes \
               and the client's configuration name none, so that it would never be ready; and as an \
               argument the key could be read by everybody on the node.",
    },
    CodeInfo {
        code: "W0603",
        title: "a proxy between client and servers",
        text: "HTTP libraries send every request to the proxy that the environment names, those to loopback addresses too. The client's calls to its own servers would fail there, or be counted and delayed. With `NO_PROXY` beside it the addresses that it lists are reached directly.",
    },
    CodeInfo {
        code: "E0603",
        title: "a container that cannot be entered",
        text: "`apptainer` and `singularity` run an image on any node. `pyxis` is a part of SLURM's `srun`: it needs \
               `launcher: slurm`. Mounts are `HOST:INSIDE`, with a full path inside and neither blanks at the ends, \
               commas nor line ends in them, since the runtimes separate mounts by these.",
    },
    CodeInfo {
        code: "E0604",
        title: "a program is missing",
        text: "The program of a unit that runs on this machine is not on PATH, and no environment \
               (`conda`, `venv`, `modules`, `setup`) is named that could bring it; or the command of `notify` is \
               not there.",
    },
    CodeInfo {
        code: "E0605",
        title: "a directory is missing",
        text: "A unit that runs on this machine has a `cwd` that does not exist.",
    },
    CodeInfo {
        code: "E0606",
        title: "an environment is missing",
        text: "A unit that runs on this machine names a virtual environment (`venv`) without \
               `bin/activate`.",
    },
    CodeInfo {
        code: "E0607",
        title: "too few open files for the controller",
        text: "The controller holds a handle of each unit's process and connections to its servers. Where \
               the hard limit of its shell is lower it could not look at what it started.",
    },
    CodeInfo {
        code: "W0608",
        title: "a key that is for nobody who is declared",
        text: "Some clients turn to another provider as soon as they find its key, with some models or after an error. The log's evaluation went to Nebius for hours that way. Only keys that an external names with `api_key` are expected to reach a client.",
    },
    CodeInfo {
        code: "N0609",
        title: "weights that each node downloads for itself",
        text: "`hf.home` lies in a folder that each machine has for itself. That can be meant: local disks are fast. Otherwise name a folder on the shared file system.",
    },
    CodeInfo {
        code: "E0610",
        title: "`allow` names no code",
        text: "Codes are a letter and four digits, as findings show them in brackets.",
    },
    CodeInfo {
        code: "E0611",
        title: "`allow` names what it cannot silence",
        text: "Only warnings can be allowed. Errors stop everything because nothing good can come of \
               going on; notes never stop anything.",
    },
    CodeInfo {
        code: "N0612",
        title: "`allow` has nothing to silence",
        text: "The warning does not occur any more; the entry can go.",
    },
    CodeInfo {
        code: "N0613",
        title: "a warning that is allowed",
        text: "`allow` names the warning and why it is accepted, so that it is not shown and `--strict` does not count it. It is said once, \
               with the reason, wherever notes are shown.",
    },
    CodeInfo {
        code: "E0615",
        title: "a file that `setup` reads is missing",
        text: "`setup` lines run in a shell that goes on after an error. A file that is not there would leave the program without what it should set: variables, a path, an environment.",
    },
];
