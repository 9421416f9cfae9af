//! E02, W02, N02: names.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[
    CodeInfo {
        code: "E0201",
        title: "not a name",
        text: "Names of the cluster, of models, services, externals, evaluations and client configurations \
               become names of units, files, sessions and jobs. They start with a lower-case letter and go \
               on with a-z, 0-9, `_` and `-`, 63 characters at most.",
    },
    CodeInfo {
        code: "E0202",
        title: "not the name of a node",
        text: "A node's key is its host name or address: letters, digits, `.`, `-`, `_` and `:` (IPv6), not \
               starting with `-` or `.`. It is handed to ssh and to SLURM, where anything else would do harm.",
    },
    CodeInfo {
        code: "E0203",
        title: "not the name of an environment variable",
        text: "Names of variables consist of letters, digits and `_`, and do not start with a digit. They are \
               written into scripts, where anything else would be read as shell.",
    },
];
