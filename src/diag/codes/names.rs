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
    CodeInfo {
        code: "E0204",
        title: "a secret in the YAML",
        text: "YAML names secrets and never holds them: `env: OPENAI_API_KEY` names the variable that has the key. A \
               key that stood in a file may have been copied with it: revoke it and make a new one. It is shown \
               as `***` here and in every other finding on its line.",
    },
    CodeInfo {
        code: "E0205",
        title: "not a umask",
        text: "A umask is one to four octal digits, in quotes: `umask: \"027\"` lets the group read what a \
               program writes, and others nothing.",
    },
    CodeInfo {
        code: "E0210",
        title: "a name that leads nowhere",
        text: "Something is referred to by a name that nothing has: a node or pool in `node`, a model \
               in `context`, a model, service or external in `requires`, a client configuration in \
               `config`, an evaluation in `after`. If a known name looks alike, it is offered as a \
               patch.",
    },
    CodeInfo {
        code: "E0211",
        title: "two things of one name",
        text: "Models, services, externals and evaluations share one namespace, because commands \
               (`toolorch logs NAME`), client configurations and `requires` name them alike.",
    },
    CodeInfo {
        code: "E0212",
        title: "a name that a unit already has",
        text: "The replicas of model `a` are the units `a-0`, `a-1`, …; the client of evaluation `x` is \
               the unit `eval-x`. Sessions, jobs, logs and state directories go by these names, so \
               nothing else may have one of them.",
    },
    CodeInfo {
        code: "E0213",
        title: "a reserved name",
        text: "`controller` is the machine where toolorch runs, `default` is the client configuration \
               that is written as `client_config`, and a pool cannot have the name of a node.",
    },
];
