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
        code: "E0608",
        title: "a container that cannot be entered",
        text: "`apptainer` and `singularity` run an image on any node. `pyxis` is a part of SLURM's `srun`: it needs \
               `launcher: slurm`. Mounts are `HOST:INSIDE`, with a full path inside and neither blanks at the ends, \
               commas nor line ends in them, since the runtimes separate mounts by these.",
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
];
