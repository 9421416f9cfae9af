//! The words of alarms: what each means and what to do, for `toolorch explain` and the page of codes.

use std::fmt::Write as _;

/// What there is to say about an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlarmInfo {
    /// Its stable word, as journal, `notify` and the live view name it.
    pub word: &'static str,
    /// What happened in a few words, lower case.
    pub title: &'static str,
    /// What it means, what is done about it, and what is left to do.
    pub text: &'static str,
}

const fn row(word: &'static str, title: &'static str, text: &'static str) -> AlarmInfo {
    AlarmInfo { word, title, text }
}

/// All of them, in alphabetical order.
const ROWS: &[AlarmInfo] = &[
    row(
        "client-config",
        "the client's configuration cannot be written",
        "Evaluations that read it are not started. The alarm names the reason: a model or service without a server that is \
         ready, a template that cannot be filled in, or a folder that cannot be written. Mend it, then `toolorch up` again.",
    ),
    row(
        "completions-fail",
        "a server lives and answers each request with an error of its own",
        "Each completion that is asked for comes back with a 5xx, while its process and its port are fine: to a client that is \
         a server that does nothing but fail. It is not restarted, since its settings or its model may be the cause. Its log says \
         why: `toolorch logs UNIT`. What its clients got as errors is asked again as `retry_errors` says.",
    ),
    row(
        "environment",
        "a key, endpoint or proxy reached a client although nobody asked for it",
        "The environment of a client holds only what the YAML sets or passes. Something put such a name back: a `setup` line, a \
         module, an activated environment, or a start file of the shell. Calls may go where that variable leads. Remove it \
         there, or ask for it with `env.pass`.",
    ),
    row(
        "fallback",
        "the client's log tells of calls to a model that nobody declared",
        "Many clients turn to another model, often a paid one, when a call fails. Such answers are not this cluster's. Switch \
         that off in the client, or declare the model under `externals` if it is meant.",
    ),
    row(
        "gpu-held",
        "memory of a GPU is in use, and no process that can be seen uses it",
        "Before a server is started again its GPUs are waited for, a minute at most. What is left then belongs to no living \
         process: a driver that did not clean up, or a process in another container. The server starts all the same and may die \
         for want of memory. A reset of the GPU (`nvidia-smi --gpu-reset`) or a restart of the node frees it.",
    ),
    row(
        "held",
        "an evaluation waits for a server that it requires",
        "A required model, service or external has had no endpoint for a while. The client is stopped, what failed in the \
         meantime is asked again, and the client goes on by itself when there is an endpoint again. Nothing is to be done, unless \
         the outage is one that only you can end.",
    ),
    row(
        "journal-failed",
        "the journal cannot be written",
        "Writing a line failed, and not for want of room: the alarm has the system's words. Nothing is started or stopped without \
         its record; what runs is watched, and what happens is written down once that works again. See whether the folder of \
         the run is there and its disk is mounted for writing.",
    ),
    row(
        "journal-full",
        "the disk of the journal is full",
        "Nothing is started or stopped without its record; what runs is watched, `down` works, and what happens is written down \
         when there is room. Make room on the disk of `$TOOLORCH_HOME`.",
    ),
    row(
        "journal-rebuilt",
        "the run's journal was damaged and is begun anew",
        "`up --rebuild` wrote a new journal from what runs and from the results. The damaged part is kept beside it. What only the \
         old one knew, such as the times of earlier starts, is lost.",
    ),
    row(
        "model-gone",
        "a server no longer knows the model that it proved to serve",
        "It answered the same request when it became ready, and now says 404 twice in a row: its model was unloaded, or another \
         program answers there. All of it is ended, and it is started again within its budget; the ready ladder refuses it if it \
         still serves something else.",
    ),
    row(
        "no-retry",
        "results in error are not asked again",
        "All that was left of an evaluation were results in error that its rule would ask again, and its client could not be \
         started for that; the alarm says why. They stay as they are, and the evaluation ends incomplete.",
    ),
    row(
        "no-tool-call",
        "in many results no tool was called",
        "The results count as answered, yet more than 5 % of them did without any tool call. Most often the tool parser of the \
         orchestrator does not fit its model (`--tool-call-parser`), so that its calls stand as text in its answers. Look at one of \
         these results before the whole evaluation is spent.",
    ),
    row(
        "not-brought-back",
        "results that were asked again could not be put back",
        "Results in error were set aside to be asked again, no newer ones came, and moving them back failed; the alarm says why. They \
         lie in `RESULTS/.toolorch/set-aside/asked-again`, nothing is lost, and the next `toolorch up` brings them back.",
    ),
    row(
        "null-content",
        "many results are errors because an answer had no text",
        "More than 5 % of the results failed on an empty answer. Most often a reasoning parser takes the whole answer for \
         reasoning, or `max_tokens` ends the answer before its text begins. Compare the reasoning parser with the model's recipe.",
    ),
    row(
        "open-files",
        "a client has nearly as many files open as it may",
        "Its limit could not be raised any further. Where it has finished something it is stopped and goes on afresh before it is \
         full, within no budget; else it is left alone. Raise the hard limit (`ulimit -Hn`), set `limits.open_files`, or lower \
         `concurrency`; a number that grows all the time is a leak in the client.",
    ),
    row(
        "out-of-reach",
        "a server and its node do not answer",
        "Its link is cut, or the node is down: nobody can tell whether the server lives, so it is neither stopped nor started again. \
         Where it is the last of its kind the evaluation is held. When the node answers it goes on as it is found there: serving, or \
         gone, and then it is started again.",
    ),
    row(
        "outside-call",
        "a client calls, or was kept from calling, a place that nobody declared",
        "The place is no server of this run, no declared external and no resolver. `calls` means that a socket was seen to lead \
         there; `was kept from calling` that the evaluation's own proxy (`egress: proxy`) refused it. Both end the run with 7, and \
         each is told for itself: a place that was refused may still be reached around the proxy.\n\n\
         If the call is meant, declare the place under `externals`. If it is not, find what leads there: a fallback of the client, a \
         key in its environment, telemetry of a library (the alarm names process and pid).\n\n\
         It is held against the results, in `RESULTS/.toolorch/outside-calls.json`: each later `up` says so and ends with 7, too. That \
         ends where the results are made anew in another folder, where somebody removes that file, or where the place is declared and \
         the results stay those of the evaluation: an external that it `requires` is part of what they depend on.",
    ),
    row(
        "outside-untold",
        "whether a place is declared cannot be told",
        "A client is connected to a port on which a declared external is known by its name, and that name cannot be looked up on this \
         machine, so that its addresses are not known. It has no consequence. Mend the name service, or declare the external \
         by its address.",
    ),
    row(
        "own-files",
        "the controller itself has nearly as many files open as it may",
        "What it cannot open it cannot see: units become unknown, which neither starts nor stops anything. Raise the limit \
         (`ulimit -Hn`) and start `toolorch up` again; what runs goes on.",
    ),
    row(
        "port-closed",
        "a server's process lives, and its port refuses",
        "For 15 s nobody could connect to a server that was ready. All of it is ended, and it is started again within its budget. Its \
         log says what became of its listener: `toolorch logs UNIT`.",
    ),
    row(
        "results-unreadable",
        "the results of an evaluation cannot be read",
        "The folder is gone, or a file system does not answer; the alarm says what was tried. Until it is mended nobody knows how \
         far the evaluation is, and nothing is decided on it; where it lasts the evaluation is given up.",
    ),
    row(
        "retrieval-failed",
        "a search went on without results",
        "The retrieval service did not answer in time, and the client went on as if nothing had been found: the result does not \
         say so. One may be chance; see also `retrieval-failing`.",
    ),
    row(
        "retrieval-failing",
        "many searches go on without results",
        "More than 5 % of the questions were answered without what a search should have brought. Their results look complete and \
         are not what you measure. Look at the retrieval service: `toolorch status`, its log, its load.",
    ),
    row(
        "server-lost",
        "a server is gone for good while an evaluation runs",
        "Its restart budget is spent, or its error would come again. The evaluation goes on with the servers that are left of its \
         kind, more slowly, and is given up where none is. The cause stands beside the unit in `toolorch status`; after mending it \
         `toolorch up` starts the server again.",
    ),
    row(
        "shared-port",
        "another process listens on the port of a server",
        "With SO_REUSEPORT two programs can share a port, and each gets a part of the requests: answers may come from something that is \
         not this run's. Find it with `ss -ltnp` and end it, or give the server another port.",
    ),
    row(
        "slow-server",
        "a server is much slower than its peers",
        "For ten minutes it wrote fewer than half as many tokens per second and request as the median of the others that serve the \
         same model. Nothing is done. Look at its GPU: clock, temperature and errors (`nvidia-smi -q`), or who else uses it.",
    ),
    row(
        "slurm-away",
        "SLURM does not answer, and servers are to be submitted",
        "Neither `squeue` nor `sbatch` reaches slurmctld. What is to be submitted waits for it, for as long as it takes, and uses nothing of \
         its restart budget; what runs is watched through the shared folder. Nothing is to be done unless it lasts: then ask who runs SLURM.",
    ),
    row(
        "stalled",
        "an evaluation shows no sign of work",
        "No finished question, no line of output and no token of any server for `limits.stall`. Its client is stopped and started \
         again within its budget; if it stalls at the same place again the evaluation is given up (6). If its questions may take \
         that long, raise `limits.stall`.",
    ),
    row(
        "stalled-server",
        "a server that was ready shows no sign of life",
        "Its counters stand still and a small request of our own was lost. Its whole process tree is ended, and it is started again on \
         its port within its budget. Requests in flight on it fail; clients ask another server, or are asked again.",
    ),
    row(
        "starvation",
        "half of a client's questions in flight wait for one server",
        "The others will come to that server, too, and then nothing moves. It may hang, be overloaded, or be the only one of its kind. \
         Look at it with `toolorch status` and `toolorch logs UNIT`; `toolorch drain UNIT` takes it out.",
    ),
    row(
        "stop-failed",
        "a unit could not be stopped",
        "Something of it is left after all signals, or its script failed; the alarm says what. It is tried a few times more. What is \
         left in the end is named, and the run does not end as over. A process in uninterruptible sleep (state `D`) ends only \
         with its device or file system.",
    ),
    row(
        "time-limit",
        "SLURM will soon end a job",
        "Its units end with it, half an hour from now at the latest, and are started again in another job, which may have to wait for its \
         turn; what is finished stays. An administrator can give it more time (`scontrol update JobId=… TimeLimit=…`). With `slurm: { \
         renew: true }` a successor waits in the queue beforehand.",
    ),
    row(
        "tunnel-silent",
        "nobody behind a tunnel answers, although it stands",
        "All servers of a node fell silent at once while their processes live: it may be the tunnel, whose ssh may hang and still take \
         connections. It is begun anew, which breaks requests in flight, before any of the servers is taken for stalled.",
    ),
    row(
        "unknown-start",
        "a unit runs from a start that the journal does not know",
        "Somebody ran its script by hand, or the journal lost its last lines. It is left alone. If it is not wanted, \
         `toolorch down` ends it.",
    ),
    row(
        "unseen",
        "a unit cannot be looked at",
        "Its state cannot be read, so that nobody knows whether it runs. It is neither started nor stopped until it can be seen \
         again: unknown is not dead. The alarm says what stands in the way.",
    ),
    row(
        "unused",
        "a server is ready, and the running client does not know it",
        "Clients read their configuration once. `toolorch up --restart-eval` starts the client again with all endpoints; it goes on \
         with what is missing.",
    ),
    row(
        "unwatched",
        "no controller watches, and an evaluation does not move",
        "It comes from the script of the evaluation itself, through `notify`, after two minutes without a result or a line of output \
         and without a living controller. `toolorch status` says who watched last; `toolorch up` watches again.",
    ),
];

/// Every alarm.
pub fn all() -> impl Iterator<Item = &'static AlarmInfo> {
    ROWS.iter()
}

/// The row of a word; letter case does not matter.
pub fn find(word: &str) -> Option<&'static AlarmInfo> {
    all().find(|row| row.word.eq_ignore_ascii_case(word))
}

/// A line for each alarm, for `toolorch explain`.
pub fn list() -> String {
    let width = all().map(|row| row.word.len()).max().unwrap_or_default();
    let mut text = String::new();
    for row in all() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:width$}  {}", row.word, row.title);
    }
    text
}

/// Their part of the page `docs/CODES.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "\n## Alarms of a run\n\n\
         Told while a run goes on: in its journal, by `status` and by `notify`. They end nothing by themselves.\n",
    );
    for row in all() {
        let _ = write!(page, "\n### {}: {}\n\n{}\n", row.word, row.title, row.text);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_unique_and_well_formed() {
        for pair in ROWS.windows(2) {
            assert!(pair[0].word < pair[1].word, "{}", pair[1].word);
        }
        for row in all() {
            let fits = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(row.word.chars().all(fits), "{}", row.word);
            assert!(!row.title.ends_with('.'), "{}", row.word);
            assert!(row.text.ends_with(['.', ')']), "{}", row.word);
        }
    }
}
