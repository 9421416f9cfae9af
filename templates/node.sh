#!/usr/bin/env bash
# What a controller asks a node that it reaches from elsewhere: all units of a run in one call.  Written by
# `toolorch render`.  By hand:
#   bash lib/node.sh look RUN [UNIT…]      one line of JSON for the node, then one for each unit (default: each that has a
#                      state here), the same as `observe` of its script
#   bash lib/node.sh show RUN [UNIT…]      the same by whoever is no controller: units do not take it for a sign of life
#   bash lib/node.sh marks RUN             `PID UNIT` of each process with the mark of the run, and of each start under way
#   bash lib/node.sh listeners PORT…       `PORT ADDRESS UID PID COMMAND` of whoever listens there
#   bash lib/node.sh tail RUN UNIT BYTES   the end of the unit's last log
#   bash lib/node.sh keep RUN UNIT         keeps NAME=VALUE pairs, each ended by a NUL, from standard input as the unit's `pass` values
#   bash lib/node.sh passed RUN UNIT       what is kept of those, in the same form: to mask it in what a log says
#   bash lib/node.sh names RUN UNIT        `dropped NAME` and `differs +NAME` of the environment of its last start
#   bash lib/node.sh beat RUN              keeps the line on standard input as the owner's sign of life
#   bash lib/node.sh clear RUN             removes what the run left here, if nothing of it lives
# Exit codes: 0 done, 1 it cannot be done (said), 64 usage, 78 a place that cannot be trusted.
# shellcheck disable=SC1090,SC2015,SC2034,SC2053,SC2153,SC2154
U_LIB=${BASH_SOURCE[0]}; [[ -L $U_LIB ]] && U_LIB=$(readlink -f -- "$U_LIB")
U_LIB=${U_LIB%"${U_LIB##*/}"}unit.sh
{ [[ -f $U_LIB && -r $U_LIB ]] && source "$U_LIB" && declare -F main >/dev/null; } ||
  { echo "toolorch: \`$U_LIB\` is missing or not whole: render again" >&2; exit 78; }

is_name() { [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$ ]] || usage "\`$1\` is not a name"; }
is_number() { [[ $1 =~ ^[0-9]{1,9}$ ]] || usage "\`$1\` is not a number"; }
with_state() { # -> UNITS: those that have a directory in this run
  local dir base=${U_CALLER[TOOLORCH_STATE]-}
  UNITS=()
  for dir in "${base:-/tmp/toolorch-$UID}/$RUN"/*/; do dir=${dir%/}; UNITS+=("${dir##*/}"); done
}
look_at() { # UNIT -> one line; whatever is wrong with its place is said in it
  local line
  U_UNIT=$1
  if line=$(verb_observe 2>&1) && [[ $line == '{'* ]]; then printf '%s\n' "$line"; return; fi
  json "$U_UNIT"; printf '{"format":1,"unit":%s' "$JSON"
  json "${line##*toolorch: }"; printf ',"phase":"unknown","reason":%s}\n' "$JSON"
}
look_at_logs() { # UNIT… -> LOG_BYTES[log]
  local base=${U_CALLER[TOOLORCH_STATE]-} states logs line
  base=${base:-/tmp/toolorch-$UID}/$RUN states=("${@/#/$base/}")
  mapfile -t logs < <(grep -shm1 '^log=/' -- "${states[@]/%//state}")
  mapfile -t logs < <(((${#logs[@]})) && find "${logs[@]#log=}" -maxdepth 0 -type f -printf '%s %p\n' 2>/dev/null)
  for line in "${logs[@]}"; do LOG_BYTES[${line#* }]=${line%% *}; done
}
node_look() {
  local unit out
  (($#)) || { with_state; set -- "${UNITS[@]}"; }
  here_and_now; now_ms; scan; read_marks; look_at_net "${PIDS[@]}"; look_at_logs "$@"; SCANNED=1
  json "$HOST"; out="{\"format\":1,\"host\":$JSON"
  json "$BOOT"; out+=",\"boot\":$JSON,\"at\":$NOW"
  number "$UID"; out+=",\"uid\":$JSON}"
  printf '%s\n' "$out"
  for unit; do look_at "$unit"; done
}
node_marks() {
  local pid mark files file words line run_words="/units/([^/ ]+)\\.sh run (.* )?--run ${RUN//./\\.} "
  local start_words="\\.sh start --run ${RUN//./\\.} ([^ ]+) -- "
  scan; read_marks
  for pid in "${!MARK[@]}"; do
    mark=${MARK[$pid]}
    [[ $mark == "$RUN"/*/* && ${P_STATE[$pid]} != [ZX] ]] || continue
    mark=${mark#*/}; printf '%s %s\n' "$pid" "${mark%%/*}"
  done
  mapfile -t files < <(cd /proc && grep -slzxF -- "$RUN" "${PIDS[@]/%//cmdline}")
  for file in "${files[@]}"; do
    mapfile -d '' -t words 2>/dev/null <"/proc/$file"
    line=" ${words[*]} " pid=${file%%/*}
    [[ ${P_STATE[$pid]} != [ZX] ]] || continue
    if [[ $line =~ $run_words || $line =~ $start_words ]]; then printf '%s %s\n' "$pid" "${BASH_REMATCH[1]}"; fi
  done
  return 0
}
node_listeners() {
  local port entry inode uid address command
  read_net
  for port; do
    listeners "$port"
    for entry in "${LISTEN[@]}"; do
      read -r port inode uid address <<<"$entry"
      command=''
      if socket_owner "$inode"; then mapfile -d '' -t command 2>/dev/null <"/proc/$OWNER/cmdline"; fi
      remote "$address:0"; entry="${command[*]:0:12}"
      printf '%s %s %s %s %s\n' "$port" "${TEXT%:0}" "$uid" "${OWNER:--}" "${entry//[$'\001'-$'\037'$'\177']/?}"
    done
  done
}
node_tail() {
  open_dir && load_state || { echo "toolorch: $U_UNIT: never started in run $RUN" >&2; exit 1; }
  # A start that was refused has no log: its script's own says why.
  if [[ -f ${S[log]} ]]; then tail -c "$1" -- "${S[log]}"; else tail -c "$1" -- "$D/supervisor.log"; fi
}
node_keep() {
  local pair; local -A kept=()
  open_dir make
  if [[ -f $D/secrets ]]; then while IFS= read -r -d '' pair; do kept[${pair%%=*}]=${pair#*=}; done <"$D/secrets"; fi
  while IFS= read -r -d '' pair; do [[ ${pair%%=*} == $U_VALID ]] && kept[${pair%%=*}]=${pair#*=}; done
  for pair in "${!kept[@]}"; do printf '%s=%s\0' "$pair" "${kept[$pair]}"; done >"$D/.new/secrets" && mv -f -- "$D/.new/secrets" "$D/secrets"
}
node_passed() { if open_dir && [[ -f $D/secrets ]]; then cat -- "$D/secrets"; fi; }
node_names() {
  local name
  open_dir || return 0
  while read -r name; do echo "dropped $name"; done 2>/dev/null <"$D/dropped"
  while read -r name; do echo "differs $name"; done 2>/dev/null <"$D/environ.diff"
  return 0
}
node_beat() {
  local line
  U_UNIT=.beat; open_dir make >/dev/null; rmdir -- "$D/.new" "$D" 2>/dev/null
  IFS= read -r line && printf '%s\n' "$line" >"$RUN_DIR/.heartbeat"
}
node_clear() {
  local living
  living=$(node_marks)
  [[ -z $living ]] || { echo "toolorch: processes of run $RUN still live: ${living//$'\n'/, }" >&2; exit 1; }
  U_UNIT=.clear; open_dir || [[ -d $RUN_DIR ]] || exit 0
  rm -rf -- "$RUN_DIR"
}
node() {
  local verb=${1-} ports
  shift
  if [[ $verb == listeners ]]; then for ports; do is_number "$ports"; done; node_listeners "$@"; exit; fi
  RUN=${1-}; is_name "$RUN"; shift
  case $verb in
    look | show)
      for ports; do is_name "$ports"; done
      if [[ $verb == show ]]; then UNWATCHED=1; fi
      node_look "$@" ;;
    marks) node_marks ;;
    beat) node_beat ;;
    clear) node_clear ;;
    keep) U_UNIT=${1-}; is_name "$U_UNIT"; node_keep ;;
    passed) U_UNIT=${1-}; is_name "$U_UNIT"; node_passed ;;
    names) U_UNIT=${1-}; is_name "$U_UNIT"; node_names ;;
    tail) U_UNIT=${1-}; is_name "$U_UNIT"; is_number "${2-}"; node_tail "$2" ;;
    *) usage "usage: $0 look|show|marks|listeners|tail|keep|passed|names|beat|clear RUN …; the head of the file explains them" ;;
  esac
}
node "$@"; exit # one line, so that bash has read it before it runs
